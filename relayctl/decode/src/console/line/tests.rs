//! Tests of `line`.

use proptest::prelude::*;
use relay_format::Losses;

use super::*;
use crate::escape::printable;

#[test]
fn reads_a_record() {
    let text = "[    0.013514] 3:17 irq  INFO  kernel::scenario smoke.rs:41: timer says: hello";
    let expected = Record {
        time_us: 13_514,
        cpu: 3,
        number: 17,
        context: Context::Irq,
        severity: Severity::Info,
        module: "kernel::scenario",
        file: "smoke.rs",
        line: 41,
        message: "timer says: hello",
    };
    assert_eq!(Line::parse(text), Line::Record(expected));
}

#[test]
fn reads_what_the_console_was_too_slow_for() {
    let text = "-- cpu 3: 12 records skipped before 3:567: the console is too slow";
    let expected = SkipNotice {
        cpu: 3,
        skipped: 12,
        before: 567,
    };
    assert_eq!(Line::parse(text), Line::Skipped(expected));
    let no_console = text.replace("the console is too slow", "they left as packets");
    assert_eq!(Line::parse(&no_console), Line::Skipped(expected));
    let odd = text.replace("slow", "odd");
    assert!(matches!(Line::parse(&odd), Line::Notice(_)));
    let other = text.replace("3:567", "4:567");
    assert!(matches!(Line::parse(&other), Line::Notice(_)));
    let end = "-- cpu 3: end of stream: attempted 9, delivered 5, skipped 3, lost 1 (full 1)";
    assert!(matches!(Line::parse(end), Line::End(end) if (end.skipped, end.lost) == (3, 1)));
}

#[test]
fn a_message_may_be_empty() {
    for text in [
        "[1.000000] 0:0 task WARN  m f.rs:1: ",
        "[1.000000] 0:0 task WARN  m f.rs:1:",
    ] {
        assert!(
            matches!(Line::parse(text), Line::Record(r) if r.message.is_empty()),
            "{text}"
        );
    }
}

#[test]
fn what_is_almost_a_record_is_text() {
    for text in [
        "[    0.01351] 3:17 irq  INFO  m smoke.rs:41: five decimals",
        "[    0.013514] 3-17 irq  INFO  m smoke.rs:41: no colon",
        "[    0.013514] 3:17 soft INFO  m smoke.rs:41: no such context",
        "[    0.013514] 3:17 irq  LOUD  m smoke.rs:41: no such severity",
        "[    0.013514] 3:17 irq  INFO  m smoke.rs: no line",
        "[    0.013514] +3:17 irq  INFO  m smoke.rs:41: sign",
        "[    0.013514] 3:99999999999999999999 irq  INFO  m smoke.rs:41: overflow",
        "[99999999999999999999.000000] 3:1 irq  INFO  m smoke.rs:41: overflow",
        "[    0.013514] 3:17 irq  INFO",
        "[",
    ] {
        assert_eq!(Line::parse(text), Line::Text(text));
    }
}

#[test]
fn reads_the_notices() {
    let lost = LostNotice {
        cpu: 3,
        lost: 1234,
        before: 567,
        reasons: Losses([1234, 0, 0, 0, 0, 0]).into(),
    };
    assert_eq!(
        Line::parse("-- cpu 3: 1234 records lost before 3:567 (full 1234)"),
        Line::Lost(lost)
    );
    let end = "-- cpu 3: end of stream: attempted 1300, delivered 66, lost 1234 \
               (full 1230, too_big 4, wrapped 0, nested 0, closed 0, discarded 0)";
    let reasons = Losses([1230, 4, 0, 0, 0, 0]).into();
    assert_eq!(
        Line::parse(end),
        Line::End(EndNotice {
            cpu: 3,
            attempted: 1300,
            delivered: 66,
            skipped: 0,
            lost: 1234,
            reasons
        })
    );
    assert_eq!(
        Line::parse("-- 12 records lost on CPUs without a ring"),
        Line::NoRing(12)
    );
    let no_count = "-- +12 records lost on CPUs without a ring";
    assert_eq!(Line::parse(no_count), Line::Notice(&no_count[3..]));
    assert_eq!(
        Line::parse("-- cpu 3: 2 records uncommitted at panic"),
        Line::Uncommitted { cpu: 3, count: 2 }
    );
    assert_eq!(
        Line::parse("-- cpu 3: stream is not closed, 66 records printed"),
        Line::NotClosed {
            cpu: 3,
            printed: 66
        }
    );
}

