//! One boot of the machine in a capture: a trace of its own. Its packets wait in memory until its
//! metadata says which streams there are; without metadata they become fragments.

use std::path::{Path, PathBuf};

use super::boots;
use super::folder::METADATA;
use super::metadata::{Collected, Collector};
use super::store::Store;
use crate::records::Schema;
use crate::wire::{self, Header, crc32c};

/// What came of one boot, once its metadata was there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    /// Packets that were written, and that a stopped CPU had left.
    pub(super) salvaged: u64,
    /// Packets that a stopped CPU had left, and that had come before.
    pub(super) doubles: u64,
    /// Packets of the metadata that came again, the same.
    pub(super) repeated: u64,
    /// Packets that came twice, and not the same; some of them.
    pub(super) contradictions: Vec<String>,
}

/// How far a boot is.
#[derive(Debug)]
enum State {
    /// Its metadata is not complete. What came, by port.
    Waiting(Vec<(u32, Vec<u8>)>),
    /// It has a trace.
    Begun {
        /// What its metadata says.
        schema: Box<Schema>,
        /// Its folder within that of the capture.
        within: PathBuf,
        /// Its number in the capture.
        number: u32,
    },
    /// It will have no trace: what comes becomes fragments.
    GivenUp,
}

/// A boot.
#[derive(Debug)]
pub(super) struct Boot {
    /// Which one.
    pub(super) uuid: [u8; 16],
    /// Its metadata so far.
    collector: Collector,
    /// How far it is.
    state: State,
    /// What was written of it.
    pub(super) made: Made,
    /// Packets that came without metadata.
    pub(super) strays: u64,
    /// Their bytes.
    pub(super) stray_bytes: u64,
}

impl Boot {
    /// Nothing has come of it yet.
    pub(super) fn new(uuid: [u8; 16]) -> Self {
        Self {
            uuid,
            collector: Collector::default(),
            state: State::Waiting(Vec::new()),
            made: Made::default(),
            strays: 0,
            stray_bytes: 0,
        }
    }

    /// Its number and its folder within the capture's, if it has a trace.
    pub(super) fn place(&self) -> Option<(u32, &Path)> {
        match &self.state {
            State::Begun { within, number, .. } => Some((*number, within)),
            State::Waiting(_) | State::GivenUp => None,
        }
    }

    /// How many bytes of it are held in memory.
    pub(super) fn held(&self) -> u64 {
        match &self.state {
            State::Waiting(_) => self.stray_bytes,
            State::Begun { .. } | State::GivenUp => 0,
        }
    }

    /// Why its metadata is not there.
    pub(super) fn lack(&self) -> String {
        self.collector.lack()
    }

    /// The name of the file of a packet's stream; `None` if its metadata does not know the stream.
    pub(super) fn file_of(&self, header: &Header) -> Option<String> {
        let State::Begun { schema, .. } = &self.state else {
            return None;
        };
        let channel = schema.channel(header.stream_id);
        let channel = channel.filter(|channel| header.cpu < schema.streams_of(channel))?;
        Some(channel.file_of(header.cpu))
    }

    /// Takes a whole packet of it; with the text and what it says if that completes the metadata:
    /// then its trace can [begin](Self::begin).
    pub(super) fn packet(
        &mut self,
        store: &mut Store,
        port: u32,
        header: &Header,
        packet: &[u8],
        crc: u32,
    ) -> Option<(Vec<u8>, Box<Schema>)> {
        match &mut self.state {
            State::Begun { .. } if header.stream_id != wire::METADATA => {
                self.stream_packet(store, port, header, packet, crc);
                return None;
            }
            State::Begun { .. } => {}
            State::Waiting(early) => {
                self.strays += 1;
                self.stray_bytes += packet.len() as u64;
                early.push((port, packet.to_vec()));
            }
            State::GivenUp => {
                self.strays += 1;
                self.stray_bytes += packet.len() as u64;
                store.fragment(Path::new(""), port, packet);
                return None;
            }
        }
        if header.stream_id != wire::METADATA {
            return None;
        }
        let collected = self.collector.take(header, header.contents(packet));
        if let Some(number) = self.collector.take_behind() {
            self.differing_metadata(store, number);
        }
        match collected {
            Collected::Complete(text, schema) => return Some((text, schema)),
            Collected::More => {}
            Collected::Again if header.is_salvaged => {
                self.made.doubles += 1;
                store.totals.doubles += 1;
            }
            Collected::Again => self.made.repeated += 1,
            Collected::Differs => {
                self.differing_metadata(store, header.number);
                // Before its trace begins it waits with the others.
                if self.place().is_some() {
                    self.fragment(store, port, packet);
                }
            }
            Collected::Spoiled(why) => self.give_up(store, Some(&why)),
        }
        None
    }

