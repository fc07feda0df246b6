//! What does not compile, and what the compiler says then: `tests/ui/*.stderr`.
//! `TRYBUILD=overwrite cargo test -p relayfs-macros --test ui` writes what it says now.

#![cfg(not(any(loom, miri)))]
#![forbid(unsafe_code)]

#[test]
fn mistakes_are_told_at_the_token_that_is_wrong() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
