//! What relay asks of the machine it runs on.

/// The seam between relay and a kernel, or a host program whose "CPUs" are threads (for those there is
/// one ready with the feature `std`: `relay::host`).
///
/// It is all that a port must write. `docs/PORTING.md` of the project goes through one step by step, and
/// `relay/examples/port.rs` is that port, running.
///
/// | method | called from | without it |
/// |---|---|---|
/// | [`pin`](Self::pin), [`unpin`](Self::unpin) | task, IRQ, NMI, panic | required |
/// | [`now`](Self::now) | task, IRQ, NMI, panic | required |
/// | [`context`](Self::context) | task, IRQ, NMI, panic | everything is a task: right where nothing interrupts anything |
/// | [`wake`](Self::wake) | task, IRQ, NMI, panic | readers cannot sleep, they poll |
/// | [`call`](Self::call) | task, IRQ | what is asked of another CPU waits for its next timer interrupt |
///
/// None of them may lock, wait or allocate: they run wherever a record is written. None of them may write
/// a record.
///
/// # Implementation safety
///
/// relay's words for one CPU are changed by non-LOCKed instructions and plain stores. Whoever implements
/// this trait promises:
///
/// 1. between [`pin`](Self::pin) and the matching [`unpin`](Self::unpin) the calling code stays on
///    the CPU whose number `pin` returned;
/// 2. no two CPUs have the same number at the same time (a number that is out of the range of every
///    channel is none: any CPU may have it, and what it writes is counted as lost);
/// 3. contexts of one CPU *nest*: a context that interrupts another runs to its end before the
///    interrupted one goes on (interrupts and NMIs do; threads that share a number do not);
/// 4. when a number passes from one CPU (or thread) to another, everything the former did
///    happens-before everything the latter does, and nothing that the former pinned is still pinned.
///
/// A wrong clock, context, wake or call makes records wrong, losses too many or readers sleep too long. It breaks no
/// memory.
///
/// # Example
///
/// The smallest port there is: one CPU, no interrupts.
///
/// ```
/// use core::sync::atomic::{AtomicU64, Ordering};
/// use relay::Platform;
///
/// struct Machine;
/// static TICKS: AtomicU64 = AtomicU64::new(0);
///
/// // SAFETY: there is one CPU, it runs one thread, and nothing interrupts it.
/// unsafe impl Platform for Machine {
///     fn pin(&self) -> usize { 0 }
///     unsafe fn unpin(&self) {}
///     fn now(&self) -> u64 { TICKS.fetch_add(1, Ordering::Relaxed) }
/// }
/// # assert_eq!(Machine.pin(), 0);
/// ```
pub unsafe trait Platform: Sync {
    /// Prevents migration to another CPU until [`unpin`](Self::unpin), and returns the number of
    /// this CPU: a small index that starts at 0. Calls nest.
    ///
    /// Where tasks do not migrate, or where preemption is off whenever relay is called, this is reading the
    /// number. Any context.
    fn pin(&self) -> usize;

    /// Undoes one [`pin`](Self::pin). Any context.
    ///
    /// # Safety
    /// It was pinned in this context, and nothing relies on that pin any more. Only relay calls it.
    unsafe fn unpin(&self);

    /// The time in ticks; what a tick is, is the platform's own business. Any context.
    ///
    /// It must not decrease on one CPU, over all its contexts. Clocks of different CPUs should agree, since
    /// records are merged by time. Where all CPUs write one stream ([`Global`](crate::Global) usage), it must not
    /// decrease from one CPU to another either: on x86_64 it is to be read in program order, as by
    /// `lfence; rdtsc`.
    fn now(&self) -> u64;

    /// A reader that [sleeps](crate::Reader::prepare_to_sleep) until something of stream `cpu` becomes readable is to be
    /// woken. Every reader that announced its sleep since the last call must look again.
    ///
    /// Called by whoever completes a packet (in packet delivery: a record), in its context. Where that is an
    /// NMI, leave a note that an interrupt handler finds. Not called if no reader has announced that it sleeps.
    fn wake(&self, cpu: usize) {
        let _ = cpu;
    }

    /// CPU `cpu` has something to do in its [tick](crate::Channel::tick): have it run soon, by an interrupt between
    /// CPUs for example. Without this, it waits for the CPU's next timer interrupt. Task or IRQ context.
    fn call(&self, cpu: usize) {
        let _ = cpu;
    }

    /// The level at which the caller runs. Any context.
    ///
    /// Records say it (klog's do), and one thing depends on it: a writer in a task knows that all it ever
    /// interrupted has returned, so a [`Slot`](crate::Slot) that is still open a whole lap later will never be committed, and its
    /// packet is passed over. An interrupt handler must therefore not call itself a task. A platform without interrupts
    /// is always in one.
    fn context(&self) -> Context {
        Context::Task
    }
}

/// The level at which code runs on a CPU. Its number is what records carry: 0, 1, 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A task, or bring-up: what everything else may interrupt.
    Task,
    /// An interrupt handler.
    Irq,
    /// A non-maskable interrupt's handler, or that of any exception that comes where interrupts are off.
    Nmi,
}

impl Context {
    /// All levels, in the order of their numbers on the wire.
    pub const ALL: [Self; 3] = [Self::Task, Self::Irq, Self::Nmi];

    /// The level as one lower-case word: `task`, `irq`, `nmi`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Irq => "irq",
            Self::Nmi => "nmi",
        }
    }
}
