//! An outlet: a sink, the streams that leave through it, and whoever drains them.
//!
//! The kernel's pump and programs' calls use it under one lock. A turn of the pump sends what nobody
//! else drains; a call sends one packet of a stream that its program has taken over. Either way it is
//! the kernel that gives packets back to their writers: when the device is done with them, in the
//! port's interrupt, or in whatever call finds the outlet full.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::mem;

use relay::SubBuffer;
use relay_pump::{Home, Pump, Refusal, Sent, Ticket, Took, Turn};

use super::events::{Parcel, Step};
use super::sink::{Sink, Submitted};
use super::stream::Stream;
use super::watch::{self, Watch};
use super::{description, sent, waker};
use crate::cpu::clock;

/// Packets that programs submit before the device is told, at most: to tell it costs more than the
/// packet.
const BATCH: u32 = 8;

/// How long it is between two looks whether programs go on with their streams, in milliseconds.
const LOOK_MS: u64 = 10;

/// A sink, and what leaves through it.
pub(super) struct Outlet {
    pump: Pump<u64>,
    pub(super) way: Way,
}

/// What the pump does everything by.
pub(super) struct Way {
    pub(super) sink: Box<dyn Sink>,
    pub(super) streams: Vec<&'static Stream>,
    /// The other side does not know the metadata: it has come, or has come back.
    must_describe: bool,
    /// Packets that were given up.
    pub(super) given_up: u64,
    /// What the operators know of the sink.
    watch: Watch,
    /// Nothing can be sent any more.
    pub(super) is_dead: bool,
    /// Somebody was at a stream when the sink died: what waits in it was not given back.
    is_unfinished: bool,
    /// A program waits for room.
    is_awaited: bool,
    /// Packets that programs have submitted since the device was told.
    untold: u32,
    /// When it was looked whether programs go on with their streams, in ticks of the clock.
    looked: u64,
}

impl Outlet {
    /// The outlet with this number, of so many.
    pub(super) fn new(
        number: usize,
        outlets: usize,
        sink: Box<dyn Sink>,
        streams: Vec<&'static Stream>,
    ) -> Self {
        let known = streams.iter().enumerate();
        let pump = Pump::new(
            number,
            outlets,
            known.map(|(at, stream)| (at, stream.rank, stream.cpu)),
        );
        Self {
            pump,
            way: Way {
                sink,
                streams,
                must_describe: true,
                given_up: 0,
                watch: Watch::new(),
                is_dead: false,
                is_unfinished: false,
                is_awaited: false,
                untold: 0,
                looked: 0,
            },
        }
    }

    /// Gives back what the sink is done with, and gives it what there is. Returns how much has
    /// moved. Task and IRQ context.
    pub(super) fn run(&mut self) -> u64 {
        let Turn { moved, sent } = self.pump.turn(&mut self.way);
        let way = &mut self.way;
        if sent != 0 {
            sent::count(sent);
        }
        if moved != 0 {
            way.note_move();
        }
        if way.is_dead {
            // The packet that waits, if one does, was given up with its stream.
            self.pump.die();
            return moved;
        }
        let is_busy = self.pump.refused().is_some() || way.sink.in_flight() != 0;
        way.watch.look(&*way.sink, is_busy && moved == 0);
        way.tell_of_room();
        way.look_after_programs();
        moved
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&mut self) -> bool {
        self.way.is_dead || (self.pump.refused().is_none() && self.way.sink.in_flight() == 0)
    }

    /// Whether the streams that are asked for were given to the sink, or cannot be.
    pub(super) fn is_done_with(&self, asked: impl Fn(&Stream) -> bool) -> bool {
        let mut streams = self.way.streams.iter().filter(|stream| asked(stream));
        self.way.is_dead || streams.all(|stream| stream.is_done())
    }

    /// Whether everything has left the machine, or cannot.
    pub(super) fn is_done(&mut self) -> bool {
        self.is_idle() && self.is_done_with(|_| true)
    }
}

impl Way {
    /// A packet of a stream that a program drains is given to the sink. Returns how much has moved.
    /// In a call of the program.
    ///
    /// # Errors
    /// [`Refusal`]; `None`: not now, it is told when there is room.
    pub(super) fn submit_for(
        &mut self,
        stream: &'static Stream,
        ticket: Ticket,
        number: u64,
    ) -> Result<u64, Option<Refusal>> {
        let mut moved = 0;
        if self.must_describe {
            moved = self.begin_turn();
        }
        for _ in 0..2 {
            if self.is_dead {
                return Err(Some(Refusal::Closed));
            }
            let mut state = stream.state.lock();
            let packet = state.queue.submit(ticket, number).map_err(Some)?;
            if self.must_describe {
                state.queue.put_back(number, packet);
                break;
            }
            match self.give(packet) {
                Submitted::Taken => {
                    drop(state);
                    self.untold += 1;
                    if self.untold >= BATCH {
                        moved += self.tell();
                    }
                    return Ok(moved + 1);
                }
                Submitted::NotNow(packet) => state.queue.put_back(number, packet),
                Submitted::Never => {
                    drop(state);
                    self.given_up += 1;
                    self.die();
                    return Err(Some(Refusal::Closed));
                }
            }
            drop(state);
            moved += self.tell();
            let now = self.begin_turn();
            moved += now;
            if now == 0 {
                break;
            }
        }
        if moved != 0 {
            self.note_move();
        }
        self.is_awaited = true;
        Err(None)
    }

