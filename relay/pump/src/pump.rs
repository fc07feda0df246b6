//! Which packet is next, what waits, when to stop.

use alloc::vec::Vec;
use core::mem;

/// The outlet that the streams of a CPU leave through, where there are so many: all of a CPU through
/// one, so that with an outlet for each no two CPUs share anything, and the packets of a stream stay
/// in their order. `None` where there are none.
#[must_use]
pub const fn outlet_of(cpu: usize, outlets: usize) -> Option<usize> {
    cpu.checked_rem(outlets)
}

/// What was found when a packet was to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Took<P> {
    /// One that is this pump's until it is submitted.
    Packet(P),
    /// None now.
    Nothing,
    /// None, and there will be none: the stream has ended, or is somebody else's for good.
    Ended,
}

/// What became of a packet that was submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent<P> {
    /// The outlet has it.
    Taken,
    /// The outlet cannot take it now: it waits, and goes first.
    NotNow(P),
    /// It is not this pump's any more: somebody else drains the stream now, and will send it.
    Gone,
    /// The outlet will never take anything again.
    Never,
}

/// What a pump does everything by: the kernel's own structures, or system calls. Streams and outlets
/// are numbers that it has given.
pub trait Home {
    /// What stands for a packet that was taken: itself, or its number.
    type Packet;

    /// A turn begins: what the outlet is done with goes back to the writers, as far as that is for
    /// this home to do. Says how much has moved since the last turn; 0: nothing.
    fn begin(&mut self, outlet: usize) -> u64;

    /// Whether packets may be sent: what has to be told before them was told.
    fn is_ready(&mut self, outlet: usize) -> bool;

    /// Takes the next packet of a stream.
    fn take(&mut self, stream: usize) -> Took<Self::Packet>;

    /// There was none: asks the stream's CPU for what it has written and not handed over, if that is
    /// to be asked for.
    fn ask(&mut self, stream: usize);

    /// Gives a packet to the outlet.
    fn submit(&mut self, outlet: usize, stream: usize, packet: Self::Packet) -> Sent<Self::Packet>;

    /// A turn ends: what was submitted is to be under way. Says how much has moved by that.
    fn end(&mut self, outlet: usize) -> u64;
}

/// What a turn has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// How much has moved, by any measure that is 0 if nothing has.
    pub moved: u64,
    /// Packets that the outlet has taken.
    pub sent: u64,
}

/// A stream of a pump.
#[derive(Debug)]
struct Line {
    stream: usize,
    is_ended: bool,
    /// There was nothing a moment ago.
    is_empty: bool,
}

/// Packets after which streams that had none are looked at again: to look costs a system call, and the
/// log waits no longer than for so many.
const AGAIN: u64 = 8;

/// Takes the packets of streams to one outlet.
///
/// The streams of one channel take turns, so that a CPU that writes more than the outlet takes leaves
/// room for the others; the channels do not: the first goes before what may be much. What comes to a
/// stream that had nothing waits for a few packets of others. A packet that
/// the outlet had no room for goes before all.
#[derive(Debug)]
pub struct Pump<P> {
    outlet: usize,
    channels: Vec<Vec<Line>>,
    /// What the outlet had no room for, and its stream.
    refused: Option<(usize, P)>,
    is_dead: bool,
}

impl<P> Pump<P> {
    /// For an outlet of so many: of these streams, each with its channel's rank (the lowest goes
    /// first) and its CPU, those that [leave through it](outlet_of).
    #[must_use]
    pub fn new(
        outlet: usize,
        outlets: usize,
        streams: impl IntoIterator<Item = (usize, usize, usize)>,
    ) -> Self {
        let mut channels: Vec<(usize, Vec<Line>)> = Vec::new();
        for (stream, rank, cpu) in streams {
            if outlet_of(cpu, outlets) != Some(outlet) {
                continue;
            }
            let line = Line {
                stream,
                is_ended: false,
                is_empty: false,
            };
            match channels.binary_search_by_key(&rank, |(rank, _)| *rank) {
                Ok(at) => channels[at].1.push(line),
                Err(at) => channels.insert(at, (rank, Vec::from([line]))),
            }
        }
        Self {
            outlet,
            channels: channels.into_iter().map(|(_, lines)| lines).collect(),
            refused: None,
            is_dead: false,
        }
    }

    /// Its outlet.
    #[must_use]
    pub fn outlet(&self) -> usize {
        self.outlet
    }

    /// Its streams, in the order in which they are looked at next.
    pub fn streams(&self) -> impl Iterator<Item = usize> {
        self.channels.iter().flatten().map(|line| line.stream)
    }

    /// Those of them that have not ended.
    pub fn open_streams(&self) -> impl Iterator<Item = usize> {
        let lines = self.channels.iter().flatten();
        lines.filter(|line| !line.is_ended).map(|line| line.stream)
    }

    /// The stream of the packet that waits because the outlet had no room, if one does.
    #[must_use]
    pub fn refused(&self) -> Option<usize> {
        self.refused.as_ref().map(|(stream, _)| *stream)
    }

    /// Whether the outlet will never take anything again.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.is_dead
    }

    /// The outlet is dead: what waits is given away. Returns it.
    pub fn die(&mut self) -> Option<P> {
        self.is_dead = true;
        self.refused.take().map(|(_, packet)| packet)
    }

    /// Whether nothing waits, and nothing will come.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let mut lines = self.channels.iter().flatten();
        self.is_dead || (self.refused.is_none() && lines.all(|line| line.is_ended))
    }

    /// Moves what can be moved: until there is nothing, or the outlet is full.
    pub fn turn(&mut self, home: &mut impl Home<Packet = P>) -> Turn {
        let mut turn = Turn {
            moved: home.begin(self.outlet),
            sent: 0,
        };
        self.look_again();
        while !self.is_dead
            && home.is_ready(self.outlet)
            && let Some((stream, packet)) = self.next(home)
        {
            match home.submit(self.outlet, stream, packet) {
                Sent::Taken => {
                    turn.sent += 1;
                    if turn.sent.is_multiple_of(AGAIN) {
                        self.look_again();
                    }
                }
                Sent::Gone => {}
                Sent::NotNow(packet) => {
                    self.refused = Some((stream, packet));
                    break;
                }
                Sent::Never => {
                    self.is_dead = true;
                    break;
                }
            }
        }
        turn.moved += turn.sent + home.end(self.outlet);
        turn
    }

    /// All streams may have something.
    fn look_again(&mut self) {
        let lines = self.channels.iter_mut().flatten();
        lines.for_each(|line| line.is_empty = false);
    }

    /// What is to be sent next.
    fn next(&mut self, home: &mut impl Home<Packet = P>) -> Option<(usize, P)> {
        if let Some(refused) = mem::take(&mut self.refused) {
            return Some(refused);
        }
        self.channels.iter_mut().find_map(|channel| {
            let mut lines = channel.iter_mut().enumerate();
            let (at, next) = lines.find_map(|(at, line)| Some((at, line.next(home)?)))?;
            // It is the last of them next time.
            channel[at..].rotate_left(1);
            Some(next)
        })
    }
}

impl Line {
    /// Its next packet.
    fn next<P>(&mut self, home: &mut impl Home<Packet = P>) -> Option<(usize, P)> {
        if self.is_ended || self.is_empty {
            return None;
        }
        match home.take(self.stream) {
            Took::Packet(packet) => Some((self.stream, packet)),
            Took::Nothing => {
                self.is_empty = true;
                home.ask(self.stream);
                None
            }
            Took::Ended => {
                self.is_ended = true;
                None
            }
        }
    }
}
