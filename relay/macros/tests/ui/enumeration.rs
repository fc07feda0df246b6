//! What is no enumeration.

#[derive(relay::Enum)]
struct Struct {
    a: u8,
}

#[derive(relay::Enum)]
enum WithFields {
    None,
    Some(u8),
}

#[derive(relay::Enum)]
enum Empty {}

#[derive(relay::Enum)]
enum Generic<'a> {
    A,
}

#[derive(relay::Enum)]
#[repr(u128)]
enum Wide {
    A,
}

#[derive(relay::Enum)]
enum Letters {
    Größe,
}

fn main() {}