    /// Gives a packet to the sink.
    fn give(&mut self, packet: SubBuffer<'static>) -> Submitted {
        let parcel = Parcel::of(&packet);
        let submitted = self.sink.submit(packet);
        if matches!(submitted, Submitted::Taken) {
            parcel.tell(Step::Submit);
        }
        submitted
    }

    /// Tells the device of what was submitted. Returns how much has moved by that.
    pub(super) fn tell(&mut self) -> u64 {
        if mem::take(&mut self.untold) != 0 {
            self.note_move();
        }
        self.sink.end()
    }

    /// Whether the device was not told of all that was submitted.
    pub(super) fn has_untold(&self) -> bool {
        self.untold != 0
    }

    /// Whether a packet would find room; if not, programs are told when it does.
    pub(super) fn has_room(&mut self) -> bool {
        let has_room = self.is_dead || (!self.must_describe && self.sink.has_room());
        self.is_awaited |= !has_room;
        has_room
    }

    /// Has programs look again that wait for room, if there is some.
    fn tell_of_room(&mut self) {
        if self.is_awaited && (self.is_dead || self.sink.has_room()) {
            self.is_awaited = false;
            self.streams.iter().for_each(|one| waker::wake(one.cpu));
        }
    }

    /// Looks from time to time whether programs go on with their streams, as long as there is room.
    fn look_after_programs(&mut self) {
        let now = clock::ticks();
        let passed = now.saturating_sub(self.looked);
        if passed < clock::ticks_of_ms(LOOK_MS) || !self.sink.has_room() {
            return;
        }
        self.looked = now;
        // Not longer than programs had: the whole machine may have stood still.
        let passed = passed.min(clock::ticks_of_ms(2 * LOOK_MS));
        self.streams.iter().for_each(|one| one.look_after(passed));
    }

    /// Something has moved.
    pub(super) fn note_move(&self) {
        self.streams.iter().for_each(|stream| stream.note_move());
    }

    /// Gives back what the sink is done with, and says what goes before all packets.
    fn begin_turn(&mut self) -> u64 {
        let moved = self.sink.begin();
        if self.sink.is_dead() && !self.is_dead {
            self.die();
        } else if self.is_unfinished {
            self.give_up();
        }
        if let Some(under_way) = self.sink.take_return() {
            relay::warn!(
                "the other side has come back ({}); {under_way} packets came back while it was away",
                self.sink
            );
            self.must_describe = true;
        }
        if self.must_describe {
            let packets = description::get();
            self.must_describe = !packets.is_empty() && !self.sink.describe(packets);
        }
        moved
    }

    /// The sink is dead: what waits is given back. klog is the console's alone from now on; the
    /// other streams wait for nobody, and lose what their rings do not hold.
    fn die(&mut self) {
        self.is_dead = true;
        watch::tell_the_end(&*self.sink);
        self.give_up();
    }

    /// Gives back what waits in the streams. A stream that somebody is at has its turn later.
    fn give_up(&mut self) {
        self.is_unfinished = false;
        for stream in &self.streams {
            match stream.give_up() {
                Some(waiting) => self.given_up += waiting,
                None => self.is_unfinished = true,
            }
        }
    }
}

impl Home for Way {
    type Packet = u64;

    fn begin(&mut self, _outlet: usize) -> u64 {
        self.begin_turn()
    }

    fn is_ready(&mut self, _outlet: usize) -> bool {
        !self.is_dead && !self.must_describe
    }

    fn take(&mut self, stream: usize) -> Took<u64> {
        self.streams
            .get(stream)
            .map_or(Took::Ended, |stream| stream.take())
    }

    fn ask(&mut self, stream: usize) {
        if let Some(stream) = self.streams.get(stream) {
            stream.ask();
        }
    }

    fn submit(&mut self, _outlet: usize, stream: usize, number: u64) -> Sent<u64> {
        let Some(stream) = self.streams.get(stream).copied() else {
            return Sent::Gone;
        };
        // A program's call has it for a moment.
        let Some(mut state) = stream.state.try_lock() else {
            return Sent::NotNow(number);
        };
        let Ok(packet) = state.queue.submit(Ticket::KERNEL, number) else {
            return Sent::Gone;
        };
        match self.give(packet) {
            Submitted::Taken => Sent::Taken,
            Submitted::NotNow(packet) => {
                state.queue.put_back(number, packet);
                Sent::NotNow(number)
            }
            Submitted::Never => {
                drop(state);
                self.given_up += 1;
                self.die();
                Sent::Never
            }
        }
    }

    fn end(&mut self, _outlet: usize) -> u64 {
        self.tell()
    }
}
