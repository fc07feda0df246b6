//! `random SEED CALLS [PROCESSES [THREADS [trace]]]`: makes so many system calls with arguments of a seeded
//! generator, in several processes of several threads each, and starts those again that have ended
//! themselves. Now and then it ends one in the middle of whatever it is doing. Says how many calls
//! there were, and what they got.
//!
//! `random child SEED THREADS PLACE` is one of these processes, `random leaf SEED` one that such a process
//! starts by chance: a few hundred calls, and it ends.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

extern crate alloc;

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;

use programs::raw;
use programs::wild::{Places, Random};
use relay_abi::{
    Call, Ended, Error, Handle, MESSAGE_BYTES, NORMAL_PRIORITY, PollItem, Spawn, ThreadOptions,
    ready, rights,
};
use relay_rt::files::{self, FILES, Files, Owned};
use relay_rt::port::{self, Bytes, Port, Says};
use relay_rt::process::{NORMAL, Process};
use relay_rt::{provoke, relay, sys, thread, time};

relay_rt::entry!(run);

/// The first word of a report.
const REPORT: u64 = 0x72_616e_646f_6d21;
/// After how many calls a thread reports.
const BATCH: u64 = 256;
/// The port for reports, of a child; one that all children share; files without the right to spawn.
const REPORTS: Handle = 1;
const SHARED: Handle = 2;
const FEW: Handle = 3;
/// Calls of a leaf.
const LEAF_CALLS: u64 = 300;
/// A leaf ends after this, whatever it waits for.
const LEAF_LIFE: Duration = Duration::from_millis(200);
/// A child that has not reported for so long is ended: all its threads wait for each other.
const STUCK: Duration = Duration::from_millis(200);
/// The files that are opened; those of the trace if this is left to programs.
const PATHS: [[&str; 5]; 2] = [
    ["/user/0", "/klog/1", "/trace/2", "/trace/3", "/user/5"],
    ["/trace/0", "/trace/1", "/trace/2", "/trace/3", "/trace/5"],
];
/// How often it is tried to give a stream its ring back.
const RESTORES: u32 = 100;
/// Results that are counted: no error, and each error.
const RESULTS: usize = 1 + Error::ALL.len();

/// How often each result came: no error first, then the errors by their numbers.
type Results = [u32; RESULTS];
const _: () = assert!(size_of::<Results>() <= MESSAGE_BYTES);

/// What may be read and written, and nobody relies on: the kernel does, at any time.
static GOOD: [AtomicU64; 1024] = [const { AtomicU64::new(0) }; 1024];
/// Poll items, renewed before each poll.
static POLL: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];
/// Where something was mapped.
static PIECES: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];

fn run(arguments: &'static str) -> u32 {
    let mut words = arguments.split_ascii_whitespace();
    let first = words.next().unwrap_or_default();
    let mut number = |default: u64| words.next().map_or(Ok(default), str::parse);
    let done = match (first, number(1), number(2), number(4)) {
        ("child", Ok(seed), Ok(threads), Ok(place)) => {
            child(seed, threads, place, words.next() == Some("1"))
        }
        ("leaf", Ok(seed), Ok(is_traced), _) => leaf(seed, is_traced == 1),
        (seed, Ok(calls), Ok(processes), Ok(threads)) => match seed.parse() {
            Ok(seed) => {
                let is_traced = words.next() == Some("trace");
                let (processes, threads) = (processes.clamp(1, 16), threads.clamp(1, 32));
                switch(is_traced, "all")
                    .and_then(|()| shapes())
                    .and_then(|shapes| {
                        supervise(seed, calls, [processes, threads, is_traced.into()])?;
                        switch(is_traced, "off")?;
                        restore(&shapes)
                    })
            }
            Err(_) => return 2,
        },
        _ => return 2,
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            relay::error!("random: {}", error);
            1
        }
    }
}

/// Sets the trace, if it is wanted: with it on, and left to programs, there is something to take.
fn switch(is_traced: bool, to: &str) -> Result<(), Error> {
    match is_traced {
        true => Files::given().filter("trace", to),
        false => Ok(()),
    }
}

