//! What another thread takes away while it is used.

use alloc::string::String;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;

use programs::raw;
use relay_abi::{Call, Error, NO_HANDLE, PollItem, ThreadOptions, ready, rights};
use relay_rt::files::{self, FILES, Files};
use relay_rt::port::Port;
use relay_rt::process::NORMAL;
use relay_rt::{sys, thread};

use crate::Case;
use crate::got::Got;

pub(crate) const CASES: &[Case] = &[
    ("unmap-while-used", unmap_while_used),
    ("close-while-used", close_while_used),
    ("close-while-polled", close_while_polled),
    ("move-while-woken", move_while_woken),
];

/// How often.
const ROUNDS: u64 = 2000;

/// Runs `other` on a thread of its own, again and again, until `rounds` of `body` are over.
fn against(
    rounds: u64,
    mut other: impl FnMut() + Send + 'static,
    mut body: impl FnMut(u64),
) -> Result<(), Error> {
    let is_over = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&is_over);
    let thread = thread::spawn(thread::STACK, NORMAL, move || {
        while !seen.load(Ordering::Relaxed) {
            other();
        }
    })?;
    (0..rounds).for_each(&mut body);
    is_over.store(true, Ordering::Relaxed);
    let _: () = thread.join();
    Ok(())
}

/// Memory is mapped, and unmapped at once, always at the same place, while calls read and write there.
fn unmap_while_used() -> Result<String, Error> {
    let place = Arc::new(AtomicU64::new(0));
    let told = Arc::clone(&place);
    let other = move || {
        if let Ok(at) = sys::memory_map(8192) {
            told.store(at, Ordering::Relaxed);
            let _ = raw::count(Call::MemoryUnmap as u64, [at, 8192, 0, 0, 0, 0]);
        }
    };
    let file = Files::given().observe("/klog/0")?;
    let file_handle = u64::from(file.handle());
    let port = Port::new()?;
    let mut got = Got::new();
    against(ROUNDS, other, |_| {
        let at = place.load(Ordering::Relaxed) + 4090;
        let files = FILES.into();
        got.call(Call::FileName, [files, 0, at, 64, 0, 0]);
        got.call(Call::FileInfo, [file_handle, at, 0, 0, 0, 0]);
        got.call(Call::FileReadLast, [file_handle, at, 4000, 4, 0, 0]);
        got.call(Call::Poll, [at, 8, 1, 0, 0, 0]);
        got.call(Call::Receive, [port.handle().into(), 0, at, 64, 0, 0]);
        got.call(Call::FileOpen, [files, at, 8, 0, 0, 0]);
        got.call(Call::ThreadOptions, [at, 0, 0, 0, 0, 0]);
        got.call(Call::Spawn, [files, at, 0, 0, 0, 0]);
    })?;
    sys::thread_options(&NORMAL)?;
    // What is read there is zero: no name, no program, no such priority.
    let allowed = [
        Error::BadAddress,
        Error::BadArgument,
        Error::NotFound,
        Error::TimedOut,
        Error::Again,
    ];
    Ok(got.within(&allowed))
}

/// Handles are closed, and others take their places, while they are used.
fn close_while_used() -> Result<String, Error> {
    // The first free handle: that which is closed and opened again.
    let first = sys::port_create()?;
    sys::close(first)?;
    let other = || {
        if let Ok(handle) = sys::port_create() {
            let _ = sys::notify(handle, 1);
            let _ = sys::close(handle);
        }
        if let Ok(handle) = sys::file_open(FILES, "/klog/1", relay_abi::How::Observe) {
            let _ = sys::close(handle);
        }
    };
    let buffer = relay_rt::memory::Memory::new(4096)?;
    let mut got = Got::new();
    against(ROUNDS, other, |_| {
        let (handle, at) = (first.into(), buffer.address());
        got.call(Call::Receive, [handle, 0, at, 64, 0, 0]);
        got.call(Call::Notify, [handle, 2, 0, 0, 0, 0]);
        got.call(Call::FileInfo, [handle, at, 0, 0, 0, 0]);
        got.call(Call::FileRead, [handle, at, 4096, 0, 0, 0]);
        got.call(Call::FileTake, [handle, 0, 0, 0, 0, 0]);
    })?;
    let allowed = [
        Error::BadHandle,
        Error::NoRight,
        Error::WrongKind,
        Error::TimedOut,
        Error::Again,
        Error::Ended,
    ];
    Ok(got.within(&allowed))
}

/// A handle is closed while a thread waits for it: that goes on by its time-out.
fn close_while_polled() -> Result<String, Error> {
    let port = sys::port_create()?;
    let waits = thread::spawn(thread::STACK, NORMAL, move || {
        let mut items = [PollItem {
            handle: port,
            wanted: ready::READABLE,
            found: 0,
        }];
        files::poll(&mut items, Some(Duration::from_millis(50)))
    })?;
    relay_rt::time::sleep(Duration::from_millis(5));
    sys::close(port)?;
    let mut got = Got::new();
    got.add(waits.join());
    Ok(got.text())
}

/// A thread changes the CPUs that it may run on while others wake it.
fn move_while_woken() -> Result<String, Error> {
    let port = Port::new()?;
    let handle = port.handle();
    let send = sys::duplicate(handle, rights::SEND)?;
    let mut got = Got::new();
    let other = move || {
        let _ = sys::notify(send, 1);
    };
    against(ROUNDS / 4, other, |round| {
        let cpus = 1 << (round % 8);
        // Never behind the one that wakes it: that would not let it go on.
        let options = ThreadOptions {
            priority: (round % 20) as u32,
            cpus,
        };
        // A machine with fewer CPUs has no such.
        let _ = sys::thread_options(&options);
        got.call(
            Call::Receive,
            [handle.into(), 1_000_000, 0, 0, 0, NO_HANDLE.into()],
        );
    })?;
    sys::thread_options(&NORMAL)?;
    sys::close(send)?;
    Ok(got.within(&[Error::TimedOut]))
}
