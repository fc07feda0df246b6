//! What a record of klog, evlog or user says.

use relay_format::{Context, Severity};
use relay_rt::relay::event::Values;
use relay_rt::relay::record::{Fields, Stamp};

use super::classes::Classes;
use super::describe::{COMM, Class};

/// The number of klog, and of its class of lines that were formatted when they were written.
pub const KLOG: u32 = 1;
const LINE: u16 = 1;

/// A record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Record<'a> {
    /// The level that it was written at.
    pub context: Context,
    /// What it says.
    pub said: Said<'a>,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said<'a> {
    /// A line of klog.
    Line {
        /// How grave it is.
        severity: Severity,
        /// The Rust module.
        module: &'a [u8],
        /// The source file.
        file: &'a [u8],
        /// The line in it.
        line: u32,
        /// The text.
        message: &'a [u8],
    },
    /// What a program has written.
    Written(Written<'a>),
    /// Values of a class.
    Event {
        /// The class.
        class: &'static Class,
        /// Who wrote it, if it says so: process and thread.
        who: Option<[i32; 2]>,
        /// The values.
        values: Values<'a>,
    },
}

/// Reads the record of a channel behind its stamp; `None` if it cannot be read: where the next one
/// begins is not known then.
pub fn read<'a>(
    classes: &mut Classes,
    channel: u32,
    stamp: Stamp,
    fields: &mut Fields<'a>,
) -> Option<Record<'a>> {
    let context = stamp.context()?;
    let said = match (channel, stamp.id()) {
        (KLOG, LINE) => line(fields)?,
        (_, id) => {
            let class = classes.find(channel, id)?;
            if class.is_written {
                let said = Said::Written(written(fields)?);
                return Some(Record { context, said });
            }
            let who = match class.has_who {
                true => Some([fields.u32()?.cast_signed(), fields.u32()?.cast_signed()]),
                false => None,
            };
            let values = Values::take(class.fields, fields)?;
            Said::Event { class, who, values }
        }
    };
    Some(Record { context, said })
}

/// A line that was formatted when it was written.
fn line<'a>(fields: &mut Fields<'a>) -> Option<Said<'a>> {
    let severity = Severity::from_number(fields.u8()?)?;
    let line = fields.u32()?;
    let mut lengths = [0; 3];
    for length in &mut lengths {
        *length = usize::from(fields.u16()?);
    }
    let [module, file, message] = lengths;
    Some(Said::Line {
        severity,
        line,
        module: fields.bytes(module)?,
        file: fields.bytes(file)?,
        message: fields.bytes(message)?,
    })
}

/// What a program has written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written<'a> {
    /// How grave the program thinks it is.
    pub severity: Severity,
    /// The process and the thread.
    pub who: [i32; 2],
    /// The program's name.
    pub program: &'a [u8],
    /// The text.
    pub text: &'a [u8],
}

/// What a program has written; `None` if it is cut off.
fn written<'a>(fields: &mut Fields<'a>) -> Option<Written<'a>> {
    let severity = Severity::from_number(fields.u8()?)?;
    let who = [fields.u32()?.cast_signed(), fields.u32()?.cast_signed()];
    let program = fields.bytes(COMM)?;
    let end = program.iter().position(|byte| *byte == 0);
    let length = fields.u16()?;
    Some(Written {
        severity,
        who,
        program: &program[..end.unwrap_or(COMM)],
        text: fields.bytes(length.into())?,
    })
}
