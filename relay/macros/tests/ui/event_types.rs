//! Types that no field has.

pub struct Opaque;

relay::event! {
    #[event(channel = "sched")]
    pub struct Types<'a> {
        pub number: u32,
        pub opaque: Opaque,
        pub wide: u128,
        pub list: &'a [Opaque],
        #[hex]
        pub text: &'a str,
        #[flags(A = 256)]
        pub flags: u8,
        #[flags(A = 1)]
        pub name: &'a str,
    }
}

fn main() {}
