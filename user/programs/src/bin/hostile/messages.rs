//! Wrong messages.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use relay_abi::{Error, Handle, rights};
use relay_rt::files::FILES;
use relay_rt::port::{self, Bytes, Port, Says};
use relay_rt::process::NORMAL;
use relay_rt::{sys, thread};

use crate::Case;
use crate::got::Got;

pub(crate) const CASES: &[Case] = &[
    ("reply-to-nobody", reply_to_nobody),
    ("reply-twice", reply_twice),
    ("receive-again-unanswered", receive_again),
    ("pass-what-is-not-had", pass_wrong),
    ("call-closed-port", call_closed),
    ("close-with-callers", close_with_callers),
];

/// A thread that calls a port, and returns what it got.
fn caller(port: Handle) -> Result<thread::Thread<Result<(), Error>>, Error> {
    thread::spawn(thread::STACK, NORMAL, move || {
        port::call(port, Says::words([1, 2, 3]), &mut Bytes::of(b"hello")).map(|_| ())
    })
}

fn reply_to_nobody() -> Result<String, Error> {
    let mut got = Got::new();
    got.add(port::reply(Says::words([0; 3]), &[]));
    Ok(got.text())
}

fn reply_twice() -> Result<String, Error> {
    let port = Port::new()?;
    let calls = caller(port.handle())?;
    port.receive(&mut Bytes::new(), None)?;
    let (mut once, mut twice, mut called) = (Got::new(), Got::new(), Got::new());
    once.add(port::reply(Says::words([0; 3]), &[]));
    twice.add(port::reply(Says::words([0; 3]), &[]));
    called.add(calls.join());
    Ok(format!("{once}, then {twice}; the caller {called}"))
}

fn receive_again() -> Result<String, Error> {
    let port = Port::new()?;
    let calls = caller(port.handle())?;
    port.receive(&mut Bytes::new(), None)?;
    let (mut again, mut called) = (Got::new(), Got::new());
    again.add(port.receive(&mut Bytes::new(), Some(Duration::ZERO)));
    called.add(calls.join());
    Ok(format!("{again}; the caller {called}"))
}

fn pass_wrong() -> Result<String, Error> {
    let port = Port::new()?;
    let kept = sys::duplicate(FILES, rights::ALL & !rights::PASS)?;
    let mut got = Got::new();
    for handle in [100, 127, 128, kept] {
        let says = Says {
            words: [0; 3],
            pass: Some(handle),
        };
        got.add(port.call(says, &mut Bytes::new()));
    }
    sys::close(kept)?;
    Ok(got.text())
}

fn call_closed() -> Result<String, Error> {
    let port = Port::new()?;
    let send = sys::duplicate(port.handle(), rights::SEND)?;
    drop(port);
    let mut got = Got::new();
    got.add(port::call(send, Says::words([0; 3]), &mut Bytes::new()));
    got.add(sys::notify(send, 1));
    sys::close(send)?;
    Ok(got.text())
}

fn close_with_callers() -> Result<String, Error> {
    let port = Port::new()?;
    let send = sys::duplicate(port.handle(), rights::SEND)?;
    let mut callers = Vec::new();
    for _ in 0..8 {
        callers.push(caller(send)?);
    }
    // One is received, the others wait, or come later.
    port.receive(&mut Bytes::new(), None)?;
    drop(port);
    let mut got = Got::new();
    got.add(port::reply(Says::words([0; 3]), &[]));
    for caller in callers {
        got.add(caller.join());
    }
    sys::close(send)?;
    Ok(got.within(&[Error::Ended]))
}
