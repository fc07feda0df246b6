//! Uses a CPU, for so many milliseconds as its argument says, or for ever; ends with code 0.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

use core::time::Duration;

use relay_rt::time;

relay_rt::entry!(run);

fn run(arguments: &'static str) -> u32 {
    let wanted = arguments.trim().parse().map(Duration::from_millis);
    let end = wanted.ok().map(|wanted| time::now() + wanted);
    // The clock is a system call: it is looked at between long pieces of work.
    loop {
        for _ in 0..10_000 {
            core::hint::spin_loop();
        }
        if end.is_some_and(|end| time::now() >= end) {
            return 0;
        }
    }
}
