//! `hold klog`: takes over all streams of these channels, takes as many packets of each as it can, and
//! does nothing with them until the streams are taken back: a drain that hangs.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::time::Duration;

use relay_abi::{Error, PollItem, ready};
use relay_rt::files::{self, Files};
use relay_rt::relay;

relay_rt::entry!(run);

/// The most streams that are waited for.
const MOST: usize = 64;

fn run(arguments: &'static str) -> u32 {
    let mut held = Vec::new();
    for path in Files::given().paths() {
        let channel = path.text().rsplit_once('/').unwrap_or_default().0;
        let mut wanted = arguments.split_ascii_whitespace();
        if wanted.any(|wanted| wanted == channel.trim_start_matches('/')) && held.len() < MOST {
            held.extend(Files::given().drain(path.text()));
        }
    }
    relay::info!("hold: {} streams are held", held.len());
    while !held.is_empty() {
        let mut items = Vec::new();
        for file in &held {
            while let Ok(packet) = file.take() {
                let _ = packet.keep();
            }
            items.push(PollItem {
                handle: file.handle(),
                wanted: ready::READABLE | ready::ENDED,
                found: 0,
            });
        }
        match files::poll(&mut items, Some(Duration::from_secs(5))) {
            Ok(_) | Err(Error::TimedOut) => {}
            Err(_) => return 1,
        }
        let ended = items.iter().map(|item| item.found & ready::ENDED != 0);
        let mut ended: Vec<_> = ended.collect();
        held.retain(|_| !ended.remove(0));
    }
    0
}
