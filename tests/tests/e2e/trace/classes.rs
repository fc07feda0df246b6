//! The events of the channel trace as the metadata of a real capture describes them, compared with
//! what viewers know.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The events that LTTng's kernel tracer has, with their fields and types as it writes them:
/// `i32` and the like, `x64` for a number in base 16, `string` up to a zero byte, `comm` for 16 bytes
/// of text, `enum32` for a number with names.
const LTTNG: &[(&str, &str)] = &[
    (
        "sched_switch",
        "prev_comm comm, prev_tid i32, prev_prio i32, prev_state i64, next_comm comm, \
         next_tid i32, next_prio i32",
    ),
    (
        "sched_waking",
        "comm comm, tid i32, prio i32, target_cpu i32",
    ),
    (
        "sched_wakeup",
        "comm comm, tid i32, prio i32, target_cpu i32",
    ),
    (
        "sched_wakeup_new",
        "comm comm, tid i32, prio i32, target_cpu i32",
    ),
    (
        "sched_migrate_task",
        "comm comm, tid i32, prio i32, orig_cpu i32, dest_cpu i32",
    ),
    (
        "sched_process_fork",
        "parent_comm comm, parent_tid i32, parent_pid i32, parent_ns_inum u32, child_comm comm, \
         child_tid i32, vtids[1] i32, child_pid i32, child_ns_inum u32",
    ),
    (
        "sched_process_exec",
        "filename string, tid i32, old_tid i32",
    ),
    ("sched_process_exit", "comm comm, tid i32, prio i32"),
    ("sched_process_free", "comm comm, tid i32, prio i32"),
    (
        "sched_pi_setprio",
        "comm comm, tid i32, oldprio i32, newprio i32",
    ),
    ("lttng_statedump_start", ""),
    ("lttng_statedump_end", ""),
    (
        "lttng_statedump_process_state",
        "tid i32, pid i32, ppid i32, name comm, type i32, mode i32, submode i32, status i32, \
         cpu u32, file_table_address x64",
    ),
    ("syscall_entry_unknown", "id i32, args[6] u64"),
    ("syscall_exit_unknown", "ret i64, id i32, args[6] u64"),
    ("syscall_entry_close", "fd u32"),
    (
        "x86_exceptions_page_fault_user",
        "address x64, ip x64, error_code x8",
    ),
    ("irq_handler_entry", "irq i32, name string"),
    ("irq_handler_exit", "irq i32, ret i32"),
    ("x86_irq_vectors_local_timer_entry", "vector i32"),
    ("x86_irq_vectors_local_timer_exit", "vector i32"),
    ("x86_irq_vectors_reschedule_entry", "vector i32"),
    ("x86_irq_vectors_reschedule_exit", "vector i32"),
    ("x86_irq_vectors_call_function_entry", "vector i32"),
    ("x86_irq_vectors_call_function_exit", "vector i32"),
    ("x86_irq_vectors_error_apic_entry", "vector i32"),
    ("x86_irq_vectors_error_apic_exit", "vector i32"),
    ("x86_irq_vectors_spurious_apic_entry", "vector i32"),
    ("x86_irq_vectors_spurious_apic_exit", "vector i32"),
    (
        "x86_exceptions_page_fault_kernel",
        "address x64, ip x64, error_code x8",
    ),
    (
        "timer_hrtimer_start",
        "hrtimer x64, function x64, expires i64, softexpires i64, mode enum32",
    ),
    (
        "timer_hrtimer_expire_entry",
        "hrtimer x64, now i64, function x64",
    ),
    ("timer_hrtimer_expire_exit", "hrtimer x64"),
    ("timer_hrtimer_cancel", "hrtimer x64"),
    ("power_cpu_idle", "state u32, cpu_id u32"),
    (
        "kmem_mm_page_alloc",
        "page x64, pfn u64, order u32, gfp_flags u32, migratetype i32",
    ),
    ("kmem_mm_page_free", "page x64, pfn u64, order u32"),
    (
        "kmem_kmalloc",
        "call_site x64, ptr x64, bytes_req u64, bytes_alloc u64, gfp_flags u32",
    ),
    ("kmem_kfree", "call_site x64, ptr x64"),
];

/// Those that it has not.
const OWN: &[(&str, &str)] = &[
    ("ipi_send", "vector i32, target i32"),
    ("cpu_up", "cpu_id u32"),
    ("cpu_down", "cpu_id u32"),
    ("virtio_notify", "port u32, wanted u8, own u32"),
    ("virtio_used", "port u32, bytes u32, own u32"),
    ("virtio_port_open", "port u32, open u8"),
    (
        "drain_take",
        "stream u32, cpu u32, packet u64, records u32, own u32",
    ),
    ("drain_submit", "stream u32, cpu u32, packet u64, own u32"),
    ("drain_return", "stream u32, cpu u32, packet u64, own u32"),
    (
        "message_send",
        "port u64, client i32, bytes u32, has_handle enum8",
    ),
    (
        "message_receive",
        "port u64, client i32, server i32, bytes u32",
    ),
    (
        "message_reply",
        "port u64, client i32, server i32, bytes u32",
    ),
    ("message_notify", "port u64, bits x64, sender i32"),
    ("pattern_begin", ""),
    ("pattern_end", ""),
];

/// The facilities that can be switched, beside those of scenarios.
const FACILITIES: [&str; 12] = [
    "cpu", "drain", "fault", "idle", "ipc", "ipi", "irq", "mem", "sched", "syscall", "timer",
    "virtio",
];

/// A class, as the metadata describes it.
struct Class {
    name: String,
    facility: String,
    /// Its fields, as the tables have them.
    fields: String,
}

