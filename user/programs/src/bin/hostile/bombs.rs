//! More of everything, until there is no more.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use relay_abi::{Error, rights};
use relay_rt::files::{FILES, Files, Owned};
use relay_rt::port::Port;
use relay_rt::process::{NORMAL, Process};
use relay_rt::{provoke, sys, time};

use crate::Case;
use crate::got::{Got, ended};

pub(crate) const CASES: &[Case] = &[
    ("port-bomb", port_bomb),
    ("memory-bomb", memory_bomb),
    ("piece-bomb", piece_bomb),
    ("thread-bomb", thread_bomb),
    ("process-bomb", process_bomb),
    ("write-flood", write_flood),
];

/// Calls until an error comes; returns how often it went well, and the error.
fn until_refused<T>(mut call: impl FnMut() -> Result<T, Error>) -> (Vec<T>, Got) {
    let (mut all, mut got) = (Vec::new(), Got::new());
    loop {
        match call() {
            Ok(one) => all.push(one),
            Err(error) => {
                got.add(Err::<(), _>(error));
                return (all, got);
            }
        }
    }
}

fn port_bomb() -> Result<String, Error> {
    let (ports, got) = until_refused(Port::new);
    drop(ports);
    let mut after = Got::new();
    after.add(Port::new());
    Ok(format!("{got}, after giving back {after}"))
}

fn memory_bomb() -> Result<String, Error> {
    let (pieces, got) = until_refused(|| relay_rt::memory::Memory::new(1 << 20));
    drop(pieces);
    let mut after = Got::new();
    after.add(relay_rt::memory::Memory::new(1 << 20));
    Ok(format!("{got}, after giving back {after}"))
}

fn piece_bomb() -> Result<String, Error> {
    let (pieces, got) = until_refused(|| relay_rt::memory::Memory::new(4096));
    drop(pieces);
    let mut after = Got::new();
    after.add(relay_rt::memory::Memory::new(4096));
    Ok(format!("{got}, after giving back {after}"))
}

/// In a process of its own: threads cannot be given back before they end.
fn thread_bomb() -> Result<String, Error> {
    as_role("threads", "")
}

/// As many threads as there can be; their sleep is ended with the program.
pub(crate) fn threads() -> u32 {
    let Some(entry) = provoke::without_stack() else {
        return 2;
    };
    let stack = [0_u64; 2];
    let at = stack.as_ptr().expose_provenance() as u64;
    let (started, got) = until_refused(|| {
        programs::raw::count(
            relay_abi::Call::ThreadStart as u64,
            [entry, at, 1 << 40, 0, 0, 0],
        )
    });
    let is_refused = got.text() == "NoRoom";
    // What has started is told by the code.
    if is_refused {
        started.len() as u32
    } else {
        200
    }
}

fn process_bomb() -> Result<String, Error> {
    let (children, got) =
        until_refused(|| Process::spawn(Files::given(), "hostile", "as sleeper", &[FILES], NORMAL));
    let is_many = children.len() >= 32;
    for child in &children {
        child.kill()?;
    }
    let mut all_killed = true;
    for child in &children {
        all_killed &= ended(child)? == "killed";
    }
    drop(children);
    let after = as_role("exit", "7")?;
    Ok(format!(
        "{got}, many {is_many}, all killed {all_killed}, after that {after}"
    ))
}

/// Starts `hostile as ROLE ARGUMENT`, and waits for its end.
pub(crate) fn as_role(role: &str, argument: &str) -> Result<String, Error> {
    let text = format!("as {role} {argument}");
    let files = Owned::new(sys::duplicate(FILES, rights::ALL)?);
    let child = Process::spawn(Files::given(), "hostile", &text, &[files.handle()], NORMAL)?;
    ended(&child)
}

/// More texts than the channel has room for. What is lost is the program's own.
fn write_flood() -> Result<String, Error> {
    let text = "flood ".repeat(100);
    let mut got = Got::new();
    for _ in 0..3000 {
        got.add(sys::write(FILES, 6, &text));
    }
    // So that what this program says next is not lost.
    while sys::write(FILES, 6, "the flood is over").is_err() {
        time::sleep(core::time::Duration::from_millis(10));
    }
    Ok(got.within(&[Error::Refused]))
}
