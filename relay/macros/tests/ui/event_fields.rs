//! What is no event, and fields that are none.

relay::event! {
    #[event(channel = "sched")]
    pub struct Generic<T> { pub a: T }

    #[event(channel = "sched")]
    pub struct Sized<const N: usize> { pub a: [u8; N] }

    #[event(channel = "sched")]
    pub struct Tuple(u8);

    #[event(channel = "sched")]
    pub struct Twice { pub a: u8, pub a: u16 }

    #[event(channel = "sched")]
    pub struct Hidden { pub _a: u8 }

    #[event(channel = "sched")]
    pub struct Letters { pub größe: u8 }

    #[event(channel = "sched")]
    pub struct Attribute { #[serde(skip)] pub a: u8 }

    #[event(channel = "sched")]
    pub struct HexOf { #[hex(16)] pub a: u8 }

    #[event(channel = "sched")]
    pub struct Both { #[hex] #[flags(A = 1)] pub a: u8 }

    #[event(channel = "sched")]
    pub struct NoFlags { #[flags()] pub a: u8 }

    #[event(channel = "sched")]
    pub struct Flags { #[flags(A = 1, A = 2)] pub a: u8 }

    #[event(channel = "sched")]
    pub enum Choice { A }

    pub fn function() {}
}

relay::event! {
    #[event(channel = "sched")]
    pub struct Unfinished { pub a }
}

fn main() {}