/// The files, each with the shape of its ring.
fn shapes() -> Result<Vec<(files::Path, [u64; 2])>, Error> {
    let shape = |path: files::Path| {
        let info = Files::given().observe(path.text())?.info()?;
        Ok((path, [info.subbuf_size, info.subbuf_count]))
    };
    Files::given().paths().map(shape).collect()
}

/// Has all streams go on in rings of these shapes, and takes what nobody has: a ring that was replaced
/// is freed when it is read.
fn restore(shapes: &[(files::Path, [u64; 2])]) -> Result<(), Error> {
    // Leaves may go on for so long, and rings are replaced at a CPU's next tick.
    time::sleep(2 * LEAF_LIFE);
    for (path, shape) in shapes {
        let path = path.text();
        let consumed = Files::given().consume(path);
        let is_consumed = consumed.is_ok();
        let file = consumed.or_else(|_| Files::given().observe(path))?;
        let (mut is_restored, mut last) = (false, None);
        for _ in 0..RESTORES {
            file.flush()?;
            time::sleep(Duration::from_millis(10));
            while is_consumed && let Ok(packet) = file.take() {
                packet.give_back()?;
            }
            let info = file.info()?;
            let is_as_before = [info.subbuf_size, info.subbuf_count] == *shape;
            if is_as_before && is_restored {
                break;
            }
            is_restored = is_as_before;
            if !is_as_before {
                // An old ring may still be there: then again.
                last = file.resize(shape[0], shape[1]).err();
            }
        }
        if !is_restored {
            let [size, count] = *shape;
            let why = last.map_or("", |error| error.text());
            relay::error!(
                "random: {path} has not its ring of {count} times {size}: {}",
                why
            );
        }
    }
    Ok(())
}

/// A process that makes calls.
struct Child {
    process: Process,
    /// When it was started or has reported last.
    seen: Duration,
}

/// How the processes went.
#[derive(Default)]
struct Ends {
    started: u64,
    exited: u64,
    faulted: u64,
    killed: u64,
    stuck: u64,
}

/// Starts children until they have made so many calls.
fn supervise(
    seed: u64,
    calls: u64,
    [processes, threads, is_traced]: [u64; 3],
) -> Result<(), Error> {
    let mut random = Random::new(seed);
    let port = Port::new()?;
    let shared = Port::new()?;
    let mut results = [0_u64; RESULTS];
    let mut ends = Ends::default();
    let mut children: Vec<Option<Child>> = (0..processes).map(|_| None).collect();
    let (mut done, begun) = (0, time::now());
    let mut bytes = Bytes::new();
    let mut next_news = calls / 10;
    while done < calls {
        for (place, child) in children.iter_mut().enumerate() {
            look(child, &mut ends)?;
            if child.is_none() {
                ends.started += 1;
                let plan = [random.next(), threads, place as u64, is_traced];
                *child = Some(start(plan, &port, &shared)?);
            }
        }
        wait(&port, &children)?;
        while let Ok(message) = port.receive(&mut bytes, Some(Duration::ZERO)) {
            if message.sender.is_none() {
                continue;
            }
            // Who has sent it may be gone.
            let _ = port::reply(Says::words([0; 3]), &[]);
            let [REPORT, made, place] = message.words else {
                continue;
            };
            done += made;
            for (sum, count) in results.iter_mut().zip(bytes.get().chunks_exact(4)) {
                *sum += u64::from(
                    count
                        .iter()
                        .rev()
                        .fold(0, |all, byte| all << 8 | u32::from(*byte)),
                );
            }
            if let Some(Some(child)) = children.get_mut(place as usize) {
                child.seen = time::now();
            }
            if random.once_in(64)
                && let Some(child) = &children[random.below(processes) as usize]
            {
                child.process.kill()?;
            }
        }
        if done >= next_news {
            next_news += calls / 10;
            relay::info!("random: {done} of {calls} calls");
        }
    }
    for child in children.iter().flatten() {
        child.process.kill()?;
    }
    for child in &mut children {
        while child.is_some() {
            look(child, &mut ends)?;
            time::sleep(Duration::from_millis(1));
        }
    }
    let took = (time::now() - begun).as_millis() as u64;
    let Ends {
        started,
        exited,
        faulted,
        killed,
        stuck,
    } = ends;
    relay::info!(
        "random: seed {seed} calls {done} in {took} ms, processes {started} exited {exited} faulted {faulted} killed {killed} of these stuck {stuck}"
    );
    let mut text = format!("random: done {}", results[0]);
    for (error, count) in Error::ALL.iter().zip(&results[1..]) {
        text.push_str(&format!(" {error:?} {count}"));
    }
    relay::info!("{}", text.as_str());
    Ok(())
}

