//! How many records of a capture are wanted, stream by stream: their order does not matter.

use super::cursor::Cursor;
use super::filter::Filter;
use super::note::Note;
use super::wanted::Wanted;
use crate::capture::{OpenError, Stored};

/// How many records of a stream are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamCount {
    /// Its channel.
    pub channel: String,
    /// Its CPU.
    pub cpu: u32,
    /// How many are wanted.
    pub wanted: u64,
    /// Of how many, as the headers of its packets say.
    pub of: u64,
}

impl StreamCount {
    /// Counts the wanted records of each stream that is, and gives what there is to say beside them
    /// to `note`.
    ///
    /// # Errors
    ///
    /// When a stream cannot be read.
    pub fn all(
        stored: &Stored,
        filter: &Filter,
        mut note: impl FnMut(Note),
    ) -> Result<Vec<Self>, OpenError> {
        let schema = &stored.schema;
        let mut wanted = Wanted::new(schema, filter);
        let mut counts = Vec::new();
        for stream in &stored.streams {
            let channel = &schema.channels[stream.channel];
            if !filter.has_stream(&channel.name, stream.cpu) {
                continue;
            }
            let Some(source) = stored.packets(stream)? else {
                // All of it is left out: it is a stream that keeps nothing.
                if !stored.left_out(stream).is_empty() {
                    counts.push(Self {
                        channel: channel.name.clone(),
                        cpu: stream.cpu,
                        wanted: 0,
                        of: 0,
                    });
                }
                continue;
            };
            let mut cursor = Cursor::new(stream, channel, source, false, false);
            let count = cursor.count(schema, &mut wanted, &mut note);
            let count = count.map_err(|error| {
                let path = stored.folder.join("trace").join(&stream.file);
                OpenError::Io(path, error)
            })?;
            counts.push(Self {
                channel: channel.name.clone(),
                cpu: stream.cpu,
                wanted: count,
                of: cursor.records,
            });
        }
        Ok(counts)
    }
}
