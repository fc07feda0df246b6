//! The events of LTTng's kernel tracer whose names relay's kernel may use, as its 2.13 to 2.15 have
//! them on x86-64: fields in their order, with the types that babeltrace2 tells, and which of them
//! Trace Compass' analyses of a kernel read.

/// A field.
pub(super) struct Field {
    pub(super) name: &'static str,
    /// How babeltrace2 tells its type, or how that begins.
    pub(super) kind: &'static str,
    /// Whether an analysis reads it.
    pub(super) is_read: bool,
}

/// An event.
pub(super) struct Event {
    pub(super) name: &'static str,
    pub(super) fields: &'static [Field],
}

const I32: &str = "Signed integer (32-bit, Base 10)";
const I64: &str = "Signed integer (64-bit, Base 10)";
const U8: &str = "Unsigned integer (8-bit, Base 10)";
const U16: &str = "Unsigned integer (16-bit, Base 10)";
const U32: &str = "Unsigned integer (32-bit, Base 10)";
const X8: &str = "Unsigned integer (8-bit, Base 16)";
const X64: &str = "Unsigned integer (64-bit, Base 16)";
/// A text, of whatever form.
const TEXT: &str = "String";
const ENUM8: &str = "Unsigned enumeration (8-bit, ";
const ENUM32: &str = "Unsigned enumeration (32-bit, ";
/// Any number of elements.
const ARGS: &str = "Static array (Length 6)";

const fn read(name: &'static str, kind: &'static str) -> Field {
    let is_read = true;
    Field {
        name,
        kind,
        is_read,
    }
}

const fn only(name: &'static str, kind: &'static str) -> Field {
    let is_read = false;
    Field {
        name,
        kind,
        is_read,
    }
}

/// A wake-up.
const WOKEN: &[Field] = &[
    only("comm", TEXT),
    read("tid", I32),
    read("prio", I32),
    read("target_cpu", I32),
];
/// What happens to a thread.
const THREAD: &[Field] = &[only("comm", TEXT), read("tid", I32), only("prio", I32)];
const VEC: &[Field] = &[read("vec", U8), only("name", ENUM8)];
const FAULT: &[Field] = &[
    only("address", X64),
    only("ip", X64),
    only("error_code", X8),
];
const POWER: &[Field] = &[read("state", U32), read("cpu_id", U32)];

/// The interrupts whose vectors have events of their own, `x86_irq_vectors_NAME_entry` and `_exit`.
const VECTORS: [&str; 11] = [
    "local_timer",
    "reschedule",
    "call_function",
    "call_function_single",
    "irq_work",
    "ipi",
    "error_apic",
    "spurious_apic",
    "threshold_apic",
    "deferred_error_apic",
    "thermal_apic",
];
const VECTOR: &[Field] = &[read("vector", I32)];

const fn event(name: &'static str, fields: &'static [Field]) -> Event {
    Event { name, fields }
}

const EVENTS: [Event; 34] = [
    event(
        "sched_switch",
        &[
            read("prev_comm", TEXT),
            read("prev_tid", I32),
            read("prev_prio", I32),
            read("prev_state", I64),
            read("next_comm", TEXT),
            read("next_tid", I32),
            read("next_prio", I32),
        ],
    ),
    event("sched_waking", WOKEN),
    event("sched_wakeup", WOKEN),
    event("sched_wakeup_new", WOKEN),
    event(
        "sched_migrate_task",
        &[
            only("comm", TEXT),
            read("tid", I32),
            only("prio", I32),
            only("orig_cpu", I32),
            read("dest_cpu", I32),
        ],
    ),
    event(
        "sched_process_fork",
        &[
            only("parent_comm", TEXT),
            read("parent_tid", I32),
            only("parent_pid", I32),
            only("parent_ns_inum", U32),
            read("child_comm", TEXT),
            read("child_tid", I32),
            only("vtids", ""),
            read("child_pid", I32),
            only("child_ns_inum", U32),
        ],
    ),
    event(
        "sched_process_exec",
        &[
            read("filename", TEXT),
            read("tid", I32),
            only("old_tid", I32),
        ],
    ),
    event("sched_process_exit", THREAD),
    event("sched_process_free", THREAD),
    event("sched_wait_task", THREAD),
    event("sched_process_wait", THREAD),
    event(
        "sched_pi_setprio",
        &[
            only("comm", TEXT),
            read("tid", I32),
            only("oldprio", I32),
            read("newprio", I32),
        ],
    ),
    event("irq_handler_entry", &[read("irq", I32), read("name", TEXT)]),
    event("irq_handler_exit", &[read("irq", I32), only("ret", I32)]),
    event("irq_softirq_raise", VEC),
    event("irq_softirq_entry", VEC),
    event("irq_softirq_exit", VEC),
    event("x86_exceptions_page_fault_user", FAULT),
    event("x86_exceptions_page_fault_kernel", FAULT),
    event(
        "timer_hrtimer_init",
        &[
            only("hrtimer", X64),
            only("clockid", I32),
            only("mode", ENUM32),
        ],
    ),
    event(
        "timer_hrtimer_start",
        &[
            only("hrtimer", X64),
            only("function", X64),
            only("expires", I64),
            only("softexpires", I64),
            only("mode", ENUM32),
        ],
    ),
    event(
        "timer_hrtimer_expire_entry",
        &[
            read("hrtimer", X64),
            only("now", I64),
            only("function", X64),
        ],
    ),
    event("timer_hrtimer_expire_exit", &[read("hrtimer", X64)]),
    event("timer_hrtimer_cancel", &[only("hrtimer", X64)]),
    event("power_cpu_idle", POWER),
    event("power_cpu_frequency", POWER),
    event(
        "syscall_entry_unknown",
        &[only("id", I32), only("args", ARGS)],
    ),
    event(
        "syscall_exit_unknown",
        &[read("ret", I64), only("id", I32), only("args", ARGS)],
    ),
    event("syscall_entry_close", &[only("fd", U32)]),
    event("syscall_exit_close", &[read("ret", I64)]),
    event("lttng_statedump_start", &[]),
    event("lttng_statedump_end", &[]),
    event(
        "lttng_statedump_process_state",
        &[
            read("tid", I32),
            read("pid", I32),
            read("ppid", I32),
            read("name", TEXT),
            only("type", I32),
            only("mode", I32),
            only("submode", I32),
            read("status", I32),
            read("cpu", U32),
            only("file_table_address", X64),
        ],
    ),
    event(
        "lttng_statedump_cpu_topology",
        &[
            only("architecture", TEXT),
            only("cpu_id", U16),
            only("vendor", TEXT),
            only("family", U8),
            only("model", U8),
            only("model_name", TEXT),
            only("physical_id", U16),
            only("core_id", U16),
            only("cores", U16),
        ],
    ),
];

/// The event of a name, if LTTng has it.
pub(super) fn find(name: &str) -> Option<&'static [Field]> {
    let vector = name.strip_prefix("x86_irq_vectors_");
    let vector = vector.and_then(|name| {
        let name = name.strip_suffix("_entry").or(name.strip_suffix("_exit"))?;
        VECTORS.contains(&name).then_some(VECTOR)
    });
    let mut events = EVENTS.iter();
    vector.or_else(|| Some(events.find(|event| event.name == name)?.fields))
}
