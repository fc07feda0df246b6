//! Counts the instructions of a piece of code, and interrupts it after any of them.
//!
//! With its trap flag set, the processor traps after every instruction; the handler of the signal
//! that this becomes counts. It runs like an interrupt handler: on the same thread, in the middle
//! of what it interrupts, which does not go on before it has returned. So it can also *be* the
//! interrupt: [`interrupted`] runs any code after instruction number `at`, and that code can be
//! counted, and interrupted, in turn.
//!
//! What is counted is exact and the same every time. A repeated string instruction counts once per
//! repetition.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::arch::asm;
use std::ptr::null_mut;
use std::sync::Once;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// How deep countings may nest.
const DEPTH: usize = 3;

/// Instructions that [`count`] itself steps through before the flag is off.
const OVERHEAD: u64 = 3;

/// How many countings are under way.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// What is known of one of them.
struct Level {
    count: AtomicU64,
    /// After which instruction the interrupt comes; 0 for never.
    at: AtomicU64,
    /// The interrupt: it lives on the stack of `interrupted`.
    interrupt: AtomicPtr<&'static dyn Fn()>,
}

static LEVELS: [Level; DEPTH] = [const {
    Level {
        count: AtomicU64::new(0),
        at: AtomicU64::new(0),
        interrupt: AtomicPtr::new(null_mut()),
    }
}; DEPTH];

/// The instructions that `op` takes, those of its interrupts not among them; and what it returns.
///
/// On one thread at a time.
#[inline(always)]
pub(crate) fn count<R>(op: impl FnOnce() -> R) -> (u64, R) {
    install();
    let depth = UNDER_WAY.load(Relaxed);
    let level = &LEVELS[depth];
    level.count.store(0, Relaxed);
    UNDER_WAY.store(depth + 1, Relaxed);
    // SAFETY: sets the trap flag and nothing else; the stack is as before. The traps go to `step`.
    unsafe { asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq") };
    let result = op();
    // SAFETY: clears it likewise.
    unsafe { asm!("pushfq", "and qword ptr [rsp], -0x101", "popfq") };
    UNDER_WAY.store(depth, Relaxed);
    (level.count.load(Relaxed) - OVERHEAD, result)
}

/// Runs `body`, and `interrupt` after instruction `at` (from 1) of what `body` counts.
pub(crate) fn interrupted<R>(at: u64, interrupt: &dyn Fn(), body: impl FnOnce() -> R) -> R {
    let level = &LEVELS[UNDER_WAY.load(Relaxed)];
    level
        .interrupt
        .store((&raw const interrupt).cast_mut().cast(), Relaxed);
    level.at.store(at, Relaxed);
    let result = body();
    level.at.store(0, Relaxed);
    level.interrupt.store(null_mut(), Relaxed);
    result
}

/// Makes the traps come here.
fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // No traps are held back while one is handled: interrupts are counted, too.
        let action = SigAction::new(
            SigHandler::Handler(step),
            SaFlags::SA_NODEFER,
            SigSet::empty(),
        );
        // SAFETY: `step` does what a signal handler may: it touches nothing but atomics, and runs
        // code that its caller made for this place.
        unsafe { sigaction(Signal::SIGTRAP, &action) }.expect("SIGTRAP can be handled");
    });
}

/// Called after every instruction that is counted; the processor has cleared the trap flag.
extern "C" fn step(_signal: i32) {
    let Some(level) = UNDER_WAY
        .load(Relaxed)
        .checked_sub(1)
        .and_then(|depth| LEVELS.get(depth))
    else {
        return;
    };
    let count = level.count.load(Relaxed) + 1;
    level.count.store(count, Relaxed);
    let interrupt = level.interrupt.load(Relaxed);
    if count == level.at.load(Relaxed) && !interrupt.is_null() {
        // SAFETY: `interrupted` stored the address of a reference that lives until its body has
        // returned, and this is in the middle of the body, on the same thread.
        unsafe { (*interrupt)() };
    }
}