/// Starts a child.
fn start(
    [seed, threads, place, is_traced]: [u64; 4],
    port: &Port,
    shared: &Port,
) -> Result<Child, Error> {
    let pass = |handle, some| sys::duplicate(handle, some | rights::PASS).map(Owned::new);
    let reports = pass(port.handle(), rights::SEND)?;
    let shared = pass(shared.handle(), rights::SEND | rights::RECEIVE)?;
    // A ring that was replaced stays until its reader has something new to read: where nobody else
    // reads, that can be seen to.
    let kept = match is_traced {
        0 => rights::CONTROL,
        _ => 0,
    };
    let all = pass(FILES, rights::ALL & !kept)?;
    let few = pass(all.handle(), rights::ALL & !rights::SPAWN)?;
    let handles = [
        all.handle(),
        reports.handle(),
        shared.handle(),
        few.handle(),
    ];
    let arguments = format!("child {seed} {threads} {place} {is_traced}");
    let process = Process::spawn(Files::given(), "random", &arguments, &handles, NORMAL)?;
    Ok(Child {
        process,
        seen: time::now(),
    })
}

/// Whether a child has ended, and how; one that is stuck is ended.
fn look(child: &mut Option<Child>, ends: &mut Ends) -> Result<(), Error> {
    let Some(running) = child else {
        return Ok(());
    };
    match running.process.status()? {
        Ended::Not if time::now() - running.seen > STUCK => {
            ends.stuck += 1;
            running.seen = time::now();
            return running.process.kill();
        }
        Ended::Not => return Ok(()),
        Ended::Exited(_) => ends.exited += 1,
        Ended::Faulted(_) => ends.faulted += 1,
        Ended::Killed => ends.killed += 1,
    }
    *child = None;
    Ok(())
}

/// Waits for a report, or the end of a child.
fn wait(port: &Port, children: &[Option<Child>]) -> Result<(), Error> {
    let item = |handle, wanted| PollItem {
        handle,
        wanted,
        found: 0,
    };
    let children = children.iter().flatten();
    let mut items: Vec<_> = [item(port.handle(), ready::READABLE)]
        .into_iter()
        .chain(children.map(|child| item(child.process.handle(), ready::ENDED)))
        .collect();
    files::poll(&mut items, Some(STUCK / 4)).map(|_| ())
}

/// One of the processes: so many threads, each on a CPU, and one that answers.
fn child(seed: u64, threads: u64, child: u64, is_traced: bool) -> Result<(), Error> {
    let places = places(seed, is_traced);
    for place in 0..threads {
        let options = ThreadOptions {
            priority: NORMAL_PRIORITY,
            cpus: 1 << ((seed + place) % 8),
        };
        let run = move || {
            let mut random = Random::new(seed ^ place << 32);
            let mut results = [0; RESULTS];
            loop {
                for _ in 0..BATCH {
                    one(&mut random, places, false, &mut results);
                }
                if report(child, &mut results).is_err() {
                    // The port of reports is gone: so is the use of this process.
                    sys::exit(3);
                }
            }
        };
        // A machine of fewer CPUs has no such.
        if thread::spawn(thread::STACK, options, run).is_err() {
            thread::spawn(thread::STACK, NORMAL, || ()).map(drop)?;
        }
    }
    serve()
}

/// Answers whoever calls a port of this process: else all threads could wait for each other.
fn serve() -> ! {
    let mut bytes = Bytes::new();
    loop {
        for handle in (SHARED..128).filter(|handle| *handle != FEW) {
            let Ok(come) = sys::receive(handle, 0, &mut [0; MESSAGE_BYTES]) else {
                continue;
            };
            if come.sender != 0 {
                bytes.set(&[7; 100]);
                let _ = port::reply(Says::words([1, 2, 3]), bytes.get());
            }
        }
        time::sleep(Duration::from_millis(1));
    }
}

