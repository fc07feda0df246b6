//! The trait that a port writes.

use relay_format::Context;

/// The seam between relay and a kernel, or a host program whose "CPUs" are threads (for those there
/// is one ready with the feature `std`: `relay::host`).
///
/// It is all that a port must write. `docs/PORTING.md` of the project goes through one step by
/// step, and `relay/examples/port.rs` is that port, running.
///
/// | method | called from | pinned | may be called before | without it |
/// |---|---|---|---|---|
/// | [`pin`](Self::pin), [`unpin`](Self::unpin) | task, IRQ, NMI, panic | nests | everything but the CPU's number: no heap, clock, interrupts | required |
/// | [`now`](Self::now) | task, IRQ, NMI, panic | yes; not by [`Channel::start`](crate::Channel::start) | the clock runs: say 0 until then | required |
/// | [`context`](Self::context) | task, IRQ, NMI, panic | yes | interrupt handlers are there: it is a task until then | everything is a task: right where nothing interrupts anything |
/// | [`wake`](Self::wake) | task, IRQ | yes | never before a reader has [announced](crate::Reader::prepare_to_sleep) that it sleeps | readers cannot sleep, they poll |
/// | [`call`](Self::call) | task, IRQ | no | never before a [request](crate::Channel::resize) | what is asked of another CPU waits for its next timer interrupt |
///
/// None of them may lock, wait or allocate: they run wherever a record is written. None of them may
/// write a record.
///
/// # What `pin` must do
///
/// From `pin` to `unpin` the caller stays on its CPU, **and no other task runs there**. Interrupts
/// and NMIs may come, and return. So, for `pin`:
///
/// | the kernel | `pin` | `unpin` |
/// |---|---|---|
/// | never switches tasks inside relay: no preemption, or none in the kernel | reads the number | does nothing |
/// | preempts its tasks, and can turn that off | preemption off (a counter), then reads the number | preemption on |
/// | preempts its tasks, and has no such counter | interrupts off, then reads the number: [`IrqOff`](crate::IrqOff) | interrupts as they were |
///
/// Reading the number is not enough where tasks are preempted, even if none ever migrates: two
/// tasks of one CPU would both be inside a write, where relay takes the second for an interrupt
/// that returns first.
///
/// # Implementation safety
///
/// relay's words for one CPU are changed by non-LOCKed instructions and plain stores. Whoever
/// implements this trait promises:
///
/// 1. between [`pin`](Self::pin) and the matching [`unpin`](Self::unpin) the calling code stays on
///    the CPU whose number `pin` returned, and no other task runs on it;
/// 2. no two CPUs have the same number at the same time (a number that is out of the range of every
///    channel is none: any CPU may have it, and what it writes is counted as lost);
/// 3. contexts of one CPU *nest*: a context that interrupts another runs to its end before the
///    interrupted one goes on (interrupts and NMIs do; threads that share a number do not);
/// 4. when a number passes from one CPU (or thread) to another, everything the former did
///    happens-before everything the latter does, and nothing that the former pinned is still
///    pinned.
///
/// A wrong clock, context, wake or call makes records wrong, losses too many or readers sleep too
/// long. It breaks no memory.
///
/// # Example
///
/// The smallest port there is: one CPU, no interrupts, no preemption.
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
///     type Pinned = ();
///     fn pin(&self) -> (usize, ()) { (0, ()) }
///     unsafe fn unpin(&self, (): ()) {}
///     fn now(&self) -> u64 { TICKS.fetch_add(1, Ordering::Relaxed) }
/// }
/// # assert_eq!(Machine.pin(), (0, ()));
/// ```
pub unsafe trait Platform: Sync {
    /// What [`unpin`](Self::unpin) needs to know of its [`pin`](Self::pin): whether interrupts were
    /// on, for example. `()` where that is nothing; it then costs nothing.
    type Pinned;

    /// Keeps the caller on this CPU, and other tasks off it, until [`unpin`](Self::unpin): see
    /// [above](Self#what-pin-must-do). Returns the number of this CPU, a small index that starts at
    /// 0, and what `unpin` is to get back. Calls nest. Any context.
    fn pin(&self) -> (usize, Self::Pinned);

    /// Undoes one [`pin`](Self::pin), which returned `pinned`. Any context.
    ///
    /// # Safety
    /// It was pinned in this context, and nothing relies on that pin any more. Only relay calls it.
    unsafe fn unpin(&self, pinned: Self::Pinned);

    /// The time in ticks; what a tick is, is the platform's own business. Any context.
    ///
    /// It must not decrease on one CPU, over all its contexts. Clocks of different CPUs should
    /// agree, since records are merged by time. Where all CPUs write one stream
    /// ([`Global`](crate::Global) usage), it must not decrease from one CPU to another either: on
    /// x86_64 it is to be read in program order, as by `lfence; rdtsc`.
    fn now(&self) -> u64;

    /// A reader that [sleeps](crate::Reader::prepare_to_sleep) until something of stream `cpu`
    /// becomes readable is to be woken. Every reader that announced its sleep since the last call
    /// must look again.
    ///
    /// Called in task or IRQ context, never in an NMI: what becomes readable there wakes at the
    /// next write that hands something over, or the next [tick](crate::Channel::tick). Not called
    /// if no reader has announced that it sleeps.
    fn wake(&self, cpu: usize) {
        let _ = cpu;
    }

    /// CPU `cpu` has something to do in its [tick](crate::Channel::tick): have it run soon, by an
    /// interrupt between CPUs for example. Without this, it waits for the CPU's next timer
    /// interrupt. Task or IRQ context.
    fn call(&self, cpu: usize) {
        let _ = cpu;
    }

    /// The context in which the caller runs. Any context.
    ///
    /// Records say it (klog's do), and readers are not woken in an NMI: an NMI's handler must not
    /// call itself anything else. A platform without interrupts is always in a task.
    fn context(&self) -> Context {
        Context::Task
    }

    /// Who runs here; in an interrupt or an NMI who was interrupted. Records of events for operators
    /// say it ([`evlog`](crate::clients::evlog)), and nothing else asks. Any context, not pinned.
    ///
    /// A platform without processes and threads leaves it at 0 and 0.
    fn who(&self) -> Who {
        Who::default()
    }
}

/// A process and a thread of it, by the kernel's own numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// The process; 0 is the kernel's own.
    pub process: i32,
    /// The thread.
    pub thread: i32,
}