    /// Notes that a packet of the metadata contradicts what had come before.
    fn differing_metadata(&mut self, store: &mut Store, number: u64) {
        self.contradiction(
            store,
            &format!(
                "metadata: packet {number} came again with other contents, or does not belong \
                 to it; what came first is used, this is among the fragments"
            ),
        );
    }

    /// The metadata as far as it came, if it is of use; no more will come.
    pub(super) fn take_what_came(&mut self, store: &mut Store) -> Option<(Vec<u8>, Box<Schema>)> {
        if !matches!(self.state, State::Waiting(_)) {
            return None;
        }
        let found = self.collector.take_what_came(&self.uuid)?;
        store.say(&format!(
            "the metadata of boot {} is not whole: {}. It is used as far as it came; records of \
             classes in the rest cannot be read",
            boots::Uuid(self.uuid),
            self.lack()
        ));
        Some(found)
    }

    /// Begins its trace, in a folder within the capture's; false if there is no room for it.
    pub(super) fn begin(
        &mut self,
        store: &mut Store,
        number: u32,
        text: &[u8],
        schema: Box<Schema>,
    ) -> bool {
        let within = boots::folder_name(number);
        // There is always room for it, in what shall have a largest size: without it nothing can be
        // read.
        let written = store.append_listed(&within, METADATA, text, crc32c(text));
        if written.is_none() {
            self.give_up(store, Some("it could not be written"));
            return false;
        }
        let begun = State::Begun {
            schema,
            within,
            number,
        };
        let State::Waiting(early) = std::mem::replace(&mut self.state, begun) else {
            return true;
        };
        (self.strays, self.stray_bytes) = (0, 0);
        for (port, packet) in early {
            // They were sound when they came.
            let Some(Ok(header)) = Header::of(&packet) else {
                continue;
            };
            if header.stream_id != wire::METADATA {
                self.stream_packet(store, port, &header, &packet, crc32c(&packet));
            } else if !self.collector.has(&header, header.contents(&packet)) {
                self.fragment(store, port, &packet);
            }
        }
        true
    }

    /// Makes fragments of what waits for the metadata, and of what comes from now on. `why` is for
    /// the user, if that is not known at the end anyway.
    pub(super) fn give_up(&mut self, store: &mut Store, why: Option<&str>) {
        let State::Waiting(early) = &mut self.state else {
            return;
        };
        if let Some(why) = why {
            store.say(&format!(
                "the metadata of boot {} cannot be used, so that its packets become fragments: \
                 {why}",
                boots::Uuid(self.uuid)
            ));
            self.collector.spoil(why.to_owned());
        }
        for (port, packet) in std::mem::take(early) {
            store.fragment(Path::new(""), port, &packet);
        }
        self.state = State::GivenUp;
    }

    /// Takes a packet of a stream after the metadata.
    fn stream_packet(
        &mut self,
        store: &mut Store,
        port: u32,
        header: &Header,
        packet: &[u8],
        crc: u32,
    ) {
        match (self.file_of(header), self.place()) {
            (Some(file), Some((_, within))) => store.packet(within, &file, header, packet, crc),
            _ => self.foreign(store, port, header, packet),
        }
    }

    /// Keeps a packet of a stream that the metadata does not know: it proves that there is more.
    pub(super) fn foreign(&mut self, store: &mut Store, port: u32, header: &Header, packet: &[u8]) {
        let Header { stream_id, cpu, .. } = header;
        self.contradiction(
            store,
            &format!(
                "a packet of channel {stream_id}, cpu {cpu} came, which the metadata does not know; \
                 it is among the fragments"
            ),
        );
        self.fragment(store, port, packet);
    }

    /// Keeps a packet that belongs to no stream.
    pub(super) fn fragment(&self, store: &mut Store, port: u32, packet: &[u8]) {
        let within = self.place().map_or(Path::new(""), |(_, within)| within);
        store.fragment(within, port, packet);
    }

    /// Notes that two things that came cannot both be true.
    pub(super) fn contradiction(&mut self, store: &mut Store, what: &str) {
        let what = match self.place() {
            None => format!("boot {}: {what}", boots::Uuid(self.uuid)),
            Some((1, _)) => what.to_owned(),
            Some((number, _)) => format!("boot {number}: {what}"),
        };
        store.contradiction(&mut self.made.contradictions, what);
    }
}
