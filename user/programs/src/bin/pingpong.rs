//! `pingpong`: messages between two programs, measured.
//!
//! `pingpong server 5000` works so many nanoseconds, and answers each message with its words. `pingpong
//! client 10000 5000` calls it so often, works so long before each call, and says how many ticks a
//! call took, with what the server works.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

use core::time::Duration;

use relay_abi::Error;
use relay_rt::port::{Bytes, Port, Says};
use relay_rt::{names, relay, sys, time};

relay_rt::entry!(run);

/// The name of the server's port.
const NAME: &str = "pingpong";

/// The first word of the message after which the server ends.
const STOP: u64 = u64::MAX;

/// How often the client asks for a server that is not there yet, and how long it waits between.
const TRIES: u32 = 1000;
const PAUSE: Duration = Duration::from_millis(5);

fn run(arguments: &'static str) -> u32 {
    let mut words = arguments.split_ascii_whitespace();
    let role = words.next();
    let mut number = |default: u64| words.next().map_or(Ok(default), str::parse);
    let calls = match role {
        Some("client") => number(10_000),
        _ => Ok(0),
    };
    let done = match (role, calls, number(0)) {
        (Some("server"), _, Ok(work)) => serve(work),
        (Some("client"), Ok(calls), Ok(work)) => ask(calls, work),
        _ => {
            relay::error!("pingpong: either 'server WORK-NS', or 'client CALLS WORK-NS'");
            return 2;
        }
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            relay::error!("pingpong: {}", error);
            1
        }
    }
}

fn serve(ns: u64) -> Result<(), Error> {
    let port = Port::new()?;
    let ticks = ticks_of(ns);
    names::register(NAME, &port)?;
    let mut bytes = Bytes::new();
    let mut message = port.receive(&mut bytes, None)?;
    let mut calls = 0_u64;
    while message.words[0] != STOP {
        calls += 1;
        work(ticks);
        let answer = Says::words(message.words);
        message = port.reply_receive(answer, &mut bytes)?;
    }
    relay_rt::port::reply(Says::words([0; 3]), &[])?;
    relay::info!("pingpong: server answered {calls} calls");
    Ok(())
}

fn ask(calls: u64, ns: u64) -> Result<(), Error> {
    let port = find()?;
    let ticks = ticks_of(ns);
    let mut bytes = Bytes::new();
    let (mut least, mut sum) = (u64::MAX, 0);
    for call in 0..calls {
        work(ticks);
        let begin = time::ticks();
        let answer = port.call(Says::words([call, !call, 7]), &mut bytes)?;
        let took = time::ticks().wrapping_sub(begin);
        if answer.words != [call, !call, 7] {
            relay::error!("pingpong: call {call} was answered with other words");
            return Err(Error::BadArgument);
        }
        least = least.min(took);
        sum += took;
    }
    port.call(Says::words([STOP, 0, 0]), &mut bytes)?;
    let mean = sum / calls.max(1);
    relay::info!("pingpong: client calls {calls} work {ns} ns ticks mean {mean} least {least}");
    Ok(())
}

/// Works so many ticks.
fn work(ticks: u64) {
    let begin = time::ticks();
    while time::ticks().wrapping_sub(begin) < ticks {
        core::hint::spin_loop();
    }
}

/// The server's port, once it is there.
fn find() -> Result<Port, Error> {
    for _ in 1..TRIES {
        match names::lookup(NAME) {
            Err(Error::NotFound) => time::sleep(PAUSE),
            found => return found,
        }
    }
    names::lookup(NAME)
}

/// Ticks of the clock that so many nanoseconds have, measured over a millisecond.
fn ticks_of(ns: u64) -> u64 {
    if ns == 0 {
        return 0;
    }
    let (time, begin) = (sys::time(), time::ticks());
    let mut passed = 0;
    while passed < 1_000_000 {
        passed = sys::time().wrapping_sub(time);
    }
    let ticks = time::ticks().wrapping_sub(begin);
    (u128::from(ns) * u128::from(ticks) / u128::from(passed)) as u64
}