/// A process that a child has started.
fn leaf(seed: u64, is_traced: bool) -> Result<(), Error> {
    let places = places(seed, is_traced);
    let timer = || {
        time::sleep(LEAF_LIFE);
        sys::exit(0)
    };
    thread::spawn::<(), _>(thread::STACK, NORMAL, timer).map(drop)?;
    let mut random = Random::new(seed ^ time::ticks());
    let mut results = [0; RESULTS];
    for _ in 0..LEAF_CALLS {
        one(&mut random, places, true, &mut results);
    }
    Ok(())
}

/// Tells what calls got.
fn report(child: u64, results: &mut Results) -> Result<(), Error> {
    let mut bytes = Bytes::new();
    let mut all = [0; 4 * RESULTS];
    for (place, count) in all.chunks_exact_mut(4).zip(results.iter_mut()) {
        place.copy_from_slice(&count.to_le_bytes());
        *count = 0;
    }
    bytes.set(&all);
    port::call(REPORTS, Says::words([REPORT, BATCH, child]), &mut bytes).map(|_| ())
}

/// Makes one call.
fn one(random: &mut Random, places: &Places, has_end: bool, results: &mut Results) {
    let pieces = core::array::from_fn(|place| PIECES[place].load(Ordering::Relaxed));
    let now = Places {
        pieces,
        ..places.clone()
    };
    let (number, arguments) = random.call(&now, has_end);
    if number == Call::Poll as u64 {
        for item in &POLL {
            let wanted = random.one_of(&[1, 2, 3, 0, 0xffff]);
            item.store(random.below(24) | wanted << 32, Ordering::Relaxed);
        }
    }
    let out = raw::call(number, arguments);
    match Error::check(out.rax) {
        Ok(count) => {
            results[0] += 1;
            if [Call::MemoryMap as u64, Call::FileMap as u64].contains(&number) {
                let place = random.below(PIECES.len() as u64) as usize;
                PIECES[place].store(count, Ordering::Relaxed);
            }
        }
        Err(error) => results[error as usize] += 1,
    }
}

/// The addresses that this program has for calls. They are never given back.
fn places(seed: u64, is_traced: bool) -> &'static Places {
    let address = |bytes: &'static [u8]| bytes.as_ptr().expose_provenance() as u64;
    let leaked = |words: Vec<u8>| address(Vec::leak(words));
    let options = |priority: u32, cpus: u32| {
        let bytes = [priority.to_le_bytes(), cpus.to_le_bytes()].concat();
        leaked(bytes)
    };
    let handles = leaked([FEW, REPORTS, SHARED].map(u32::to_le_bytes).concat());
    let spawn = |name: &'static str, arguments: &'static str, handles_len| {
        let spawn = Spawn {
            name: address(name.as_bytes()),
            name_len: name.len() as u64,
            arguments: address(arguments.as_bytes()),
            arguments_len: arguments.len() as u64,
            handles,
            handles_len,
            options: NORMAL,
        };
        (&raw const *Box::leak(Box::new(spawn))).expose_provenance() as u64
    };
    let filter = |key: &'static str, value: &'static str| {
        let lengths = [key.len() as u64, value.len() as u64];
        [
            address(key.as_bytes()),
            lengths[0],
            address(value.as_bytes()),
            lengths[1],
        ]
    };
    let leaf: &'static str = format!("leaf {seed} {}", u8::from(is_traced)).leak();
    let good = |place: usize| GOOD[place..].as_ptr().expose_provenance() as u64;
    Box::leak(Box::new(Places {
        good: [good(0), good(512)],
        fixed: address(b"what nobody may write, in the program's constants: it is only read"),
        poll: POLL.as_ptr().expose_provenance() as u64,
        pieces: [0; 16],
        paths: PATHS[usize::from(is_traced)]
            .map(|path| [address(path.as_bytes()), path.len() as u64]),
        options: [
            options(20, 0),
            options(10, 1),
            options(0, 0xff),
            options(39, 0xf0),
        ],
        spawns: [
            spawn("random", leaf, 3),
            spawn("random", leaf, 3),
            spawn("hello", "", 1),
            spawn("nobody", "", 0),
        ],
        entry: provoke::without_stack().unwrap_or_default(),
        filters: [
            filter("log", "info"),
            filter("trace-snapshot", "off"),
            filter("evlog", "all"),
        ],
    }))
}
