//! The backtrace of a program's fault, below the record that tells of it.

use std::fmt::Write as _;

use relay_decode::escape::printable;
use relay_decode::merge::Shown;
use relay_decode::records::Value;

use crate::symbols::{Address, Programs};

/// The event that tells of a fault.
const FAULT: &str = "program_faulted";

/// Before each line that belongs to the record above.
const CONTINUATION: &str = "            | ";

/// Appends the functions that a program was in when it did what it cannot do, a line each, if that
/// is what the record tells.
pub(super) fn push(
    text: &mut String,
    programs: &Programs,
    shown: &Shown<'_>,
    values: &[Value<'_>],
) {
    let event = shown.record.event;
    if event.name != FAULT {
        return;
    }
    let value = |field| event.field(field).and_then(|at| values.get(at));
    let (Some(Value::Text(program)), Some(ip)) = (value("program"), value("ip")) else {
        return;
    };
    let program = String::from_utf8_lossy(program);
    let ip = ip.as_unsigned().map(Address::Instruction);
    let callers = match value("backtrace") {
        Some(Value::List(callers)) => callers.as_slice(),
        _ => &[],
    };
    let callers = callers.iter().filter_map(Value::as_unsigned);
    let addresses = ip.into_iter().chain(callers.map(Address::Return));
    for (number, address) in addresses.enumerate() {
        // Writing to a `String` cannot fail, here and below.
        let _ = write!(text, "{CONTINUATION}  #{number} {:#018x}", address.number());
        let frames = programs.frames(&program, address);
        for (at, frame) in frames.iter().enumerate() {
            let mark = if at > 0 { " < " } else { " " };
            let _ = write!(text, "{mark}{}", printable(frame.to_string().as_bytes()));
        }
        text.push('\n');
    }
}
