//! What klog wrote, read.

use super::class::{EVENT_ID, Place, STREAM};
use super::line::base_name;
use crate::event::{self, Registered, Severity, Values};
use crate::platform::Context;
use crate::record::{Fields, Malformed, Stamp, extend};
use core::fmt;

/// A klog record, read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// When, in ticks.
    pub ticks: u64,
    /// At which level.
    pub context: Context,
    /// How important.
    pub severity: Severity,
    /// Where in the source.
    pub place: Place<'a>,
    /// What was said.
    pub message: Message<'a>,
}

/// What was said: as a text, or by a statement, whose arguments become one when it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text.
    Text(&'a str),
    /// What a statement says with these values.
    Statement {
        /// Its text, with its fields as placeholders.
        template: &'static str,
        /// The values.
        values: Values<'a>,
    },
}

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Statement { template, values } => values.write(f, template),
        }
    }
}

/// The klog records in a run of records (see
/// [`SubBuffer::records`](crate::SubBuffer::records)) of a packet that began at `begin_ticks`.
///
/// After a malformed record nothing more comes: where the next begins is not known. Any context.
pub fn records(
    records: &[u8],
    begin_ticks: u64,
) -> impl Iterator<Item = Result<Record<'_>, Malformed>> {
    let mut fields = Some(Fields::new(records));
    core::iter::from_fn(move || {
        let item = next(fields.as_mut()?, begin_ticks).transpose()?;
        if item.is_err() {
            fields = None;
        }
        Some(item)
    })
}

/// Reads the next klog record of `fields`, which belong to a packet that began at `begin_ticks`;
/// `None` at the end. Any context.
///
/// # Errors
/// [`Malformed`]: what comes next is no klog record. What comes after it cannot be found.
pub fn next<'a>(
    fields: &mut Fields<'a>,
    begin_ticks: u64,
) -> Result<Option<Record<'a>>, Malformed> {
    let offset = fields.offset();
    let Some(stamp) = fields.next_stamp()? else {
        return Ok(None);
    };
    read(fields, stamp, extend(stamp.time(), begin_ticks))
        .map(Some)
        .map_err(|reason| Malformed { offset, reason })
}

/// Reads a record after its stamp.
fn read<'a>(fields: &mut Fields<'a>, stamp: Stamp, ticks: u64) -> Result<Record<'a>, &'static str> {
    const CUT_OFF: &str = "it is cut off";
    let context = stamp.context().ok_or("no such context")?;
    if stamp.id() != EVENT_ID {
        let class = event::find(stamp.id()).filter(|class| class.site.channel() == STREAM.name);
        let Registered { site, class } = class.ok_or("it is no klog record")?;
        let source = site.source();
        return Ok(Record {
            ticks,
            context,
            severity: site.severity(),
            place: Place {
                module: source.module,
                file: base_name(source.file),
                line: source.line,
            },
            message: Message::Statement {
                template: site.text().unwrap_or(site.name()),
                values: Values::take(class.fields, fields).ok_or(CUT_OFF)?,
            },
        });
    }
    let severity = fields.u8().ok_or(CUT_OFF)?;
    let severity = Severity::from_number(severity).ok_or("no such severity")?;
    let line = fields.u32().ok_or(CUT_OFF)?;
    let mut lens = [0; 3];
    for len in &mut lens {
        *len = usize::from(fields.u16().ok_or(CUT_OFF)?);
    }
    let mut text = |len| {
        let bytes = fields.bytes(len).ok_or(CUT_OFF)?;
        core::str::from_utf8(bytes).map_err(|_| "its text is not UTF-8")
    };
    let (module, file, message) = (text(lens[0])?, text(lens[1])?, text(lens[2])?);
    Ok(Record {
        ticks,
        context,
        severity,
        place: Place { module, file, line },
        message: Message::Text(message),
    })
}
