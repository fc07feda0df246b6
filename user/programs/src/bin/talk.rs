//! `talk 20000 100`: writes so many lines to `user`, with so many microseconds between two of them (0
//! unless it is said), before anybody else has a turn; then waits until `logd` has told all of them to
//! syslog, and says how long that took.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

use core::time::Duration;

use programs::syslog::{ASK, NAME};
use relay_abi::{Error, TOP_PRIORITY, ThreadOptions};
use relay_rt::port::{Bytes, Says};
use relay_rt::{names, relay, sys, time};

relay_rt::entry!(run);

/// How long `logd` may take to be there, after it has died, too.
const THERE: Duration = Duration::from_secs(20);

fn run(arguments: &'static str) -> u32 {
    let mut numbers = arguments.split_ascii_whitespace().map(str::parse::<u64>);
    let (Some(Ok(lines)), pause) = (numbers.next(), numbers.next().unwrap_or(Ok(0))) else {
        relay::error!("talk: '{arguments}' does not begin with a number of lines");
        return 2;
    };
    let Ok(pause) = pause.map(Duration::from_micros) else {
        relay::error!("talk: the pause in '{arguments}' is no number");
        return 2;
    };
    let first = ThreadOptions {
        priority: TOP_PRIORITY,
        cpus: 0,
    };
    if let Err(error) = sys::thread_options(&first) {
        relay::warn!("talk: others may have turns meanwhile: {}", error);
    }
    for line in 0..lines {
        relay::info!("line {line} of {lines}: nothing happens, and that is told in some words");
        if pause != Duration::ZERO {
            time::sleep(pause);
        }
    }
    let begin = time::now();
    match wait(begin) {
        Ok(()) => {
            let took = (time::now() - begin).as_micros() as u64;
            relay::info!("talk: {lines} lines were told within {took} us");
            0
        }
        Err(error) => {
            relay::error!("talk: nobody says that they were told: {}", error);
            1
        }
    }
}

/// Waits until `logd` has told what was written before.
fn wait(begin: Duration) -> Result<(), Error> {
    loop {
        let asked = names::lookup(NAME).and_then(|logd| {
            let mut bytes = Bytes::new();
            logd.call(Says::words([ASK, 0, 0]), &mut bytes)
        });
        match asked {
            // It has died, and is started again.
            Err(Error::NotFound | Error::Ended) if time::now() < begin + THERE => {
                time::sleep(Duration::from_millis(1));
            }
            other => return other.map(|_| ()),
        }
    }
}
