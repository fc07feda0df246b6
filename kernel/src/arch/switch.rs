//! Switching threads: one stack is left, another is gone on with.
//!
//! A thread that does not run has everything on its own stack in the kernel: what it was doing
//! there, and below that its registers of ring 3. What is left to remember is the stack pointer, in
//! [`Saved`].
//!
//! ```text
//! is_running: 1 -> 0   by the CPU that leaves the thread, in `swap`, when its stack is left and its
//!                      stack pointer is saved (stores of x86 are seen in order: a release)
//!             0 -> 1   by the CPU that goes on with it, in `switch`, after it has seen the 0
//!                      (acquire). Who may go on with it was said before, under the scheduler's lock:
//!                      one CPU at a time.
//! ```

use core::arch::naked_asm;
use core::fmt;
use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::mem::stacks::ThreadStack;

/// Where a thread goes on.
#[repr(C)]
pub(crate) struct Saved {
    /// Its stack pointer, while it does not run; 0: it never ran and is not prepared.
    rsp: AtomicU64,
    /// Some CPU still uses its stack.
    is_running: AtomicBool,
}

const _: () = assert!(offset_of!(Saved, rsp) == 0 && offset_of!(Saved, is_running) == 8);

impl fmt::Debug for Saved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saved").finish_non_exhaustive()
    }
}

impl Saved {
    /// No thread's.
    pub(crate) const fn new() -> Self {
        Self {
            rsp: AtomicU64::new(0),
            is_running: AtomicBool::new(false),
        }
    }

    /// The thread that calls becomes one that can be switched away from. Interrupts off.
    pub(crate) fn adopt(&self) {
        self.is_running.store(true, Ordering::Relaxed);
    }

    /// A thread that has not begun yet will begin with `entry`, on this stack, interrupts off.
    ///
    /// # Panics
    /// When it is running.
    pub(crate) fn prepare(&self, stack: &ThreadStack, entry: extern "C" fn() -> !) {
        assert!(!self.is_running(), "it runs: it cannot begin");
        // As `swap` leaves it: six registers, where it goes on, and a return address of 0 above, at
        // which backtraces end. At a function's first instruction the stack is 8 off a multiple of
        // 16.
        let words = [0, 0, 0, 0, 0, 0, entry as usize as u64, 0];
        let rsp = stack.top() - 8 * words.len() as u64;
        // SAFETY: the words are the uppermost of a stack that nobody uses: the caller has it, and no
        // thread runs on it. It is mapped, and its top is aligned to 16.
        unsafe { (rsp as *mut [u64; 8]).write(words) };
        self.rsp.store(rsp, Ordering::Release);
    }

    /// Whether some CPU still uses the thread's stack. Any context.
    pub(crate) fn is_running(&self) -> bool {
        self.is_running.load(Ordering::Acquire)
    }
}

/// Leaves the thread `from`, which is the one that calls, and goes on with `to`. Returns when somebody
/// goes on with `from`, perhaps on another CPU. Interrupts off.
///
/// # Panics
/// When `to` was never prepared, or runs.
pub(crate) fn switch(from: &'static Saved, to: &'static Saved) {
    assert!(!to.is_running(), "the thread runs elsewhere");
    to.is_running.store(true, Ordering::Relaxed);
    assert_ne!(
        to.rsp.load(Ordering::Relaxed),
        0,
        "the thread was never prepared"
    );
    // SAFETY:
    // 1. Both are static. `from` is this thread's, says the caller of `adopt` or who switched to it.
    // 2. `to.rsp` is what `swap` or `prepare` have left: seven words that `swap` takes, on a stack
    //    that nobody uses, since `is_running` was false, and only one CPU is told to go on with it.
    // 3. It is a call of a C function: what is not kept across one is saved by this function.
    unsafe { swap(from, to) };
}

/// The switch itself.
#[unsafe(naked)]
unsafe extern "C" fn swap(from: *const Saved, to: *const Saved) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "mov [rdi], rsp",
        "mov rsp, [rsi]",
        // From here on somebody else may go on with what was left.
        "mov byte ptr [rdi + 8], 0",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}
