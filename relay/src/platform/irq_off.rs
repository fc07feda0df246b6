//! A pin for kernels that preempt tasks and cannot turn that off alone: interrupts off.

use super::contract::{Platform, Who};
use relay_format::Context;

/// What [`IrqOff`] needs to know of a kernel: which CPU this is, what time, and in which context.
/// The functions are those of [`Platform`] of the same names, with the same contexts; none of them
/// is unsafe to call.
///
/// # Implementation safety
///
/// 1. [`number`](Self::number) is the number of the CPU that executes it, as [`Platform`] wants
///    numbers: points 2 and 4 of its promise. It is called with interrupts off.
/// 2. With interrupts off, no other task runs on this CPU, and nothing moves the caller away from
///    it.
/// 3. Contexts nest: point 3 of the promise of [`Platform`]. An interrupt handler may switch tasks
///    only where it has interrupted a place that had interrupts on.
pub unsafe trait Processor: Sync {
    /// The number of this CPU. Any context, interrupts off.
    fn number(&self) -> usize;

    /// The time in ticks: [`Platform::now`]. Any context.
    fn now(&self) -> u64;

    /// The context in which the caller runs: [`Platform::context`]. Any context.
    fn context(&self) -> Context;

    /// Who runs here: [`Platform::who`]. Any context.
    fn who(&self) -> Who {
        Who::default()
    }

    /// Wakes who sleeps for stream `cpu`: [`Platform::wake`]. Task or IRQ context, interrupts off.
    fn wake(&self, cpu: usize) {
        let _ = cpu;
    }

    /// Has CPU `cpu` tick soon: [`Platform::call`]. Task or IRQ context.
    fn call(&self, cpu: usize) {
        let _ = cpu;
    }
}

/// A [`Platform`] that pins by turning interrupts off, for kernels that preempt tasks and have no
/// counter that turns preemption off. For x86_64 (ring 0), aarch64 (EL1) and riscv64 (S mode).
///
/// Interrupts come back as they were: in a handler that runs without them, they stay off. An NMI
/// that comes between the two finds interrupts off, or on, and leaves them so; its own records
/// change nothing. On aarch64 it is IRQs that are turned off, which is what preempts; FIQs come,
/// and nest.
///
/// It costs about twenty instructions a record; a counter costs two.
///
/// ```no_run
/// use relay::{Channel, Context, IrqOff, NoHooks, Processor};
///
/// struct Machine;
/// # fn cpu_number() -> usize { 0 }
/// # fn time() -> u64 { 0 }
///
/// // SAFETY: each CPU has its own number; the scheduler runs from interrupts only, and moves nothing that has
/// // interrupts off.
/// unsafe impl Processor for Machine {
///     fn number(&self) -> usize { cpu_number() }
///     fn now(&self) -> u64 { time() }
///     fn context(&self) -> Context { Context::Task }
/// }
///
/// static LOG: Channel<IrqOff<Machine>, 8> = Channel::new(IrqOff(Machine), &NoHooks);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct IrqOff<P>(pub P);

/// Interrupts as a pin found them. Opaque; any context.
#[derive(Clone, Copy, Debug)]
pub struct Interrupts(Word);

// SAFETY:
// 1. With interrupts off nothing preempts or moves the caller (point 2 of `Processor`), and
//    `turn_off` comes before the number is read. `restore` turns them on only where this pin has
//    turned them off, so an inner pin does not end an outer one.
// 2. to 4. are points 1 and 3 of `Processor`.
unsafe impl<P: Processor> Platform for IrqOff<P> {
    type Pinned = Interrupts;

    #[inline(always)]
    fn pin(&self) -> (usize, Interrupts) {
        let before = turn_off();
        (self.0.number(), Interrupts(before))
    }

    #[inline(always)]
    unsafe fn unpin(&self, Interrupts(before): Interrupts) {
        restore(before);
    }

    #[inline(always)]
    fn now(&self) -> u64 {
        self.0.now()
    }

    fn wake(&self, cpu: usize) {
        self.0.wake(cpu);
    }

    fn call(&self, cpu: usize) {
        self.0.call(cpu);
    }

    #[inline(always)]
    fn context(&self) -> Context {
        self.0.context()
    }

    #[inline(always)]
    fn who(&self) -> Who {
        self.0.who()
    }
}

#[cfg(target_arch = "x86_64")]
use x86_64::{Word, restore, turn_off};

/// RFLAGS (Intel SDM volume 1, 3.4.3): bit 9 is IF.
#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use core::arch::asm;

    pub(super) type Word = u64;

    const IF: u64 = 1 << 9;

    #[inline(always)]
    pub(super) fn turn_off() -> Word {
        let flags: u64;
        // SAFETY: reads the flags by way of the stack, and clears IF. An interrupt before `cli`
        // returns with the flags as they were. No `nomem`: what follows is not done before it.
        unsafe { asm!("pushfq", "pop {}", "cli", out(reg) flags) };
        flags
    }

    #[inline(always)]
    pub(super) fn restore(before: Word) {
        if before & IF != 0 {
            // SAFETY: they were on when the pin began. No `nomem`: what is before it is done.
            unsafe { asm!("sti", options(nostack)) };
        }
    }
}

#[cfg(target_arch = "aarch64")]
use aarch64::{Word, restore, turn_off};

/// DAIF (Arm ARM, C5.2.2): the masks of debug exceptions, SErrors, IRQs and FIQs.
#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use core::arch::asm;

    pub(super) type Word = u64;

    #[inline(always)]
    pub(super) fn turn_off() -> Word {
        let daif: u64;
        // SAFETY: reads the masks, and sets that of IRQs. An interrupt between both returns with
        // the masks as they were.
        unsafe { asm!("mrs {}, daif", "msr daifset, #2", out(reg) daif, options(nostack)) };
        daif
    }

    #[inline(always)]
    pub(super) fn restore(before: Word) {
        // SAFETY: the masks are as they were when the pin began.
        unsafe { asm!("msr daif, {}", in(reg) before, options(nostack)) };
    }
}

#[cfg(target_arch = "riscv64")]
use riscv64::{Word, restore, turn_off};

/// sstatus (RISC-V privileged architecture, 12.1.1): bit 1 is SIE.
#[cfg(target_arch = "riscv64")]
mod riscv64 {
    use core::arch::asm;

    pub(super) type Word = u64;

    const SIE: u64 = 1 << 1;

    #[inline(always)]
    pub(super) fn turn_off() -> Word {
        let sstatus: u64;
        // SAFETY: clears SIE and reads what was there, in one step.
        unsafe { asm!("csrrci {}, sstatus, 2", out(reg) sstatus, options(nostack)) };
        sstatus
    }

    #[inline(always)]
    pub(super) fn restore(before: Word) {
        if before & SIE != 0 {
            // SAFETY: they were on when the pin began.
            unsafe { asm!("csrsi sstatus, 2", options(nostack)) };
        }
    }
}
