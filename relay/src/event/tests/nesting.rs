//! Events of many lengths that interrupt each other: at every step of one, another is written, and
//! at every step of that a third; into sub-buffers of which two hold hardly more than one of them.

use super::*;
use crate::Delivery;
use crate::Mode;
use crate::sync::step::with_hook;
use std::cell::Cell;
use std::rc::Rc;
use std::string::String;
use std::vec::Vec;

/// A number, then a text and a list as long as the number says.
struct Tale(u8);

const TEXT: &str = "ein längerer Satz";

impl Tale {
    fn text(&self) -> &'static str {
        let end = usize::from(self.0) % TEXT.len();
        let end = (0..=end).rev().find(|end| TEXT.is_char_boundary(*end));
        &TEXT[..end.unwrap_or(0)]
    }

    fn list(&self) -> Vec<u16> {
        (0..u16::from(self.0 % 4)).collect()
    }
}

impl Event for Tale {
    const CLASS: EventClass = EventClass {
        id: 5,
        name: "tale",
        fields: &[
            Field::new("number", Kind::U8),
            Field::new("text", Kind::Str),
            Field::new("list", Kind::Sequence(&Kind::U16)),
            Field::new("maybe", Kind::Optional(&Kind::U64)),
        ],
    };

    fn size(&self) -> usize {
        let maybe = self.0.is_multiple_of(2).then_some(7u64);
        1 + self.text().size() + self.list().as_slice().size() + maybe.size()
    }

    fn store(&self, fields: &mut FieldsMut<'_>) {
        self.0.store(fields);
        self.text().store(fields);
        self.list().as_slice().store(fields);
        self.0.is_multiple_of(2).then_some(7u64).store(fields);
    }
}

/// What is shown of it.
fn told(number: u8) -> String {
    let tale = Tale(number);
    let maybe = if number.is_multiple_of(2) {
        "Some(7)"
    } else {
        "None"
    };
    std::format!("{number} {:?} {:?} {maybe}", tale.text(), tale.list())
}

struct World {
    channel: Channel<Host, 64>,
    cpu: Cpu,
    /// The numbers of what was stored, in the order of the attempts.
    stored: Cell<u64>,
    attempts: Cell<u64>,
    overwrites: bool,
}

impl World {
    fn emit(&self, number: u8) {
        self.attempts.set(self.attempts.get() + 1);
        let written = self.channel.emit(&Tale(number));
        self.stored
            .set(self.stored.get() + u64::from(written.is_ok()));
    }

    /// Every record is whole, and every attempt is accounted for.
    fn check(&self) {
        self.channel.close().unwrap();
        let mut reader = self.channel.reader(self.cpu.number()).unwrap();
        let (mut read, mut lost, mut before) = (0, 0, 0);
        while let Some(taken) = reader.next_subbuf() {
            let packet = *taken.packet();
            let overwritten = packet.ordinal - before;
            assert!(self.overwrites || overwritten == 0);
            let mut fields = Fields::new(taken.records());
            let mut records = 0;
            let mut last = packet.begin_ticks;
            while let Some(stamp) = fields.next_stamp().unwrap() {
                assert_eq!(stamp.id(), 5);
                let ticks = crate::record::extend(stamp.time(), packet.begin_ticks);
                assert!((last..=packet.end_ticks).contains(&ticks));
                last = ticks;
                let number = *fields.clone().bytes(1).unwrap().first().unwrap();
                let values = Values::take(Tale::CLASS.fields, &mut fields).unwrap();
                let mut shown = String::new();
                values
                    .write(&mut shown, "{number} {text:?} {list:?} {maybe:?}")
                    .unwrap();
                assert_eq!(shown, told(number));
                records += 1;
            }
            assert_eq!(records, packet.records);
            before = packet.ordinal + packet.records;
            read += records;
            lost = packet.lost.total();
        }
        assert!(reader.is_at_end());
        assert_eq!(before + lost, self.attempts.get());
        assert!(read <= self.stored.get());
    }
}

fn run(mode: Mode, delivery: Delivery, first: u8, steps: [usize; 2]) -> [bool; 2] {
    let cpu = Cpu::claim();
    let channel: Channel<Host, 64> = Channel::new(Host, &Framed);
    let geometry = Geometry::new(64, 2).unwrap();
    let geometry = geometry.with_mode(mode).unwrap();
    let geometry = geometry.with_delivery(delivery).unwrap();
    let memory = Storage::allocate(&geometry).unwrap();
    channel.start(cpu.number(), memory, geometry).unwrap();
    let world = Rc::new(World {
        channel,
        cpu,
        stored: Cell::new(0),
        attempts: Cell::new(0),
        overwrites: mode == Mode::Continuous,
    });
    let reached = Rc::new(Cell::new([false; 2]));
    let third = move |world: &Rc<World>, reached: &Rc<Cell<[bool; 2]>>| {
        reached.set([reached.get()[0], true]);
        world.emit(first.wrapping_add(23));
    };
    let second = {
        let reached = Rc::clone(&reached);
        move |world: &Rc<World>| {
            reached.set([true, false]);
            let mut at = 0;
            let hook = {
                let (world, reached) = (Rc::clone(world), Rc::clone(&reached));
                move || {
                    at += 1;
                    if at == steps[1] {
                        third(&world, &reached);
                    }
                }
            };
            with_hook(hook, || world.emit(first.wrapping_add(11)));
        }
    };
    let mut at = 0;
    let hook = {
        let world = Rc::clone(&world);
        move || {
            at += 1;
            if at == steps[0] {
                second(&world);
            }
        }
    };
    with_hook(hook, || world.emit(first));
    world.emit(first.wrapping_add(1));
    world.check();
    reached.get()
}

#[test]
fn whatever_interrupts_an_event_all_are_whole_and_accounted_for() {
    let kinds = [
        (Mode::NoOverwrite, Delivery::Bulk),
        (Mode::NoOverwrite, Delivery::Record),
        (Mode::Continuous, Delivery::Bulk),
    ];
    let stride = if cfg!(miri) { 29 } else { 1 };
    let mut runs = 0;
    for (mode, delivery) in kinds {
        for first in if cfg!(miri) { &[7][..] } else { &[0, 7, 16] } {
            let first = *first;
            for outer in (1..).step_by(stride) {
                let mut is_reached = false;
                for inner in (1..).step_by(stride) {
                    let [second, third] = run(mode, delivery, first, [outer, inner]);
                    is_reached = second;
                    runs += 1;
                    if !third {
                        break;
                    }
                }
                if !is_reached {
                    break;
                }
            }
        }
    }
    assert!(runs > if cfg!(miri) { 5 } else { 2000 }, "{runs} runs");
}
