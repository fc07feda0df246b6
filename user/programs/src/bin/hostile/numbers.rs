//! Wrong numbers: of calls, handles, addresses and lengths.

use alloc::format;
use alloc::string::String;

use programs::raw;
use programs::wild::NOWHERE;
use relay_abi::{Call, Error, NO_HANDLE, USER_END, rights};
use relay_rt::files::{FILES, Files};
use relay_rt::memory::{Memory, PAGE};
use relay_rt::port::Port;
use relay_rt::{provoke, sys};

use crate::Case;
use crate::got::Got;

pub(crate) const CASES: &[Case] = &[
    ("call-unknown", call_unknown),
    ("handle-never-had", handle_never_had),
    ("handle-of-another-kind", handle_of_another_kind),
    ("right-missing", right_missing),
    ("pointer-nowhere", pointer_nowhere),
    ("pointer-read-only", pointer_read_only),
    ("pointer-half-mapped", pointer_half_mapped),
    ("length-too-long", length_too_long),
    ("memory-too-much", memory_too_much),
    ("unmap-not-mapped", unmap_not_mapped),
    ("unmap-part", unmap_part),
    ("thread-wrong", thread_wrong),
];

/// Calls whose first argument is a handle.
const OF_HANDLES: [Call; 26] = [
    Call::Spawn,
    Call::Status,
    Call::Kill,
    Call::Close,
    Call::Duplicate,
    Call::Receive,
    Call::Notify,
    Call::ReplyReceive,
    Call::FileName,
    Call::FileOpen,
    Call::FileInfo,
    Call::FileRead,
    Call::FileReadLast,
    Call::FileTake,
    Call::FileGiveBack,
    Call::FileCopy,
    Call::FileMap,
    Call::Write,
    Call::Filter,
    Call::FileFlush,
    Call::FileResize,
    Call::FileReset,
    Call::FileSubmit,
    Call::Report,
    Call::SyslogOpen,
    Call::SyslogWrite,
];

fn call_unknown() -> Result<String, Error> {
    let mut got = Got::new();
    for number in [Call::ALL.len() as u64, 64, 1000, 1 << 32, 1 << 63, u64::MAX] {
        got.add(raw::count(number, [0; 6]));
    }
    Ok(got.text())
}

fn handle_never_had() -> Result<String, Error> {
    let mut got = Got::new();
    for call in OF_HANDLES {
        for handle in [100, 127, 128, NO_HANDLE.into(), 1 << 32, 1 << 63, u64::MAX] {
            got.call(call, [handle, 0, 0, 0, 0, 0]);
        }
    }
    Ok(got.text())
}

fn handle_of_another_kind() -> Result<String, Error> {
    let mut got = Got::new();
    let others = [
        Call::Status,
        Call::Kill,
        Call::Call,
        Call::Receive,
        Call::Notify,
        Call::ReplyReceive,
        Call::FileInfo,
        Call::FileRead,
        Call::FileReadLast,
        Call::FileTake,
        Call::FileGiveBack,
        Call::FileCopy,
        Call::FileMap,
        Call::FileFlush,
        Call::FileResize,
        Call::FileReset,
    ];
    for call in others {
        got.call(call, [FILES.into(), 0, 0, 0, 0, 0]);
    }
    Ok(got.text())
}

fn right_missing() -> Result<String, Error> {
    let none = sys::duplicate(FILES, 0)?;
    // More rights than the first has cannot be had by asking for them.
    let all = sys::duplicate(none, rights::ALL)?;
    let port = Port::new()?;
    let send = sys::duplicate(port.handle(), rights::SEND)?;
    let mut got = Got::new();
    for handle in [none, all] {
        for call in [
            Call::FileName,
            Call::FileOpen,
            Call::Write,
            Call::Filter,
            Call::Spawn,
        ] {
            got.call(call, [handle.into(), 0, 0, 0, 0, 0]);
        }
    }
    got.call(Call::Receive, [send.into(), 0, 0, 0, 0, 0]);
    for handle in [none, all, send] {
        sys::close(handle)?;
    }
    Ok(got.text())
}

fn pointer_nowhere() -> Result<String, Error> {
    let port = Port::new()?;
    let file = Files::given().observe("/klog/0")?;
    let (files, file, port) = (FILES.into(), file.handle().into(), port.handle().into());
    let no_handle = u64::from(NO_HANDLE) << 32;
    let mut got = Got::new();
    for address in NOWHERE {
        got.call(Call::Write, [files, 6, address, 8, 0, 0]);
        got.call(Call::FileName, [files, 0, address, 64, 0, 0]);
        got.call(Call::FileOpen, [files, address, 8, 0, 0, 0]);
        got.call(Call::FileInfo, [file, address, 0, 0, 0, 0]);
        got.call(Call::Poll, [address, 1, 0, 0, 0, 0]);
        got.call(Call::Spawn, [files, address, 0, 0, 0, 0]);
        got.call(Call::Filter, [files, address, 3, address, 3, 0]);
        got.call(Call::Call, [port, 0, 0, 0, address, no_handle | 8]);
        if address != 0 {
            got.call(Call::ThreadOptions, [address, 0, 0, 0, 0, 0]);
        }
    }
    Ok(got.text())
}

