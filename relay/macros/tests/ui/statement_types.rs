//! Arguments whose types do not suit.

struct Opaque;

fn generic<T>(value: T) {
    relay::info!("{value:?}");
}

fn main() {
    let (x, f) = (1u32, 1.5f32);
    relay::info!("an opaque {}", Opaque);
    relay::info!("{:?}", x.checked_add(1).map(|_| Opaque));
    relay::info!("{f:x}");
    relay::info!("{:p}", x);
    relay::info!("{x:f$}");
    relay::info!("{:.*}", -1, f);
    relay::info!("{}", *"unsized");
    relay::info!("{}", unknown());
    generic(1);
    let _: u32 = relay::info!("nothing is returned");
}
