//! Tests of events that a client has.

extern crate std;

use super::*;
use crate::host::{Cpu, Host};
use crate::record::{Fields, Framed, STAMP};
use crate::{Channel, Context, Geometry, Loss, Platform, Storage, WriteError};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Fields of every width, and bytes at the end; what it does while it is stored.
struct Sample<F: Fn()> {
    data: &'static [u8],
    meanwhile: F,
}

impl<F: Fn()> Event for Sample<F> {
    const CLASS: EventClass = EventClass {
        id: 9,
        name: "sample",
        fields: &[
            Field::new("a", Kind::U8),
            Field::new("b", Kind::U16),
            Field::new("c", Kind::U32),
            Field::new("d", Kind::U64),
            Field::new("n", Kind::U16),
            Field::new("data", Kind::Bytes("n")),
        ],
    };

    fn size(&self) -> usize {
        17usize.saturating_add(self.data.len())
    }

    fn store(&self, fields: &mut FieldsMut<'_>) {
        fields.u8(1);
        fields.u16(0x0203);
        fields.u32(0x0405_0607);
        (self.meanwhile)();
        fields.u64(0x0809_0a0b_0c0d_0e0f);
        fields.u16(self.data.len() as u16);
        fields.bytes(self.data);
        assert_eq!(fields.left(), 0);
    }
}

fn plain(data: &'static [u8]) -> Sample<impl Fn()> {
    Sample {
        data,
        meanwhile: || {},
    }
}

/// Starts a channel on a CPU of this thread.
fn start(channel: &'static Channel<Host, 64>) -> Cpu {
    let cpu = Cpu::claim();
    let geometry = Geometry::new(256, 4).unwrap();
    let storage = Storage::allocate(&geometry).unwrap();
    channel.start(cpu.number(), storage, geometry).unwrap();
    cpu
}

#[test]
fn fields_are_stored_in_order_behind_the_stamp() {
    static CHANNEL: Channel<Host, 64> = Channel::new(Host, &Framed);
    let cpu = start(&CHANNEL);
    CHANNEL.emit(&plain(b"xyz")).unwrap();
    CHANNEL.emit(&plain(b"")).unwrap();
    CHANNEL.flush();
    let taken = CHANNEL.reader(cpu.number()).unwrap().next_subbuf().unwrap();
    let mut fields = Fields::new(taken.records());
    for data in [&b"xyz"[..], b""] {
        let stamp = fields.next_stamp().unwrap().unwrap();
        assert_eq!((stamp.id(), stamp.context()), (9, Some(Host.context())));
        assert_eq!((fields.u8(), fields.u16()), (Some(1), Some(0x0203)));
        assert_eq!(fields.u32(), Some(0x0405_0607));
        let rest = fields.bytes(8).map(|bytes| bytes.try_into().unwrap());
        assert_eq!(rest.map(u64::from_le_bytes), Some(0x0809_0a0b_0c0d_0e0f));
        assert_eq!(fields.u16(), Some(data.len() as u16));
        assert_eq!(fields.bytes(data.len()), Some(data));
    }
    assert_eq!(fields.next_stamp(), Ok(None));
    assert_eq!(Host.context(), Context::Task);
}

#[test]
fn an_event_that_nests_unwinds_or_is_too_long_is_accounted_for() {
    static CHANNEL: Channel<Host, 64> = Channel::new(Host, &Framed);
    static LONG: [u8; 512] = [7; 512];
    let cpu = start(&CHANNEL);
    let lost = |loss| CHANNEL.stats(cpu.number()).unwrap().lost.get(loss);
    let nests = Sample {
        data: b"outer",
        meanwhile: || CHANNEL.emit(&plain(b"inner")).unwrap(),
    };
    CHANNEL.emit(&nests).unwrap();
    let unwinds = Sample {
        data: b"",
        meanwhile: || panic!("in the middle"),
    };
    let unwound = catch_unwind(AssertUnwindSafe(|| CHANNEL.emit(&unwinds)));
    assert!(unwound.is_err());
    assert_eq!(lost(Loss::Discarded), 1);
    assert_eq!(
        CHANNEL.emit(&plain(&LONG)),
        Err(WriteError::Lost(Loss::TooBig))
    );
    assert_eq!(lost(Loss::TooBig), 1);
    CHANNEL.emit(&plain(b"after")).unwrap();
    CHANNEL.flush();
    let taken = CHANNEL.reader(cpu.number()).unwrap().next_subbuf().unwrap();
    let mut fields = Fields::new(taken.records());
    for data in [b"outer", b"inner", b"after"] {
        assert_eq!(fields.next_stamp().unwrap().unwrap().id(), 9);
        assert_eq!(fields.bytes(17 + data.len()).unwrap()[17..], data[..]);
    }
    assert_eq!(taken.packet().records, 3);
    assert_eq!(fields.next_stamp(), Ok(None));
}

#[test]
fn what_does_not_fit_is_left_out_whole() {
    let mut bytes = [0; 3];
    let mut fields = FieldsMut::new(&mut bytes);
    fields.u16(0x0201);
    assert_eq!(fields.left(), 1);
    let told = catch_unwind(AssertUnwindSafe(|| fields.u32(7)));
    assert_eq!(told.is_err(), cfg!(debug_assertions));
    assert_eq!(bytes, [1, 2, 0]);
}

/// An event that says that it has eight bytes, and stores one.
struct Short;

impl Event for Short {
    const CLASS: EventClass = EventClass {
        id: 3,
        name: "short",
        fields: &[],
    };

    fn size(&self) -> usize {
        8
    }

    fn store(&self, fields: &mut FieldsMut<'_>) {
        fields.u8(1);
    }
}

#[test]
fn what_is_not_stored_is_told_and_shows_nothing_old() {
    static CHANNEL: Channel<Host, 64> = Channel::new(Host, &Framed);
    let cpu = start(&CHANNEL);
    // A whole lap of other bytes.
    for _ in 0..4 {
        CHANNEL.write(&[0xEE; 256]).unwrap();
        CHANNEL.flush();
        drop(CHANNEL.reader(cpu.number()).unwrap().next_subbuf());
    }
    let told = catch_unwind(AssertUnwindSafe(|| CHANNEL.emit(&Short)));
    assert_eq!(told.is_err(), cfg!(debug_assertions));
    CHANNEL.flush();
    if let Some(taken) = CHANNEL.reader(cpu.number()).unwrap().next_subbuf() {
        assert!(cfg!(debug_assertions) || taken.records()[STAMP..] == [1, 0, 0, 0, 0, 0, 0, 0]);
    }
}
