//! `hostile [CASE...]`: does what programs must not do, case after case, and writes what each got:
//! `case NAME: GOT`. Without arguments all of them, in order. What they are, and what others lose by
//! them, is in `docs/MISBEHAVIOUR.md`.
//!
//! `hostile as ROLE ...` is a process that a case starts.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

extern crate alloc;

mod bombs;
mod consumers;
mod deaths;
mod got;
mod messages;
mod numbers;
mod races;

use alloc::string::String;

use relay_abi::Error;
use relay_rt::relay;

relay_rt::entry!(run);

/// A case: its name, and what it does.
type Case = (&'static str, fn() -> Result<String, Error>);

/// All of them.
const CASES: &[&[Case]] = &[
    numbers::CASES,
    messages::CASES,
    races::CASES,
    bombs::CASES,
    deaths::CASES,
    consumers::CASES,
];

fn run(arguments: &'static str) -> u32 {
    let mut words = arguments.split_ascii_whitespace().peekable();
    if words.next_if_eq(&"as").is_some() {
        return deaths::act(
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
    }
    let mut code = 0;
    let is_wanted = |name: &str| {
        let mut wanted = arguments.split_ascii_whitespace();
        arguments.is_empty() || wanted.any(|word| word == name)
    };
    for (name, case) in CASES.iter().copied().flatten() {
        if !is_wanted(name) {
            continue;
        }
        match case() {
            Ok(got) => relay::info!("case {name}: {}", got.as_str()),
            Err(error) => {
                code = 1;
                relay::error!("case {name}: not done: {}", error);
            }
        }
    }
    code
}
