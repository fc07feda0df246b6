//! Record delivery on its way out: each record is looked at as soon as it can be read, and its
//! sub-buffer is sent when it is complete.
//!
//! Only the load is delivered by record. What was seen while its sub-buffer was open must be whole
//! records that are right, and what the complete sub-buffer begins with.

use core::sync::atomic::{AtomicU64, Ordering};

use crc::{CRC_32_ISCSI, Crc, Digest, Table};
use relay::{Reader, SubBuffer};

use crate::logs::load;

/// Of bytes that were seen: whether they are still the same.
static CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISCSI);

/// What was seen on all streams.
static SEEN: Seen = Seen {
    records: AtomicU64::new(0),
    looks: AtomicU64::new(0),
    wrong: AtomicU64::new(0),
};

struct Seen {
    records: AtomicU64,
    looks: AtomicU64,
    wrong: AtomicU64,
}

/// What was seen on all streams, so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sums {
    /// Records that were seen while their sub-buffer was open.
    pub(crate) records: u64,
    /// How often there were some.
    pub(crate) looks: u64,
    /// How often they were not right.
    pub(crate) wrong: u64,
}

/// What was seen so far. Any context.
pub(crate) fn sums() -> Sums {
    Sums {
        records: SEEN.records.load(Ordering::Relaxed),
        looks: SEEN.looks.load(Ordering::Relaxed),
        wrong: SEEN.wrong.load(Ordering::Relaxed),
    }
}

/// A stream whose records are looked at.
pub(super) struct Shown {
    reader: Reader<'static>,
    /// Bytes of records that were seen in the open sub-buffer.
    bytes: usize,
    /// Their checksum.
    digest: Digest<'static, u32, Table<1>>,
}

impl Shown {
    pub(super) fn new(reader: Reader<'static>) -> Self {
        Self {
            reader,
            bytes: 0,
            digest: CRC.digest(),
        }
    }

    /// The reader, for its other uses.
    pub(super) fn reader(&self) -> &Reader<'static> {
        &self.reader
    }

    /// The same, to wait for what comes.
    pub(super) fn reader_mut(&mut self) -> &mut Reader<'static> {
        &mut self.reader
    }

    /// The next sub-buffer that is complete; where there is none, looks at the open one.
    pub(super) fn next(&mut self) -> Option<SubBuffer<'static>> {
        let next = self.reader.next_subbuf();
        match &next {
            Some(complete) => self.compare(complete.records()),
            None => self.look(),
        }
        next
    }

    /// Looks at the records that have come since.
    fn look(&mut self) {
        let Some(run) = self.reader.open_records(self.bytes) else {
            return;
        };
        self.bytes += run.bytes.len();
        self.digest.update(run.bytes);
        match load::check(run.bytes, self.reader.cpu()) {
            Ok(records) => {
                SEEN.records.fetch_add(records, Ordering::Relaxed);
                SEEN.looks.fetch_add(1, Ordering::Relaxed);
            }
            Err(what) => self.wrong(what),
        }
    }

    /// Compares what was seen with the records of the sub-buffer, which is complete now.
    fn compare(&mut self, records: &[u8]) {
        let digest = core::mem::replace(&mut self.digest, CRC.digest());
        let bytes = core::mem::take(&mut self.bytes);
        let is_the_same = records
            .get(..bytes)
            .is_some_and(|seen| CRC.checksum(seen) == digest.finalize());
        if !is_the_same {
            self.wrong("it is another now that its sub-buffer is complete");
        }
    }

    /// Counts that something was wrong, and tells of the first.
    fn wrong(&self, what: &str) {
        if SEEN.wrong.fetch_add(1, Ordering::Relaxed) == 0 {
            let stream = self.reader.cpu();
            relay::error!("a record of stream {stream} that could be read is not right: {what}");
        }
    }
}

#[cfg(test)]
#[expect(unsafe_code, reason = "a platform promises what it is")]
mod tests {
    use super::*;
    use crate::logs::flood::Flood;
    use relay::event::Event;
    use relay::{Channel, Context, Delivery, Geometry, NoHooks, Platform, Storage};

    struct OneCpu;

    // SAFETY: there is one CPU, and one thread writes.
    unsafe impl Platform for OneCpu {
        type Pinned = ();

        fn pin(&self) -> (usize, ()) {
            (0, ())
        }

        unsafe fn unpin(&self, (): ()) {}

        fn now(&self) -> u64 {
            7
        }
    }

    #[test]
    fn what_is_seen_is_counted_and_what_changes_is_found() {
        static CHANNEL: Channel<OneCpu, 1> = Channel::new(OneCpu, &NoHooks);
        let geometry = Geometry::new(256, 4)
            .and_then(|geometry| geometry.with_delivery(Delivery::Record))
            .expect("it is a good one");
        let memory = Storage::allocate(&geometry).expect("there is memory");
        CHANNEL.start(0, memory, geometry).expect("it fits");
        let write = |bytes: &[u8]| {
            let written = CHANNEL.write_event(Flood::CLASS.id, bytes);
            written.expect("there is room");
        };
        let mut shown = Shown::new(CHANNEL.reader(0).expect("the only one"));
        for sequence in 0..3 {
            let record = Flood {
                sequence,
                context: Context::Task,
                length: 16,
            };
            write(&record.bytes(0));
            assert!(shown.next().is_none());
        }
        let Sums {
            records,
            looks,
            wrong,
        } = sums();
        assert_eq!((records, looks, wrong), (3, 3, 0));
        CHANNEL.flush();
        assert!(shown.next().is_some_and(|next| next.packet().records == 3));
        assert_eq!((sums().wrong, shown.bytes), (0, 0));
        // A record that is none of the load.
        write(b"what is this?");
        assert!(shown.next().is_none());
        assert_eq!((sums().records, sums().wrong), (3, 1));
        // What was seen is not what is there.
        shown.digest.update(b"more");
        CHANNEL.flush();
        assert!(shown.next().is_some());
        assert_eq!(sums().wrong, 2);
    }
}
