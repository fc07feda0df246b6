//! Where packets go: into their streams' files once the metadata says which streams there are.
//! Packets that come before it wait; without metadata they become fragments.

use std::path::Path;

use super::folder::{METADATA, TRACE};
use super::metadata::{Collected, Collector};
use super::store::Store;
use crate::records::Schema;
use crate::wire::{self, Header, crc32c};

/// How many bytes that came before the metadata are kept in memory.
const MAX_EARLY: u64 = 256 << 20;

/// What packets are given to.
#[derive(Debug)]
pub(super) struct Intake {
    /// The files.
    pub(super) store: Store,
    /// The metadata so far.
    pub(super) collector: Collector,
    /// The metadata, once it is complete.
    pub(super) schema: Option<Box<Schema>>,
    /// What came before it, by port.
    early: Vec<(u32, Vec<u8>)>,
    /// How many bytes that are.
    early_bytes: u64,
}

impl Intake {
    /// Begins without metadata.
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            collector: Collector::default(),
            schema: None,
            early: Vec::new(),
            early_bytes: 0,
        }
    }

    /// Takes a whole packet.
    pub(super) fn packet(&mut self, port: u32, header: &Header, packet: &[u8], crc: u32) {
        if self.schema.is_some() {
            return self.stream_packet(port, header, packet, crc);
        }
        if self.store.totals.metadata_error.is_some() {
            return self.store.fragment(port, packet);
        }
        self.early_bytes += packet.len() as u64;
        self.early.push((port, packet.to_vec()));
        if header.stream_id == wire::METADATA {
            self.metadata(header, packet);
        } else if self.early_bytes > MAX_EARLY {
            self.no_metadata(format!("{MAX_EARLY} bytes came before its end"));
        }
    }

    /// Takes the next packet of the metadata.
    pub(super) fn metadata(&mut self, header: &Header, packet: &[u8]) {
        match self.collector.take(header, header.contents(packet)) {
            Collected::More => {}
            Collected::Complete(text, schema) => self.begin(&text, schema),
            Collected::Spoiled(why) => self.no_metadata(why),
        }
    }

    /// Begins with the streams: the metadata is complete.
    fn begin(&mut self, text: &[u8], schema: Box<Schema>) {
        // There is always room for it: without it nothing can be read.
        if self
            .store
            .append(&Path::new(TRACE).join(METADATA), text)
            .is_some()
        {
            let size = text.len() as u64;
            self.store.list(METADATA, 0, size, crc32c(text));
        }
        self.schema = Some(schema);
        self.store.totals.has_metadata = true;
        self.early_bytes = 0;
        for (port, packet) in std::mem::take(&mut self.early) {
            // They were sound when they came.
            if let Some(Ok(header)) = Header::of(&packet)
                && header.stream_id != wire::METADATA
            {
                self.stream_packet(port, &header, &packet, crc32c(&packet));
            }
        }
    }

    /// Goes on without streams: there will be no metadata.
    fn no_metadata(&mut self, why: String) {
        self.store.say(&format!(
            "the metadata cannot be used, so that packets become fragments: {why}"
        ));
        self.store.totals.metadata_error = Some(why);
        self.give_up_early();
    }

    /// Makes fragments of what waits for the metadata.
    pub(super) fn give_up_early(&mut self) {
        self.early_bytes = 0;
        for (port, packet) in std::mem::take(&mut self.early) {
            self.store.fragment(port, &packet);
        }
    }

    /// Takes a packet after the metadata.
    fn stream_packet(&mut self, port: u32, header: &Header, packet: &[u8], crc: u32) {
        let Some(file) = self.file_of(header) else {
            return self.store.fragment(port, packet);
        };
        self.store.packet(&file, header, packet, crc);
    }

    /// The name of the file of a packet's stream; `None` if the metadata does not know the stream.
    pub(super) fn file_of(&self, header: &Header) -> Option<String> {
        let schema = self.schema.as_ref()?;
        let known = header.uuid == schema.uuid && header.cpu < schema.cpus;
        let channel = schema.channel(header.stream_id).filter(|_| known)?;
        Some(channel.file_of(header.cpu))
    }
}
