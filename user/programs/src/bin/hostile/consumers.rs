//! A consumer that misuses what it consumes: `/trace/0`, which the machine must have left to programs
//! (the setting `taken=trace`), with sub-buffers that can be mapped.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use programs::raw;
use relay_abi::{Call, Error, ThreadOptions, ready};
use relay_rt::files::{self, FILES, File, Files};
use relay_rt::process::{NORMAL, Process};
use relay_rt::provoke::Fault;
use relay_rt::{sys, thread, time};

use crate::Case;
use crate::deaths;
use crate::got::{Got, ended};

pub(crate) const CASES: &[Case] = &[
    ("consume-what-another-has", consume_twice),
    ("take-as-observer", take_as_observer),
    ("read-and-take", read_and_take),
    ("give-back-twice", give_back_twice),
    ("give-back-in-another-order", give_back_mixed),
    ("give-back-never-had", give_back_never_had),
    ("copy-wrong", copy_wrong),
    ("hold-everything-and-sleep", hold_everything),
    ("poll-and-never-read", poll_and_never_read),
    ("write-to-a-mapping", || holder("writes")),
    ("exit-holding", || holder("exits")),
    ("fault-holding", || holder("faults")),
    ("killed-holding", || holder("sleeps")),
    ("map-and-unmap", map_and_unmap),
    ("resize-under-a-mapping", resize_under_mapping),
    ("resize-while-taking", resize_while_taking),
    ("close-while-taking", close_while_taking),
];

const PATH: &str = "/trace/0";

/// Consumes the file, with more packets in it than can be held.
fn filled() -> Result<File, Error> {
    let file = Files::given().consume(PATH)?;
    fill()?;
    Ok(file)
}

/// Has CPU 0 write to the trace until its ring is nearly full.
fn fill() -> Result<(), Error> {
    let on_0 = ThreadOptions { cpus: 1, ..NORMAL };
    sys::thread_options(&on_0)?;
    Files::given().filter("trace", "all")?;
    let observer = Files::given().observe(PATH)?;
    let before = observer.info()?;
    let wanted = before.subbuf_size * before.subbuf_count.min(24);
    // An event has 16 bytes and more.
    for _ in 0..wanted / 32 {
        let _ = sys::time();
    }
    Files::given().filter("trace", "off")?;
    observer.flush()?;
    time::sleep(Duration::from_millis(20));
    sys::thread_options(&NORMAL)
}

/// Takes all that there is, so that nothing is left behind.
fn drain(file: &File) -> Result<u64, Error> {
    file.flush()?;
    time::sleep(Duration::from_millis(20));
    let mut count = 0;
    loop {
        match file.take() {
            Ok(packet) => packet.give_back()?,
            Err(Error::Again | Error::Ended) => return Ok(count),
            Err(error) => return Err(error),
        }
        count += 1;
    }
}

fn consume_twice() -> Result<String, Error> {
    let first = Files::given().consume(PATH)?;
    let mut got = Got::new();
    got.add(Files::given().consume(PATH));
    drop(first);
    let mut after = Got::new();
    after.add(Files::given().consume(PATH));
    Ok(format!("{got}, when the first has closed it {after}"))
}

fn take_as_observer() -> Result<String, Error> {
    let file = Files::given().observe(PATH)?;
    let handle = file.handle().into();
    let mut got = Got::new();
    for call in [
        Call::FileTake,
        Call::FileGiveBack,
        Call::FileCopy,
        Call::FileMap,
    ] {
        got.call(call, [handle, 0, 0, 0, 0, 0]);
    }
    Ok(got.text())
}

fn read_and_take() -> Result<String, Error> {
    let mut buffer = alloc::vec![0; 65536];
    let mut got = Got::new();
    let file = filled()?;
    let packet = file.take()?;
    got.add(file.read(&mut buffer));
    packet.give_back()?;
    drop(file);
    let file = Files::given().consume(PATH)?;
    let _ = file.read(&mut buffer);
    got.add(file.take());
    drop(file);
    drain(&Files::given().consume(PATH)?)?;
    Ok(got.text())
}

fn give_back_twice() -> Result<String, Error> {
    let file = filled()?;
    let taken = sys::file_take(file.handle())?;
    let (mut once, mut twice) = (Got::new(), Got::new());
    once.add(sys::file_give_back(file.handle(), taken.number));
    twice.add(sys::file_give_back(file.handle(), taken.number));
    drain(&file)?;
    Ok(format!("{once}, then {twice}"))
}