fn pointer_read_only() -> Result<String, Error> {
    static CONSTANT: [u8; 128] = [7; 128];
    let file = Files::given().observe("/klog/0")?;
    let text = provoke::without_stack().unwrap_or_default();
    let mut got = Got::new();
    for address in [CONSTANT.as_ptr().expose_provenance() as u64, text] {
        got.call(Call::FileName, [FILES.into(), 0, address, 64, 0, 0]);
        got.call(Call::FileInfo, [file.handle().into(), address, 0, 0, 0, 0]);
        got.call(Call::Poll, [address, 1, 0, 0, 0, 0]);
    }
    Ok(got.text())
}

fn pointer_half_mapped() -> Result<String, Error> {
    let mut page = Memory::new(PAGE)?;
    let (start, end) = (page.address(), page.end());
    let mut got = Got::new();
    got.call(Call::Write, [FILES.into(), 6, end - 8, 16, 0, 0]);
    got.call(Call::Write, [FILES.into(), 6, start - 8, 16, 0, 0]);
    got.call(Call::FileName, [FILES.into(), 0, end - 2, 64, 0, 0]);
    got.call(Call::FileName, [FILES.into(), 0, start - 2, 64, 0, 0]);
    got.call(Call::Poll, [end - 8, 2, 0, 0, 0, 0]);
    let is_clean = page.bytes().iter().all(|byte| *byte == 0);
    Ok(format!(
        "{got}, {}",
        if is_clean {
            "nothing written"
        } else {
            "a part written"
        }
    ))
}

fn length_too_long() -> Result<String, Error> {
    let page = Memory::new(4 * PAGE)?;
    let (at, files) = (page.address(), FILES.into());
    let port = Port::new()?;
    let no_handle = u64::from(NO_HANDLE) << 32;
    let mut got = Got::new();
    for length in [1025, 1 << 32, u64::MAX] {
        got.call(Call::Write, [files, 6, at, length, 0, 0]);
        got.call(Call::FileOpen, [files, at, length, 0, 0, 0]);
        got.call(Call::Poll, [at, length, 0, 0, 0, 0]);
        got.call(Call::Filter, [files, at, length, at, 0, 0]);
        got.call(Call::Filter, [files, at, 3, at, length, 0]);
    }
    for length in [257, 0xffff] {
        got.call(
            Call::Call,
            [port.handle().into(), 0, 0, 0, at, no_handle | length],
        );
    }
    got.call(Call::MemoryMap, [0; 6]);
    got.call(Call::MemoryMap, [u64::MAX, 0, 0, 0, 0, 0]);
    Ok(got.text())
}

fn memory_too_much() -> Result<String, Error> {
    let mut got = Got::new();
    for length in [17 << 20, 1 << 40, 1 << 46] {
        got.add(sys::memory_map(length));
    }
    Ok(got.text())
}

fn unmap_not_mapped() -> Result<String, Error> {
    let page = Memory::new(PAGE)?;
    let (at, end) = (page.address(), page.end());
    let mut got = Got::new();
    for (address, length) in [
        (at + 1, 4096),
        (at, 8192),
        (end, 4096),
        (at - 4096, 8192),
        (0, 4096),
        (USER_END - 4096, 4096),
        (USER_END, 4096),
        (0xffff_ffff_8020_0000, 4096),
        (u64::MAX - 4095, 4096),
        (at, 1 << 46),
    ] {
        got.call(Call::MemoryUnmap, [address, length, 0, 0, 0, 0]);
    }
    Ok(got.text())
}

fn unmap_part() -> Result<String, Error> {
    let at = sys::memory_map(4 * PAGE as u64)?;
    let mut got = Got::new();
    let unmap = |page: u64, pages: u64| [at + page * 4096, pages * 4096, 0, 0, 0, 0];
    got.call(Call::MemoryUnmap, unmap(1, 2));
    got.call(Call::MemoryUnmap, unmap(0, 1));
    got.call(Call::MemoryUnmap, unmap(3, 1));
    let mut again = Got::new();
    for page in 0..4 {
        again.call(Call::MemoryUnmap, unmap(page, 1));
    }
    Ok(format!("{got}, again {again}"))
}

fn thread_wrong() -> Result<String, Error> {
    let page = Memory::new(PAGE)?;
    let entry = provoke::without_stack().unwrap_or_default();
    let mut got = Got::new();
    for address in [
        0,
        USER_END,
        0x8000_0000_0000,
        0xffff_ffff_8020_0000,
        u64::MAX,
    ] {
        got.call(Call::ThreadStart, [address, page.end(), 0, 0, 0, 0]);
        got.call(Call::ThreadStart, [entry, address, 0, 0, 0, 0]);
    }
    // No such priority; no such CPU.
    for (priority, cpus) in [(40, 0), (u32::MAX, 0), (20, 1 << 31)] {
        let options = relay_abi::ThreadOptions { priority, cpus };
        got.add(sys::thread_options(&options));
    }
    Ok(got.text())
}
