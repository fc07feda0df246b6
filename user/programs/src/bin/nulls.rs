//! Makes the shortest system call there is as often as it can, for so many milliseconds as its argument
//! says, and says how often that was. For who wants to interrupt the way in and the way out.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

use core::time::Duration;

use relay_rt::{relay, sys, time};

relay_rt::entry!(run);

/// How many calls are made between two looks at the clock.
const BURST: u64 = 1000;

fn run(arguments: &'static str) -> u32 {
    let wanted = arguments.trim().parse().map(Duration::from_millis);
    let end = time::now() + wanted.unwrap_or(Duration::from_secs(1));
    let mut calls = 0;
    while time::now() < end {
        for _ in 0..BURST {
            if let Err(error) = sys::null() {
                relay::error!("nulls: {}", error);
                return 1;
            }
        }
        calls += BURST;
    }
    relay::info!("nulls: {calls} calls");
    0
}
