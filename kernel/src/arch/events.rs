//! What the trace has of interrupts and what comes with them. Names and fields are those of LTTng's
//! kernel tracer where it has them, so that its viewers know them; `ipi_send`, `cpu_up` and
//! `cpu_down` it does not have.
//!
//! | vector | its events |
//! |---|---|
//! | the timer's | `x86_irq_vectors_local_timer_entry`, `_exit` |
//! | wake-ups by other CPUs | `x86_irq_vectors_reschedule_entry`, `_exit` |
//! | shootdowns | `x86_irq_vectors_call_function_entry`, `_exit` |
//! | errors of the local APIC, and what is spurious | `x86_irq_vectors_error_apic_*`, `_spurious_apic_*` |
//! | devices, and what nobody expects | `irq_handler_entry`, `_exit`, with the vector as number |
//! | NMIs | the same, with number 2, their vector, which no interrupt has, and the name `nmi` |
//! | page faults | `x86_exceptions_page_fault_kernel` or `_user`, once: an exit they have not |
//!
//! Entries are written first of all in a handler, exits last of all, so that what lies between them
//! is what the handler has done, and what has interrupted it.

use core::ffi::CStr;

use relay::event::Hex;

/// A pair of the events that LTTng has for vectors of the local APIC.
macro_rules! vectors {
    ($($entry:ident $exit:ident $entry_name:literal $exit_name:literal $what:literal;)*) => {
        relay::event! {
            $(
                #[doc = concat!($what, " has interrupted this CPU.")]
                #[event(channel = "trace", name = $entry_name, facility = "irq", enabled = false)]
                pub(super) struct $entry {
                    /// The interrupt vector.
                    pub(super) vector: i32,
                }

                #[doc = concat!($what, ": the interrupt is over.")]
                #[event(channel = "trace", name = $exit_name, facility = "irq", enabled = false)]
                pub(super) struct $exit {
                    /// The interrupt vector.
                    pub(super) vector: i32,
                }
            )*
        }
    };
}

vectors! {
    LocalTimerEntry LocalTimerExit
        "x86_irq_vectors_local_timer_entry" "x86_irq_vectors_local_timer_exit"
        "The timer of this CPU";
    RescheduleEntry RescheduleExit
        "x86_irq_vectors_reschedule_entry" "x86_irq_vectors_reschedule_exit"
        "A wake-up by another CPU";
    CallFunctionEntry CallFunctionExit
        "x86_irq_vectors_call_function_entry" "x86_irq_vectors_call_function_exit"
        "Another CPU that has unmapped memory";
    ErrorEntry ErrorExit
        "x86_irq_vectors_error_apic_entry" "x86_irq_vectors_error_apic_exit"
        "An error of the local APIC";
    SpuriousEntry SpuriousExit
        "x86_irq_vectors_spurious_apic_entry" "x86_irq_vectors_spurious_apic_exit"
        "An interrupt that went away before it was taken";
}

relay::event! {
    /// A device has interrupted this CPU, or an NMI has.
    #[event(channel = "trace", name = "irq_handler_entry", facility = "irq", enabled = false)]
    pub(super) struct IrqHandlerEntry {
        /// The vector.
        pub(super) irq: i32,
        /// Whose it is.
        pub(super) name: &'static CStr,
    }

    /// The handler of a device's interrupt, or of an NMI, is done.
    #[event(channel = "trace", name = "irq_handler_exit", facility = "irq", enabled = false)]
    pub(super) struct IrqHandlerExit {
        /// The vector.
        pub(super) irq: i32,
        /// 1 if somebody was there who handles it, 0 if not.
        pub(super) ret: i32,
    }

    /// This CPU interrupts another one, or itself.
    #[event(channel = "trace", name = "ipi_send", facility = "ipi", enabled = false)]
    pub(super) struct IpiSend {
        /// The vector; 2 for an NMI.
        pub(super) vector: i32,
        /// The other CPU.
        pub(super) target: i32,
    }

    /// An instruction of a program has used an address that it cannot.
    #[event(
        channel = "trace",
        name = "x86_exceptions_page_fault_user",
        facility = "fault",
        enabled = false
    )]
    pub(super) struct PageFaultUser {
        /// What it used.
        pub(super) address: Hex<u64>,
        /// Where it is.
        pub(super) ip: Hex<u64>,
        /// How it used it: 1 it is mapped, 2 to write, 4 by a program, 8 a reserved bit, 16 to
        /// execute.
        pub(super) error_code: Hex<u8>,
    }

    /// An instruction of the kernel has used an address that it cannot.
    #[event(
        channel = "trace",
        name = "x86_exceptions_page_fault_kernel",
        facility = "fault",
        enabled = false
    )]
    pub(super) struct PageFaultKernel {
        /// What it used.
        pub(super) address: Hex<u64>,
        /// Where it is.
        pub(super) ip: Hex<u64>,
        /// How it used it: 1 it is mapped, 2 to write, 8 a reserved bit, 16 to execute.
        pub(super) error_code: Hex<u8>,
    }

    /// The timer of this CPU was programmed.
    #[event(channel = "trace", name = "timer_hrtimer_start", facility = "timer", enabled = false)]
    pub(crate) struct HrtimerStart {
        /// Which timer: the block of its CPU.
        pub(crate) hrtimer: Hex<u64>,
        /// What is called when the time has come.
        pub(crate) function: Hex<u64>,
        /// When it comes first, in nanoseconds since the machine's start.
        pub(crate) expires: i64,
        /// The same: no timer here is late on purpose.
        pub(crate) softexpires: i64,
        /// How the time was given.
        pub(crate) mode: TimerMode,
    }

    /// The time of this CPU's timer has come.
    #[event(
        channel = "trace",
        name = "timer_hrtimer_expire_entry",
        facility = "timer",
        enabled = false
    )]
    pub(crate) struct HrtimerExpireEntry {
        /// Which timer.
        pub(crate) hrtimer: Hex<u64>,
        /// The time, in nanoseconds since the machine's start.
        pub(crate) now: i64,
        /// What is called.
        pub(crate) function: Hex<u64>,
    }

    /// What was called when the timer's time had come is done.
    #[event(
        channel = "trace",
        name = "timer_hrtimer_expire_exit",
        facility = "timer",
        enabled = false
    )]
    pub(crate) struct HrtimerExpireExit {
        /// Which timer.
        pub(crate) hrtimer: Hex<u64>,
    }

    /// The timer of this CPU was stopped.
    #[event(channel = "trace", name = "timer_hrtimer_cancel", facility = "timer", enabled = false)]
    pub(super) struct HrtimerCancel {
        /// Which timer.
        pub(super) hrtimer: Hex<u64>,
    }

    /// A CPU is up.
    #[event(channel = "trace", name = "cpu_up", facility = "cpu", enabled = false)]
    pub(crate) struct CpuUp {
        /// Which.
        pub(crate) cpu_id: u32,
    }

    /// A CPU comes to its end, in order: what it writes ends soon.
    #[event(channel = "trace", name = "cpu_down", facility = "cpu", enabled = false)]
    pub(crate) struct CpuDown {
        /// Which.
        pub(crate) cpu_id: u32,
    }
}

/// How a time is given, as LTTng numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, relay::Enum)]
#[repr(u32)]
#[expect(non_camel_case_types, reason = "LTTng's names")]
pub(crate) enum TimerMode {
    /// Since the machine's start.
    HRTIMER_MODE_ABS = 0,
    /// From now on, by the timer of this CPU alone.
    HRTIMER_MODE_REL_PINNED = 3,
}
