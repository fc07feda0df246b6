//! Collects the metadata from its packets.

use crate::records::{Schema, SchemaError};
use crate::tsdl::MAX_TEXT;
use crate::wire::Header;

/// The metadata so far.
#[derive(Debug, Default)]
pub(super) struct Collector {
    /// The text.
    text: Vec<u8>,
    /// The boot that it belongs to.
    uuid: Option<[u8; 16]>,
    /// The number of the next packet.
    next: u64,
    /// Whether a packet was out of order, of another boot, or too much: there
    /// will be no metadata.
    spoiled: Option<String>,
}

/// What a metadata packet has led to.
#[derive(Debug)]
pub(super) enum Collected {
    /// More packets are needed.
    More,
    /// The text is complete.
    Complete(Vec<u8>, Box<Schema>),
    /// It will never be complete, and why.
    Spoiled(String),
}

impl Collector {
    /// The number of the packet that it waits for.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Takes the next packet's contents.
    pub(super) fn take(&mut self, header: &Header, contents: &[u8]) -> Collected {
        if let Some(why) = &self.spoiled {
            return Collected::Spoiled(why.clone());
        }
        let uuid = *self.uuid.get_or_insert(header.uuid);
        let wrong = if uuid != header.uuid {
            Some("its packets are of different boots".to_owned())
        } else if header.number != self.next {
            Some(format!(
                "its packet {} came where {} should be",
                header.number, self.next
            ))
        } else if self.text.len() + contents.len() > MAX_TEXT {
            Some(format!("it is longer than {MAX_TEXT} bytes"))
        } else {
            None
        };
        if let Some(wrong) = wrong {
            return self.spoil(wrong);
        }
        self.next += 1;
        self.text.extend_from_slice(contents);
        if !header.is_final {
            return Collected::More;
        }
        let schema = Schema::read(&self.text).and_then(|schema| match schema.uuid == uuid {
            true => Ok(schema),
            false => Err(SchemaError::Layout(
                "its uuid is not that of its packets".to_owned(),
            )),
        });
        match schema {
            Ok(schema) => Collected::Complete(std::mem::take(&mut self.text), Box::new(schema)),
            Err(error) => self.spoil(error.to_string()),
        }
    }

    /// Gives the metadata up.
    fn spoil(&mut self, why: String) -> Collected {
        self.text = Vec::new();
        self.spoiled = Some(why.clone());
        Collected::Spoiled(why)
    }
}
