//! Ends in the middle of something, and what processes that a case starts do.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use programs::raw;
use programs::wild::Random;
use relay_abi::{Call, Error, NO_HANDLE, PollItem, Spawn, rights};
use relay_rt::files::{FILES, Files, Owned};
use relay_rt::port::{self, Bytes, Port, Says};
use relay_rt::process::{NORMAL, Process};
use relay_rt::provoke::Fault;
use relay_rt::{provoke, sys, thread, time};

use crate::bombs::{self, as_role};
use crate::got::{Got, ended};
use crate::{Case, consumers};

pub(crate) const CASES: &[Case] = &[
    ("killed-in-each-call", killed_in_each_call),
    ("exit-among-threads", exit_among_threads),
    ("fault-among-threads", fault_among_threads),
    ("unmap-own-code", || as_role("unmap", "code")),
    ("unmap-own-stack", || as_role("unmap", "stack")),
    ("server-exits", || server_dies("exits")),
    ("server-faults", || server_dies("faults")),
    ("server-is-killed", || server_dies("sleeps")),
    ("client-is-killed", client_is_killed),
];

/// How often each call is met by a kill.
const KILLS: u64 = 4;

/// What a process does that a case starts: `hostile as ROLE ARGUMENT`.
pub(crate) fn act(role: &str, argument: &str) -> u32 {
    let number = argument.parse::<u64>().unwrap_or_default();
    match role {
        "exit" => number as u32,
        "sleeper" => sleep_for_ever(),
        "threads" => bombs::threads(),
        "calls" => call_for_ever(number),
        "many" => many(argument),
        "unmap" => unmap(argument),
        "server" => serve_and_die(argument),
        "client" => call_and_wait(),
        "holder" => consumers::hold_and_die(argument),
        _ => 99,
    }
}

fn sleep_for_ever() -> ! {
    loop {
        time::sleep(Duration::from_secs(1000));
    }
}

fn killed_in_each_call() -> Result<String, Error> {
    let mut random = Random::new(18);
    for call in Call::ALL {
        for _ in 0..KILLS {
            let text = format!("as calls {}", *call as u64);
            let child = Process::spawn(Files::given(), "hostile", &text, &[FILES], NORMAL)?;
            time::sleep(Duration::from_micros(random.below(3000)));
            child.kill()?;
            let how = ended(&child)?;
            // It may have been faster.
            let is_right = match call {
                Call::Exit | Call::ThreadExit => how == "exited 0" || how == "killed",
                _ => how == "killed",
            };
            if !is_right {
                return Ok(format!("in {call:?}: {how}"));
            }
        }
    }
    Ok(format!("killed in {} calls", Call::ALL.len()))
}

/// Makes the call with this number again and again, in the way that takes longest.
fn call_for_ever(number: u64) -> u32 {
    let mut room = [0_u64; 64];
    let at = room.as_mut_ptr().expose_provenance() as u64;
    let (files, no_handle) = (u64::from(FILES), u64::from(NO_HANDLE) << 32);
    let (Ok(port), Ok(file)) = (
        sys::port_create(),
        sys::file_open(FILES, "/klog/1", relay_abi::How::Observe),
    ) else {
        return 98;
    };
    let (port, file) = (u64::from(port), u64::from(file));
    let path = "/klog/2";
    let path = (path.as_ptr().expose_provenance() as u64, path.len() as u64);
    let handles = [FILES];
    let spawn = Spawn {
        name: c"hello".as_ptr().expose_provenance() as u64,
        name_len: 5,
        arguments: 0,
        arguments_len: 0,
        handles: handles.as_ptr().expose_provenance() as u64,
        handles_len: 1,
        options: NORMAL,
    };
    let spawn = (&raw const spawn).expose_provenance() as u64;
    let items = [PollItem {
        handle: port as u32,
        wanted: 1,
        found: 0,
    }; 2];
    let items = (&raw const items).expose_provenance() as u64;
    let entry = provoke::without_stack().unwrap_or_default();
    let Some(call) = Call::from_number(number) else {
        return 97;
    };
    loop {
        let arguments = match call {
            Call::Exit | Call::ThreadExit => [0; 6],
            Call::Sleep => [1 << 40, 0, 0, 0, 0, 0],
            Call::ThreadStart => [entry, at, 1000, 0, 0, 0],
            Call::Spawn => [files, spawn, 0, 0, 0, 0],
            Call::MemoryMap => [65536, 0, 0, 0, 0, 0],
            Call::Call => [port, 1, 2, 3, at, no_handle | 0x0100_0100],
            Call::Receive => [port, u64::MAX, at, 256, 0, 0],
            Call::ReplyReceive => [port, 0, 0, 0, at, no_handle],
            Call::Poll => [items, 2, u64::MAX, 0, 0, 0],
            Call::FileName => [files, 3, at, 64, 0, 0],
            Call::FileOpen => [files, path.0, path.1, 0, 0, 0],
            Call::FileInfo => [file, at, 0, 0, 0, 0],
            Call::FileRead => [file, at, 512, 0, 0, 0],
            Call::FileReadLast => [file, at, 512, 8, 0, 0],
            Call::FileFlush | Call::FileTake | Call::FileMap => [file, 0, 0, 0, 0, 0],
            Call::Notify => [port, 0, 0, 0, 0, 0],
            Call::Duplicate => [files, rights::ALL.into(), 0, 0, 0, 0],
            // That of nothing.
            Call::Write => [files, 7, at, 0, 0, 0],
            _ => [1 << 20, 0, 0, 0, 0, 0],
        };
        match call {
            // Answers need somebody who waits for one.
            Call::ReplyReceive => {
                let caller = thread::spawn(thread::STACK, NORMAL, move || {
                    port::call(port as u32, Says::words([0; 3]), &mut Bytes::new()).is_ok()
                });
                let _ = sys::receive(port as u32, u64::MAX, &mut [0; 256]);
                let _ = (raw::call(number, arguments), caller);
            }
            Call::Duplicate | Call::PortCreate | Call::FileOpen | Call::Spawn => {
                if let Ok(handle) = raw::count(number, arguments) {
                    let _ = sys::close(handle as u32);
                }
            }
            Call::MemoryMap => {
                if let Ok(at) = raw::count(number, arguments) {
                    let _ = raw::count(Call::MemoryUnmap as u64, [at, 65536, 0, 0, 0, 0]);
                }
            }
            _ => _ = raw::call(number, arguments),
        }
    }
}