fn give_back_mixed() -> Result<String, Error> {
    let file = filled()?;
    let mut numbers = [0; 5];
    for number in &mut numbers {
        *number = sys::file_take(file.handle())?.number;
    }
    let mut got = Got::new();
    for place in [3, 0, 4, 2, 1] {
        got.add(sys::file_give_back(file.handle(), numbers[place]));
    }
    drain(&file)?;
    Ok(got.text())
}

fn give_back_never_had() -> Result<String, Error> {
    let file = filled()?;
    let taken = sys::file_take(file.handle())?.number;
    let (mut before, mut later) = (Got::new(), Got::new());
    before.add(sys::file_give_back(file.handle(), taken.wrapping_sub(1)));
    for number in [taken + 1, taken + 1000, 1 << 63] {
        later.add(sys::file_give_back(file.handle(), number));
    }
    sys::file_give_back(file.handle(), taken)?;
    drain(&file)?;
    Ok(format!("before it {before}, later ones {later}"))
}

fn copy_wrong() -> Result<String, Error> {
    let file = filled()?;
    let taken = sys::file_take(file.handle())?;
    let page = relay_rt::memory::Memory::new(4096)?;
    let (handle, number) = (file.handle().into(), taken.number);
    let mut got = Got::new();
    for address in programs::wild::NOWHERE {
        got.call(Call::FileCopy, [handle, number, 0, address, 4096, 0]);
    }
    let mut wrong = Got::new();
    for offset in [taken.length as u64 + 1, 1 << 40, u64::MAX] {
        wrong.call(
            Call::FileCopy,
            [handle, number, offset, page.address(), 64, 0],
        );
    }
    let mut later = Got::new();
    later.call(
        Call::FileCopy,
        [handle, number + 1, 0, page.address(), 64, 0],
    );
    sys::file_give_back(file.handle(), taken.number)?;
    drain(&file)?;
    Ok(format!(
        "places {got}, offsets {wrong}, another packet {later}"
    ))
}

fn hold_everything() -> Result<String, Error> {
    let file = filled()?;
    let before = file.info()?;
    // More packets than can be held.
    resize(&file, 4096, 32)?;
    fill()?;
    let (mut held, mut got) = (Vec::new(), Got::new());
    loop {
        match sys::file_take(file.handle()) {
            Ok(taken) => held.push(taken.number),
            Err(error) => {
                got.add(Err::<(), _>(error));
                break;
            }
        }
    }
    let count = held.len();
    // Writers go on meanwhile: what finds no room is lost, and counted.
    fill()?;
    time::sleep(Duration::from_millis(50));
    let mut back = Got::new();
    for number in held {
        back.add(sys::file_give_back(file.handle(), number));
    }
    let goes_on = drain(&file)? > 0;
    resize(&file, before.subbuf_size, before.subbuf_count)?;
    Ok(format!(
        "{count} packets, then {got}; given back {back}, goes on {goes_on}"
    ))
}

fn poll_and_never_read() -> Result<String, Error> {
    let file = filled()?;
    let mut times = 0;
    for _ in 0..1000 {
        times += u32::from(file.wait(ready::READABLE, Some(Duration::ZERO))? == ready::READABLE);
    }
    drain(&file)?;
    Ok(format!("readable {times} times"))
}

/// Starts a process that takes packets and dies with them, and goes on where it was.
fn holder(how: &str) -> Result<String, Error> {
    let text = format!("as holder {how}");
    let child = Process::spawn(Files::given(), "hostile", &text, &[FILES], NORMAL)?;
    if how == "sleeps" {
        time::sleep(Duration::from_millis(150));
        child.kill()?;
    }
    let end = ended(&child)?;
    let file = Files::given().consume(PATH)?;
    let goes_on = drain(&file)? > 0;
    Ok(format!("{end}; the next one goes on {goes_on}"))
}

/// The role of that process.
pub(crate) fn hold_and_die(how: &str) -> u32 {
    let Ok(mut file) = filled() else {
        return 90;
    };
    if file.map().is_err() {
        return 91;
    }
    let mut at = 0;
    for _ in 0..5 {
        match sys::file_take(file.handle()) {
            Ok(taken) => at = taken.address,
            Err(_) => return 92,
        }
    }
    match how {
        "faults" => Fault::NullRead.provoke(),
        "sleeps" => _ = deaths::act("sleeper", ""),
        // The kernel refuses to write there, and so does the CPU.
        "writes" => {
            if raw::count(Call::FileName as u64, [FILES.into(), 0, at, 64, 0, 0])
                != Err(Error::BadAddress)
            {
                return 93;
            }
            Fault::write_at(at);
        }
        _ => {}
    }
    // Not given back by the program.
    core::mem::forget(file);
    0
}

