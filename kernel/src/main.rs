//! The reference kernel of relay.
fn main() {}