/// What stands between two texts.
fn between<'a>(text: &'a str, before: &str, behind: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    let (found, _) = rest.split_once(behind)?;
    Some(found)
}

/// A field, as the tables call it.
fn field(declared: &str) -> String {
    let (kind, name) = declared.rsplit_once(" _").expect("a type and a name");
    // An enumeration may be stored as a type that has a name.
    let size = || between(kind, "size = ", ";").unwrap_or("8");
    let (name, is_comm) = match name.strip_suffix("[16]") {
        Some(name) => (name, kind == "utf8_t"),
        None => (name, false),
    };
    let kind = match kind {
        _ if is_comm => "comm".to_owned(),
        "uint8_t" | "uint16_t" | "uint32_t" | "uint64_t" => {
            format!("u{}", &kind[4..kind.len() - 2])
        }
        "int8_t" | "int16_t" | "int32_t" | "int64_t" => format!("i{}", &kind[3..kind.len() - 2]),
        "string" => "string".to_owned(),
        _ if kind.starts_with("enum : ") => format!("enum{}", size()),
        _ if kind.contains("base = 16") && kind.contains("signed = false") => {
            format!("x{}", size())
        }
        other => other.to_owned(),
    };
    format!("{name} {kind}")
}

/// The classes of the channel trace.
fn classes(metadata: &str) -> Vec<Class> {
    let blocks = metadata
        .lines()
        .filter(|line| line.contains("stream_id = 5;"));
    let blocks = blocks.filter_map(|line| line.strip_prefix("event { "));
    let classes = blocks.map(|block| {
        let fields = between(block, "fields := struct {", "}; };").expect("it has fields");
        let facility = between(block, "&facility=", "\"").unwrap_or_default();
        // A semicolon ends a field where it is not within braces.
        let mut declared = vec![String::new()];
        let mut depth = 0;
        for letter in fields.chars() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            match letter {
                ';' if depth == 0 => declared.push(String::new()),
                letter => declared.last_mut().expect("one is there").push(letter),
            }
        }
        let declared = declared
            .iter()
            .map(|it| it.trim())
            .filter(|it| !it.is_empty());
        Class {
            name: between(block, "name = \"", "\"")
                .expect("it has one")
                .to_owned(),
            facility: facility.split('&').next().unwrap_or_default().to_owned(),
            fields: declared.map(field).collect::<Vec<_>>().join(", "),
        }
    });
    classes.collect()
}

/// Checks the events of a capture.
#[track_caller]
pub(super) fn assert_known(capture: &Path) {
    let metadata = std::fs::read(capture.join("trace/metadata")).expect("it is there");
    let classes = classes(&String::from_utf8_lossy(&metadata));
    for (name, fields) in LTTNG.iter().chain(OWN) {
        let class = classes.iter().find(|class| class.name == *name);
        let class = class.unwrap_or_else(|| panic!("{name} is not there"));
        assert_eq!(class.fields, *fields, "{name}");
    }
    let known = |class: &&Class| LTTNG.iter().chain(OWN).any(|(name, _)| *name == class.name);
    let facilities = classes.iter().filter(known).map(|class| &*class.facility);
    let facilities: BTreeSet<_> = facilities
        .filter(|facility| *facility != "pattern")
        .collect();
    assert_eq!(facilities, FACILITIES.into_iter().collect());
    // Each call has an entry and an exit, which begins with what it has returned.
    let of = |begin: &str| {
        let calls = classes.iter();
        let calls = calls.filter_map(|class| Some((class.name.strip_prefix(begin)?, class)));
        calls.collect::<BTreeMap<_, _>>()
    };
    let (entries, exits) = (of("syscall_entry_"), of("syscall_exit_"));
    assert!(entries.keys().eq(exits.keys()));
    assert!(entries.len() > 1, "{:?}", entries.keys());
    for (name, exit) in &exits {
        assert!(
            exit.fields.starts_with("ret i64"),
            "{name}: {}",
            exit.fields
        );
    }
    // What analyses read: a number with names there ends them.
    for class in &classes {
        let read = ["sched_", "irq_", "x86_irq_", "power_"];
        if read.iter().any(|begin| class.name.starts_with(begin)) {
            assert!(!class.fields.contains(" enum"), "{}", class.name);
        }
        // What is in no table is of a scenario.
        let others = ["types", "stress", "scenario", "syscall"];
        let is_known = known(&class) || others.contains(&&*class.facility);
        assert!(is_known, "{} is in no table", class.name);
    }
}

#[test]
fn types_are_read_as_they_are_declared() {
    let block = |fields: &str| {
        format!(
            "event {{ name = \"x\"; id = 20; stream_id = 5; model.emf.uri = \"relay:event?line=1&\
             facility=irq\"; fields := struct {{ {fields} }}; }};\n"
        )
    };
    for (declared, wanted) in [
        ("int32_t _a; uint8_t _b;", "a i32, b u8"),
        ("utf8_t _comm[16]; string _s;", "comm comm, s string"),
        (
            "integer { size = 64; align = 8; signed = false; base = 16; } _p;",
            "p x64",
        ),
        (
            "enum : integer { size = 32; align = 8; signed = false; } { \"A\" = 3 } _m; int64_t _z;",
            "m enum32, z i64",
        ),
        ("", ""),
    ] {
        let classes = classes(&block(declared));
        assert_eq!(classes.len(), 1);
        assert_eq!(classes[0].fields, wanted);
        assert_eq!(classes[0].facility, "irq");
    }
    // An enumeration where a number should be is another type.
    let classes = classes(&block(
        "enum : integer { size = 32; } { \"A\" = 3 } _vector;",
    ));
    assert_ne!(classes[0].fields, "vector i32");
}
