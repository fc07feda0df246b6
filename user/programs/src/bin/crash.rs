//! Does what a program must not do, as its argument says. It ends by a fault if the kernel is
//! right, and with code 1 if not.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

use relay_rt::provoke::Fault;
use relay_rt::relay;

relay_rt::entry!(run);

fn run(arguments: &'static str) -> u32 {
    let name = arguments.trim();
    if name == "panic" {
        panic!("on purpose");
    }
    let Some(fault) = Fault::from_name(name) else {
        relay::error!("there is no fault '{name}'");
        return 2;
    };
    relay::info!("crash: {name}");
    go(fault);
    relay::error!("{name} did no harm: the kernel let it pass");
    1
}

/// Does it. The function that does has no frame where it fails, as the compiler likes: then its
/// caller is not seen in a backtrace, which is this one, and all others are.
#[inline(never)]
fn go(fault: Fault) {
    fault.provoke();
    core::hint::black_box(fault);
}
