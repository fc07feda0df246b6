//! What evlog has, read where it was written.

use super::class::CHANNEL;
use crate::event::{self, Codes, Site, Values};
use crate::platform::{Context, Who};
use crate::record::{Fields, Malformed, Stamp, extend};
use core::fmt;

/// A record of evlog, read. Shown (`Display`), it is its sentence, or its name if it has none.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// When, in ticks.
    pub ticks: u64,
    /// At which level.
    pub context: Context,
    /// Where it is declared; severity, name and text, too.
    pub site: &'static Site,
    /// The codes of its facility and its type.
    pub codes: Codes,
    /// Who wrote it.
    pub who: Who,
    /// Its fields.
    pub values: Values<'a>,
}

impl Record<'_> {
    /// The name of its facility. Any context.
    #[must_use]
    pub fn facility(&self) -> &'static str {
        self.site.facility().unwrap_or_default()
    }
}

impl fmt::Display for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.site.text() {
            Some(text) => self.values.write(f, text),
            None => f.write_str(self.site.name()),
        }
    }
}

/// The records in a run of records (see [`SubBuffer::records`](crate::SubBuffer::records)) of a
/// packet of evlog that began at `begin_ticks`.
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

/// Reads the next record of `fields`, which belong to a packet that began at `begin_ticks`; `None`
/// at the end. Any context.
///
/// # Errors
/// [`Malformed`]: what comes next is no record of evlog. What comes after it cannot be found.
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
    const ANOTHER: &str = "it is no record of evlog";
    let context = stamp.context().ok_or("no such context")?;
    let found = event::find(stamp.id()).ok_or(ANOTHER)?;
    let codes = found
        .site
        .codes()
        .filter(|_| found.site.channel() == CHANNEL);
    let codes = codes.ok_or(ANOTHER)?;
    let process = fields.u32().ok_or(CUT_OFF)?.cast_signed();
    let thread = fields.u32().ok_or(CUT_OFF)?.cast_signed();
    Ok(Record {
        ticks,
        context,
        site: found.site,
        codes,
        who: Who { process, thread },
        values: Values::take(found.class.fields, fields).ok_or(CUT_OFF)?,
    })
}