fn exit_among_threads() -> Result<String, Error> {
    as_role("many", "exit")
}

fn fault_among_threads() -> Result<String, Error> {
    as_role("many", "fault")
}

/// Sixteen threads in calls of all kinds, and one that ends the program.
fn many(how: &str) -> u32 {
    let is_fault = how == "fault";
    for call in 0..16 {
        let number = [5, 6, 12, 17, 18, 31, 22, 26][call % 8];
        let started = thread::spawn(thread::STACK, NORMAL, move || call_for_ever(number));
        if started.is_err() {
            return 96;
        }
    }
    time::sleep(Duration::from_millis(3));
    if is_fault {
        Fault::NullRead.provoke();
    }
    5
}

/// Unmaps what the program stands on.
fn unmap(what: &str) -> u32 {
    let here = 0_u64;
    let at = match what {
        "stack" => (&raw const here).expose_provenance() as u64,
        _ => unmap as fn(&str) -> u32 as *const () as u64,
    };
    let result = raw::count(Call::MemoryUnmap as u64, [at & !4095, 4096, 0, 0, 0, 0]);
    core::hint::black_box(here);
    u32::from(result.is_ok())
}

/// Callers of a server that dies with one call received and others waiting.
fn server_dies(how: &str) -> Result<String, Error> {
    let port = Port::new()?;
    let send = sys::duplicate(port.handle(), rights::SEND)?;
    let text = format!("as server {how}");
    let pass = Owned::new(sys::duplicate(
        port.handle(),
        rights::RECEIVE | rights::PASS,
    )?);
    let handles = [FILES, pass.handle()];
    let child = Process::spawn(Files::given(), "hostile", &text, &handles, NORMAL)?;
    drop(pass);
    drop(port);
    let mut callers = Vec::new();
    for _ in 0..6 {
        callers.push(thread::spawn(thread::STACK, NORMAL, move || {
            port::call(send, Says::words([0; 3]), &mut Bytes::new()).map(|_| ())
        })?);
    }
    if how == "sleeps" {
        time::sleep(Duration::from_millis(20));
        child.kill()?;
    }
    let mut got = Got::new();
    for caller in callers {
        got.add(caller.join());
    }
    let how = ended(&child)?;
    sys::close(send)?;
    Ok(format!("{how}; the callers {got}"))
}

fn serve_and_die(how: &str) -> u32 {
    let mut room = [0; 256];
    // The first is not answered.
    let _ = sys::receive(1, u64::MAX, &mut room);
    match how {
        "faults" => Fault::NullRead.provoke(),
        "sleeps" => sleep_for_ever(),
        _ => {}
    }
    0
}

/// A client that is killed while its call is received: the answer goes to nobody, and no harm.
fn client_is_killed() -> Result<String, Error> {
    let port = Port::new()?;
    let pass = Owned::new(sys::duplicate(port.handle(), rights::SEND | rights::PASS)?);
    let mut got = Got::new();
    for _ in 0..20 {
        let handles = [FILES, pass.handle()];
        let child = Process::spawn(Files::given(), "hostile", "as client", &handles, NORMAL)?;
        port.receive(&mut Bytes::new(), None)?;
        child.kill()?;
        ended(&child)?;
        let says = Says {
            words: [0; 3],
            pass: Some(FILES),
        };
        got.add(port::reply(says, &[1; 200]));
    }
    Ok(got.text())
}

fn call_and_wait() -> u32 {
    let says = Says {
        words: [0; 3],
        pass: Some(FILES),
    };
    u32::from(port::call(1, says, &mut Bytes::of(&[2; 256])).is_ok())
}
