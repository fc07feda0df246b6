//! The host side of relay.
fn main() {}
