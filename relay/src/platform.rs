//! What relay asks of the machine it runs on.

/// The seam between relay and a kernel (or a host program whose "CPUs" are threads).
///
/// All methods may be called from task, IRQ, NMI and panic context, and must neither lock, wait
/// nor allocate.
///
/// # Implementation safety
///
/// relay's words for one CPU are changed by non-LOCKed instructions and plain stores, so:
///
/// - between [`pin`](Self::pin) and the matching [`unpin`](Self::unpin) the calling code stays on
///   the CPU whose number `pin` returned;
/// - no two CPUs have the same number at the same time, and contexts of one CPU *nest*: a context
///   that interrupts another runs to its end before the interrupted one goes on (interrupts and
///   NMIs do; threads that share a number do not);
/// - when a number passes from one CPU (or thread) to another, everything the former did
///   happens-before everything the latter does.
pub unsafe trait Platform: Sync {
    /// Prevents migration to another CPU until [`unpin`](Self::unpin), and returns the number of
    /// this CPU: a small index that starts at 0. Calls nest.
    fn pin(&self) -> usize;

    /// Undoes one [`pin`](Self::pin).
    fn unpin(&self);

    /// The time in ticks. Must not decrease on one CPU, over all its contexts; clocks of different
    /// CPUs should agree, since records are merged by time.
    fn now(&self) -> u64;

    /// A reader that [sleeps](crate::Reader::prepare_to_sleep) until something of stream `cpu` becomes readable is to be
    /// woken. Called by whoever completes a packet, in its context: where that is an NMI, leave a note that an
    /// interrupt handler finds. Every reader that announced its sleep since the last call must
    /// look again.
    fn wake(&self, cpu: usize) {
        let _ = cpu;
    }

    /// CPU `cpu` has something to do in its [tick](crate::Channel::tick): have it run soon, by an interrupt between
    /// CPUs for example. Without this, it waits for the CPU's next timer interrupt. Task or IRQ context.
    fn call(&self, cpu: usize) {
        let _ = cpu;
    }

    /// The level at which the caller runs. A platform without interrupts is always in a task.
    fn context(&self) -> Context {
        Context::Task
    }
}

/// The level at which code runs on a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A task, or bring-up: what everything else may interrupt.
    Task,
    /// An interrupt handler.
    Irq,
    /// A non-maskable interrupt's handler.
    Nmi,
}

impl Context {
    /// All levels, in the order of their numbers on the wire.
    pub const ALL: [Self; 3] = [Self::Task, Self::Irq, Self::Nmi];

    /// The level as one lower-case word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Irq => "irq",
            Self::Nmi => "nmi",
        }
    }
}
