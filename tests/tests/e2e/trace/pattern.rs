//! The scenario `pattern`: the trace says of each CPU exactly what its handlers have told.

use std::collections::BTreeMap;

use serde_json::Value;

use super::classes::assert_known;
use super::{assert_judged, number, records, run, text};

const SMP: u64 = 8;
/// Where the first fault of each CPU is; the others follow, 8 bytes apart.
const NOWHERE: u64 = 0xffff_c300_0000_0000;

/// What each CPU told: `s50` it has sent an interrupt, `+50` and `-50` the handler of one has begun
/// and ended, `f` it has taken a page fault.
fn told(klog: &[Value]) -> BTreeMap<u64, Vec<String>> {
    let mut tales: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for record in klog {
        let Some(tale) = text(&record["msg"]).strip_prefix("pattern of cpu ") else {
            continue;
        };
        let (_, words) = tale.split_once(':').expect("it is a tale");
        let words = words.split_whitespace().map(str::to_owned);
        tales
            .entry(number(&record["cpu"]))
            .or_default()
            .extend(words);
    }
    tales
}

/// An event of the trace as a word of a tale; `None` for what is not told of. `faults` counts.
fn word(event: &Value, faults: &mut u64) -> Option<String> {
    let fields = &event["fields"];
    let name = text(&event["event"]);
    Some(match name {
        "ipi_send" => format!("s{:x}", number(&fields["vector"])),
        "x86_irq_vectors_reschedule_entry" => format!("+{:x}", number(&fields["vector"])),
        "x86_irq_vectors_reschedule_exit" => format!("-{:x}", number(&fields["vector"])),
        "irq_handler_entry" => format!("+{:x}", number(&fields["irq"])),
        "irq_handler_exit" => {
            assert_eq!(fields["ret"], 1, "{event}");
            format!("-{:x}", number(&fields["irq"]))
        }
        "x86_exceptions_page_fault_kernel" => {
            assert_eq!(number(&fields["address"]), NOWHERE + *faults * 8, "{event}");
            assert_eq!(number(&fields["error_code"]), 0, "{event}");
            *faults += 1;
            "f".to_owned()
        }
        name if name.ends_with("_entry") || name.ends_with("_exit") => {
            panic!("nobody has made this one: {event}")
        }
        _ => return None,
    })
}

/// What each CPU did in its pattern, by the trace.
fn traced(trace: &[Value]) -> BTreeMap<u64, Vec<String>> {
    let mut all = BTreeMap::new();
    for cpu in 0..SMP {
        let own = trace.iter().filter(|event| event["cpu"] == cpu);
        let own = own.skip_while(|event| event["event"] != "pattern_begin");
        let own = own.take_while(|event| event["event"] != "pattern_end");
        let (mut words, mut faults, mut others) = (Vec::new(), 0, Vec::new());
        for event in own {
            let fields = &event["fields"];
            // The device that the packets leave by has interrupts of its own.
            if fields["name"] == "virtio-console" {
                others.push(number(&fields["irq"]));
            }
            let is_other = text(&event["event"]).starts_with("irq_handler_")
                && others.contains(&number(&fields["irq"]));
            if !is_other {
                words.extend(word(event, &mut faults));
            }
        }
        all.insert(cpu, words);
    }
    all
}

/// Checks that handlers end in the order in which they have interrupted each other, and that their
/// records have the context of the innermost; how deep they were at most.
#[track_caller]
fn assert_nested(trace: &[Value]) -> usize {
    let mut stacks: BTreeMap<u64, Vec<(String, u64)>> = BTreeMap::new();
    let mut deepest = 0;
    for event in trace {
        let stack = stacks.entry(number(&event["cpu"])).or_default();
        let name = text(&event["event"]);
        let fields = &event["fields"];
        let of = || {
            let numbers = ["vector", "irq", "hrtimer"].map(|field| fields[field].as_u64());
            numbers.into_iter().flatten().next().expect("it has one")
        };
        if let Some(name) = name.strip_suffix("_entry") {
            stack.push((name.to_owned(), of()));
            deepest = deepest.max(stack.len());
        }
        let is_nmi = stack
            .iter()
            .any(|(name, of)| name == "irq_handler" && *of == 2);
        let context = match stack.is_empty() {
            true => "task",
            false if is_nmi => "nmi",
            false => "irq",
        };
        assert_eq!(event["context"], context, "{event}");
        if let Some(name) = name.strip_suffix("_exit") {
            assert_eq!(stack.pop(), Some((name.to_owned(), of())), "{event}");
        }
    }
    deepest
}

#[test]
fn the_trace_says_exactly_what_was_done() {
    let folder = tempfile::tempdir().expect("there is room");
    let set = ["trace=all", "trace-size=262144", "rounds=3"];
    run(folder.path(), "pattern", &set, &[]).assert_code(0);
    assert_judged(folder.path(), "complete");
    assert_known(folder.path());
    let (klog, trace) = (
        records("klog", folder.path()),
        records("trace", folder.path()),
    );
    let (told, traced) = (told(&klog), traced(&trace));
    assert_eq!(told.len() as u64, SMP);
    for (cpu, words) in &told {
        assert!(words.len() > 200, "cpu {cpu}: {}", words.len());
        assert_eq!(&traced[cpu], words, "cpu {cpu}");
    }
    // A wake-up, the device in it, an NMI in that.
    assert!(assert_nested(&trace) >= 3);
}

/// The comparison would notice: one event less, or two in another order.
#[test]
fn a_trace_that_says_something_else_is_noticed() {
    let event = |name: &str, field: &str, value: u64| serde_json::json!({ "cpu": 0, "event": name, "context": "irq", "fields": { field: value } });
    let (entry, exit) = (
        event("x86_irq_vectors_reschedule_entry", "vector", 0x50),
        event("x86_irq_vectors_reschedule_exit", "vector", 0x50),
    );
    let bounds = |events: &[&Value]| {
        let begin = event("pattern_begin", "none", 0);
        let all = [&begin].into_iter().chain(events.iter().copied()).cloned();
        traced(&all.collect::<Vec<_>>())[&0].clone()
    };
    assert_eq!(bounds(&[&entry, &exit]), ["+50", "-50"]);
    assert_ne!(bounds(&[&entry]), ["+50", "-50"]);
    assert_ne!(bounds(&[&exit, &entry]), ["+50", "-50"]);
    let crossed = [
        entry.clone(),
        event("irq_handler_entry", "irq", 0x65),
        exit.clone(),
    ];
    let crossed = std::panic::catch_unwind(|| assert_nested(&crossed));
    assert!(
        crossed.is_err(),
        "handlers that do not nest are not noticed"
    );
    assert_eq!(assert_nested(&[entry, exit]), 1);
}
