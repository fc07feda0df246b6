//! Collects the metadata of one boot from its packets, which may come in any order, and again.

use std::collections::BTreeMap;

use crate::records::{Schema, SchemaError};
use crate::tsdl::MAX_TEXT;
use crate::wire::{Header, crc32c};

/// The most packets that it may come in.
const MAX_PACKETS: usize = 1 << 14;

/// What a packet of the metadata says, in short: two that say the same are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seal {
    /// How many bytes of the text.
    length: usize,
    /// Their CRC-32C.
    crc: u32,
    /// Whether it is the last packet.
    is_final: bool,
}

impl Seal {
    /// That of a packet.
    fn of(header: &Header, contents: &[u8]) -> Self {
        Self {
            length: contents.len(),
            crc: crc32c(contents),
            is_final: header.is_final,
        }
    }
}

/// The metadata so far.
#[derive(Debug, Default)]
pub(super) struct Collector {
    /// The packets that came, by their numbers.
    seals: BTreeMap<u64, Seal>,
    /// The text of each, until all have come.
    texts: BTreeMap<u64, Vec<u8>>,
    /// How many bytes these are.
    length: usize,
    /// The number of the last packet, once it has come.
    last: Option<u64>,
    /// The number of a packet that came before the last one, and has a higher number.
    behind: Option<u64>,
    /// Why there will be no metadata.
    spoiled: Option<String>,
}

/// What a metadata packet has led to.
#[derive(Debug)]
pub(super) enum Collected {
    /// More packets are needed.
    More,
    /// The text is complete.
    Complete(Vec<u8>, Box<Schema>),
    /// It had come before, and is the same.
    Again,
    /// It contradicts what had come before, and is not used.
    Differs,
    /// It will never be complete, and why.
    Spoiled(String),
}

impl Collector {
    /// Takes a packet's contents.
    pub(super) fn take(&mut self, header: &Header, contents: &[u8]) -> Collected {
        let number = header.number;
        let seal = Seal::of(header, contents);
        match self.seals.get(&number) {
            Some(known) if *known == seal => return Collected::Again,
            Some(_) => return Collected::Differs,
            None => {}
        }
        if let Some(why) = &self.spoiled {
            return Collected::Spoiled(why.clone());
        }
        if self.last.is_some_and(|last| seal.is_final || number > last) {
            return Collected::Differs;
        }
        if self.length + contents.len() > MAX_TEXT {
            return self.spoil(format!("it is longer than {MAX_TEXT} bytes"));
        }
        if self.seals.len() == MAX_PACKETS {
            return self.spoil(format!("it has more than {MAX_PACKETS} packets"));
        }
        self.length += contents.len();
        self.seals.insert(number, seal);
        self.texts.insert(number, contents.to_vec());
        if seal.is_final {
            self.last = Some(number);
            // What is said to come behind the last cannot be of it.
            let behind = self.texts.split_off(&(number + 1));
            self.seals.split_off(&(number + 1));
            self.length -= behind.values().map(Vec::len).sum::<usize>();
            self.behind = behind.into_keys().next();
        }
        match self.last {
            // Numbers are from 0, each once, and none is above the last.
            Some(last) if self.seals.len() as u64 == last + 1 => self.read(&header.uuid),
            _ => Collected::More,
        }
    }

    /// Whether a packet that came is a part of the text.
    pub(super) fn has(&self, header: &Header, contents: &[u8]) -> bool {
        self.seals.get(&header.number) == Some(&Seal::of(header, contents))
    }

    /// The number of a packet that was dropped because the last one has a lower number; once.
    pub(super) fn take_behind(&mut self) -> Option<u64> {
        self.behind.take()
    }

    /// Reads the text, which is complete.
    fn read(&mut self, uuid: &[u8; 16]) -> Collected {
        let texts = std::mem::take(&mut self.texts);
        let text: Vec<u8> = texts.into_values().flatten().collect();
        let schema = Schema::read(&text).and_then(|schema| match schema.uuid == *uuid {
            true => Ok(schema),
            false => Err(SchemaError::Layout(
                "its uuid is not that of its packets".to_owned(),
            )),
        });
        match schema {
            Ok(schema) => Collected::Complete(text, Box::new(schema)),
            Err(error) => self.spoil(error.to_string()),
        }
    }

    /// The text as far as it came, when no more will: blocks that packets are missing of are left
    /// out. `None` if nothing is missing, or what came is no description of the boot.
    ///
    /// An empty line stands between blocks, and nowhere in one. What is missing may be classes that
    /// no record is of.
    pub(super) fn take_what_came(&mut self, uuid: &[u8; 16]) -> Option<(Vec<u8>, Box<Schema>)> {
        if self.spoiled.is_some() {
            return None;
        }
        let mut text = Vec::new();
        let mut next = 0;
        for (number, contents) in &self.texts {
            let contents = match *number == next {
                true => contents.as_slice(),
                false => {
                    text.truncate(last_break(&text)?);
                    &contents[first_break(contents)..]
                }
            };
            text.extend_from_slice(contents);
            next = number + 1;
        }
        if self.last.is_none_or(|last| next <= last) {
            text.truncate(last_break(&text)?);
        }
        let schema = Schema::read(&text).ok()?;
        (schema.uuid == *uuid).then(|| (text, Box::new(schema)))
    }

    /// Why it is not there: it was spoiled, or packets of it did not come.
    pub(super) fn lack(&self) -> String {
        match (&self.spoiled, self.seals.len(), self.last) {
            (Some(why), ..) => why.clone(),
            (None, 0, _) => "none came".to_owned(),
            (None, came, None) => format!("{came} packets of it came, and not the last"),
            (None, came, Some(last)) => format!("{came} of its {} packets came", last + 1),
        }
    }

    /// Gives the metadata up.
    pub(super) fn spoil(&mut self, why: String) -> Collected {
        self.texts.clear();
        self.spoiled = Some(why.clone());
        Collected::Spoiled(why)
    }
}

/// What stands between two blocks of the text.
const BREAK: &[u8] = b"\n\n";

/// Where the last block ends that is whole, if another began behind it; the line's end is its own.
fn last_break(text: &[u8]) -> Option<usize> {
    let breaks = text.windows(BREAK.len());
    breaks
        .rev()
        .position(|two| two == BREAK)
        .map(|behind| text.len() - behind - 1)
}

/// Where the first block begins that is whole: behind the text, if none does.
fn first_break(text: &[u8]) -> usize {
    let mut breaks = text.windows(BREAK.len());
    breaks
        .position(|two| two == BREAK)
        .map_or(text.len(), |at| at + 1)
}