fn map_and_unmap() -> Result<String, Error> {
    let file = filled()?;
    let mut got = Got::new();
    for _ in 0..200 {
        match sys::file_map(file.handle()) {
            Ok((at, length)) => {
                got.call(Call::MemoryUnmap, [at + length - 4096, 4096, 0, 0, 0, 0]);
                got.call(Call::MemoryUnmap, [at, length - 4096, 0, 0, 0, 0]);
            }
            Err(error) => got.add(Err::<(), _>(error)),
        }
    }
    let (mut pieces, mut refused) = (Vec::new(), Got::new());
    while pieces.len() < 1000 {
        match sys::file_map(file.handle()) {
            Ok(piece) => pieces.push(piece),
            Err(error) => {
                refused.add(Err::<(), _>(error));
                break;
            }
        }
    }
    for (at, length) in pieces {
        got.call(Call::MemoryUnmap, [at, length, 0, 0, 0, 0]);
    }
    drain(&file)?;
    Ok(format!("{got}; without unmapping {refused}"))
}

/// Has the stream go on in a ring of this shape, and waits until the old one is gone.
fn resize(file: &File, size: u64, count: u64) -> Result<(), Error> {
    for _ in 0..200 {
        drain(file)?;
        match file.resize(size, count) {
            Err(Error::Busy) => continue,
            Err(error) => return Err(error),
            Ok(()) => {
                drain(file)?;
                return Ok(());
            }
        }
    }
    Err(Error::Busy)
}

fn resize_under_mapping() -> Result<String, Error> {
    let mut file = filled()?;
    let before = file.info()?;
    file.map()?;
    let packet = file.take()?;
    let sum = |bytes: Option<&[u8]>| {
        bytes.map(|all| all.iter().map(|byte| u64::from(*byte)).sum::<u64>())
    };
    let first = sum(packet.bytes());
    let mut got = Got::new();
    got.add(file.resize(8192, 32));
    time::sleep(Duration::from_millis(20));
    fill()?;
    let is_same = first.is_some() && sum(packet.bytes()) == first;
    packet.give_back()?;
    drain(&file)?;
    resize(&file, before.subbuf_size, before.subbuf_count)?;
    let after = file.info()?;
    let is_back =
        (after.subbuf_size, after.subbuf_count) == (before.subbuf_size, before.subbuf_count);
    Ok(format!(
        "{got}; what was mapped stayed {is_same}; as before {is_back}"
    ))
}

fn resize_while_taking() -> Result<String, Error> {
    let file = filled()?;
    let before = file.info()?;
    let handle = file.handle();
    let takes = thread::spawn(thread::STACK, NORMAL, move || {
        let mut got = Got::new();
        for _ in 0..300 {
            match sys::file_take(handle) {
                Ok(taken) => got.add(sys::file_give_back(handle, taken.number)),
                Err(error) => got.add(Err::<(), _>(error)),
            }
            if let Ok((at, length)) = sys::file_map(handle) {
                got.call(Call::MemoryUnmap, [at, length, 0, 0, 0, 0]);
            }
            let _ = sys::file_flush(handle);
            time::sleep(Duration::from_micros(100));
        }
        got
    })?;
    let mut got = Got::new();
    for round in 0..30 {
        got.add(file.resize([4096, 8192][round % 2], [16, 32][round / 2 % 2]));
        time::sleep(Duration::from_millis(2));
    }
    let taken = takes.join();
    resize(&file, before.subbuf_size, before.subbuf_count)?;
    let (resized, taken) = (got.within(&[Error::Busy]), taken.within(&[Error::Again]));
    Ok(format!("resizing {resized}; taking {taken}"))
}

fn close_while_taking() -> Result<String, Error> {
    let mut all = Got::new();
    for _ in 0..20 {
        let handle = sys::file_open(FILES, PATH, relay_abi::How::Consume)?;
        let takes = thread::spawn(thread::STACK, NORMAL, move || {
            let mut got = Got::new();
            for _ in 0..50 {
                match sys::file_take(handle) {
                    Ok(taken) => got.add(sys::file_give_back(handle, taken.number)),
                    Err(error) => got.add(Err::<(), _>(error)),
                }
            }
            got
        })?;
        sys::close(handle)?;
        let got = takes.join();
        all.add(
            match got
                .within(&[Error::BadHandle, Error::Again])
                .starts_with("unexpected")
            {
                true => Err(Error::Refused),
                false => Ok(()),
            },
        );
    }
    let _ = files::poll(&mut [], Some(Duration::ZERO));
    drain(&Files::given().consume(PATH)?)?;
    Ok(all.text())
}
