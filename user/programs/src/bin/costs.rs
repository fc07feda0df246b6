//! `costs`: what calls cost, in ticks of the clock: instructions, where it counts these.
//!
//! Each is done a hundred times, and the least is said: what else comes in between only adds to it.
//! Where programs take the trace (`taken=trace`), taking and giving back a packet of it, too.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

use relay_abi::{NORMAL_PRIORITY, ThreadOptions};
use relay_rt::files::Files;
use relay_rt::port::{Bytes, Port, Says};
use relay_rt::{relay, sys, thread, time};

relay_rt::entry!(run);

/// How often each is done.
const ROUNDS: usize = 100;

/// Bytes of the stack of the other thread.
const STACK: usize = 16 * 1024;

fn run(_arguments: &'static str) -> u32 {
    let nothing = least(|| ());
    let say = |name: &str, ticks: u64| {
        relay::info!("costs: {name} {}", ticks.saturating_sub(nothing));
    };
    say("null", least(|| _ = sys::null()));
    say("time", least(|| _ = sys::time()));
    let Ok(port) = Port::new() else {
        return 1;
    };
    say("notify", least(|| _ = port.notify(1)));
    let mut bytes = Bytes::new();
    _ = port.receive(&mut bytes, None);
    let options = ThreadOptions {
        priority: NORMAL_PRIORITY,
        cpus: 1,
    };
    _ = sys::thread_options(&options);
    let handle = port.handle();
    let server = thread::spawn(STACK, options, move || {
        let mut bytes = Bytes::new();
        while let Ok(come) = sys_receive(handle, &mut bytes) {
            if come == u64::MAX {
                return;
            }
        }
    });
    let Ok(server) = server else {
        return 1;
    };
    let mut call = |word| _ = port.call(Says::words([word; 3]), &mut bytes);
    say("message and reply", least(|| call(7)));
    call(u64::MAX);
    let () = server.join();
    let end = thread::spawn(STACK, options, || {
        for _ in 0..ROUNDS * 4 {
            sys::yield_now();
        }
    });
    // There and back.
    say("two switches by yield", least(sys::yield_now));
    if let Ok(end) = end {
        let () = end.join();
    }
    if let Ok(ticks) = take_and_give_back() {
        say("take and give back", ticks);
    }
    0
}

/// What a packet in a mapping costs, which is taken and given back: the least of those that the trace
/// of a call fills.
fn take_and_give_back() -> Result<u64, relay_abi::Error> {
    let files = Files::given();
    let mut file = files.consume("/trace/0")?;
    file.map()?;
    let info = file.info()?;
    files.filter("trace", "syscall_entry_time")?;
    // Until the ring is full.
    while file.info()?.lost == info.lost {
        for _ in 0..ROUNDS {
            let _ = sys::time();
        }
    }
    files.filter("trace", "off")?;
    let mut ticks = u64::MAX;
    for _ in 1..info.subbuf_count {
        let begin = time::ticks();
        file.take()?.give_back()?;
        ticks = ticks.min(time::ticks().wrapping_sub(begin));
    }
    Ok(ticks)
}

/// Receives once, and answers; the first word.
fn sys_receive(port: u32, bytes: &mut Bytes) -> Result<u64, relay_abi::Error> {
    let mut room = [0; relay_abi::MESSAGE_BYTES];
    let mut come = sys::receive(port, u64::MAX, &mut room)?;
    loop {
        let words = come.said;
        if words.words[0] == u64::MAX {
            sys::reply(&words, bytes.get())?;
            return Ok(u64::MAX);
        }
        let said = sys::Words {
            handle: relay_abi::NO_HANDLE,
            ..words
        };
        come = sys::reply_receive(port, &said, &mut room, 0)?;
    }
}

/// The ticks that the fastest of many rounds takes.
fn least(mut action: impl FnMut()) -> u64 {
    let mut least = u64::MAX;
    for _ in 0..ROUNDS {
        let begin = time::ticks();
        action();
        least = least.min(time::ticks().wrapping_sub(begin));
    }
    least
}
