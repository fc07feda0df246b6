//! Says that it is there, and with which arguments; ends with the code that its first argument is.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

extern crate alloc;

use alloc::string::ToString as _;

use relay_rt::{relay, sys};

relay_rt::entry!(run);

fn run(arguments: &'static str) -> u32 {
    let who = sys::who();
    // The text is on the heap, so that it is tried, too.
    let text = arguments.to_string();
    relay::info!(
        "hello from process {}, thread {}: arguments {:?}",
        who.process,
        who.thread,
        text.as_str()
    );
    let mut words = text.split_ascii_whitespace();
    let code = words.next().and_then(|word| word.parse().ok());
    code.unwrap_or(0)
}