#[test]
fn an_unknown_notice_is_still_a_notice() {
    for text in [
        "cpu 1: gone fishing",
        "cpu 1: 5 records lost before 2:7 (full 5)",
        "cpu 1: 5 records lost before 1:7 (bored 5)",
        "drain: something else",
    ] {
        assert_eq!(Line::parse(&format!("-- {text}")), Line::Notice(text));
    }
}

#[test]
fn reads_the_other_lines() {
    assert_eq!(
        Line::parse("            | second line"),
        Line::Continuation("second line")
    );
    assert_eq!(
        Line::parse("!! relay: broken"),
        Line::Fallback("relay: broken")
    );
    assert_eq!(
        Line::parse("SeaBIOS (version 1)"),
        Line::Text("SeaBIOS (version 1)")
    );
}

#[test]
fn finds_addresses() {
    let address = 0xffff_ffff_8020_1234;
    assert_eq!(
        backtrace_frame("  #0 0xffffffff80201234"),
        Some((0, address))
    );
    assert_eq!(backtrace_frame("#12 0x10"), Some((12, 0x10)));
    for text in [
        "#0",
        "#x 0x10",
        "#1 10",
        "#1 0x10 more",
        "#1 0x",
        "#1 0x1ffffffffffffffff",
    ] {
        assert_eq!(backtrace_frame(text), None, "{text}");
    }
    let registers = "rip 0xffffffff80201234 rsp 0xffffffff80300000 rflags 0x2";
    assert_eq!(instruction_pointer(registers), Some(address));
    for text in ["rip", "rip 7", "rip 0xno", "a rip 0x7", "trip 0x7"] {
        assert_eq!(instruction_pointer(text), None, "{text}");
    }
}

proptest! {
    /// No bytes make the reader panic, and a record it finds was really there.
    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Line::parse(&printable(&bytes));
    }

    /// Damaged versions of real lines: never a panic.
    #[test]
    fn damaged_lines_are_read(
        which in 0usize..4, at in 0usize..120, cut in any::<bool>(), with in any::<char>()
    ) {
        let lines = [
            "[    0.013514] 3:17 irq  INFO  kernel::scenario smoke.rs:41: timer says hello",
            "-- cpu 3: 1234 records lost before 3:567 (full 1234)",
            "-- cpu 3: end of stream: attempted 1300, delivered 66, lost 1234 (full 1234)",
            "-- cpu 3: stream is not closed, 66 records printed",
        ];
        let mut text = lines[which].to_owned();
        let at = at.min(text.len());
        if cut { text.truncate(at); } else { text.insert(at, with); }
        let _ = Line::parse(&text);
        let _ = (backtrace_frame(&text), instruction_pointer(&text), program_frame(&text));
    }

    /// What the kernel prints is read back field by field.
    #[test]
    fn records_round_trip(
        time in 0u64..1 << 50, cpu in 0u32..4096, n in any::<u64>(), line in any::<u32>(),
        context in 0usize..3, severity in 0usize..Severity::ALL.len(), message in "[ -~]{0,60}"
    ) {
        let (context, severity) = (Context::ALL[context], Severity::ALL[severity]);
        let stamp = format!("{}.{:06}", time / 1_000_000, time % 1_000_000);
        let text = format!(
            "[{stamp:>12}] {cpu}:{n} {:<4} {:<5} a::b c.rs:{line}: {message}",
            context.name(), severity.name().to_uppercase()
        );
        let expected = Record {
            time_us: time, cpu, number: n, context, severity,
            module: "a::b", file: "c.rs", line, message: &message,
        };
        prop_assert_eq!(Line::parse(&text), Line::Record(expected));
    }
}

#[test]
fn a_programs_backtrace_names_the_program() {
    let frame = program_frame("  init #12 0x0000000000401234");
    assert_eq!(frame, Some(("init", 12, 0x40_1234)));
    for text in [
        "init #0 0x10",
        "   #0 0x10",
        "  #0 0x10",
        "  a b #0 0x10",
        "  a #x 0x10",
        "  a #0 10",
        "  a #0",
    ] {
        assert_eq!(program_frame(text), None, "{text}");
    }
    // It is none of the kernel's.
    assert_eq!(backtrace_frame("  init #12 0x0000000000401234"), None);
}
