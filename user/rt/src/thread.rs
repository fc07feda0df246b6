//! Threads of the program.

use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use relay_abi::{Error, ThreadOptions};

use crate::memory::Memory;
use crate::sys;

/// Bytes of a thread's stack, if nothing else is wanted.
pub const STACK: usize = 64 * 1024;

/// How long who waits for a thread sleeps before it looks again, in nanoseconds.
const LOOK: u64 = 500_000;

/// What thread and starter share: on the heap, until the thread is joined.
struct Shared<T> {
    /// 1 once the thread uses nothing of the program any more, not even its stack.
    ended: AtomicU32,
    /// What it returned. Written by the thread before `ended`, read by the starter after it.
    result: UnsafeCell<Option<T>>,
}

/// A thread that was started. If it is dropped instead of [joined](Self::join), the thread goes on,
/// and its stack is not given back before the program ends.
pub struct Thread<T> {
    shared: *mut Shared<T>,
    stack: Option<Memory>,
    number: u64,
}

// SAFETY: it is the one way to what the thread returned, which may go to another thread.
unsafe impl<T: Send> Send for Thread<T> {}

impl<T> fmt::Debug for Thread<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.number;
        f.debug_struct("Thread").field("number", &number).finish()
    }
}

/// What a thread begins with.
struct Start<T, F> {
    run: F,
    shared: *mut Shared<T>,
}

/// Starts a thread with a stack of so many bytes.
///
/// # Errors
/// The kernel's: `NoRoom` if the program may not have more threads or memory.
pub fn spawn<T, F>(stack: usize, options: ThreadOptions, run: F) -> Result<Thread<T>, Error>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let stack = Memory::new(stack)?;
    let shared = Box::into_raw(Box::new(Shared {
        ended: AtomicU32::new(0),
        result: UnsafeCell::new(None),
    }));
    let start = Box::into_raw(Box::new(Start { run, shared }));
    let entry = begin::<T, F> as extern "C" fn() -> ! as *const ();
    // SAFETY: the stack is the thread's alone: it is given back after `ended` only. `begin` takes the
    // address of a `Start` of these types, which nobody else has, and never returns.
    let started = unsafe {
        sys::thread_start(
            entry.expose_provenance() as u64,
            stack.end(),
            start.expose_provenance() as u64,
            Some(&options),
        )
    };
    match started {
        Ok(number) => Ok(Thread {
            shared,
            stack: Some(stack),
            number,
        }),
        Err(error) => {
            // SAFETY: no thread has them; they are those boxes.
            unsafe {
                drop(Box::from_raw(start));
                drop(Box::from_raw(shared));
            }
            Err(error)
        }
    }
}

impl<T> Thread<T> {
    /// Its number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        // SAFETY: what is shared stays until the thread is joined, which takes `self`.
        unsafe { &(*self.shared).ended }.load(Ordering::Acquire) != 0
    }

    /// Waits for its end, and returns what it returned.
    ///
    /// # Panics
    /// Never: a thread that panics ends the program.
    #[must_use]
    pub fn join(mut self) -> T {
        while !self.has_ended() {
            sys::sleep(LOOK);
        }
        // SAFETY: the thread has ended, so this is the one way to it, and `self` goes.
        let shared = unsafe { Box::from_raw(self.shared) };
        drop(self.stack.take());
        match shared.result.into_inner() {
            Some(result) => result,
            None => unreachable!("a thread leaves its result before it ends"),
        }
    }
}

impl<T> Drop for Thread<T> {
    fn drop(&mut self) {
        // The thread may be on it.
        core::mem::forget(self.stack.take());
    }
}

/// The first instructions of a thread, with `rdi` = its `Start`, and the last: the word that says
/// that it has ended is written when nothing is on the stack any more.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
extern "C" fn begin<T, F>() -> !
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    core::arch::naked_asm!(
        "xor ebp, ebp",
        "call {run}",
        "mov dword ptr [rax], 1",
        "2: mov eax, {exit}",
        "syscall",
        "jmp 2b",
        run = sym run::<T, F>,
        exit = const relay_abi::Call::ThreadExit as u64,
    )
}

/// The same where threads cannot be started.
#[cfg(not(target_arch = "x86_64"))]
extern "C" fn begin<T, F>() -> ! {
    sys::exit(100)
}

/// Runs a thread. Returns where to write that it has ended.
#[cfg(target_arch = "x86_64")]
unsafe extern "C" fn run<T, F>(start: *mut Start<T, F>) -> *const AtomicU32
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    // SAFETY: `spawn` made it, for this thread alone.
    let Start { run, shared } = *unsafe { Box::from_raw(start) };
    let result = run();
    // SAFETY: what is shared stays until `ended` is written, and nobody else looks at the result
    // before that.
    unsafe {
        *(*shared).result.get() = Some(result);
        &raw const (*shared).ended
    }
}
