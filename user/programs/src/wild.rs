//! Calls that no program should make: numbers of a seeded generator as arguments of all calls.
//!
//! The generator knows what each argument is for, so that most calls come far: handles are small,
//! addresses and lengths are those at which kernels have been wrong before. One call in eight has
//! numbers that were not thought about at all.

use relay_abi::{Call, NO_HANDLE, USER_BEGIN, USER_END, rights};

/// A seeded generator of numbers: xorshift64*, after Marsaglia and Vigna.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The one of this seed; those of seeds that are near each other have nothing in common.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // A step of splitmix64, which makes 0 of one seed only.
        let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self((z ^ z >> 31) | 1)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, which is not 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 16) % end
    }

    /// True once in so many times.
    pub const fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// One of these; 0 if there are none.
    pub fn one_of(&mut self, all: &[u64]) -> u64 {
        match all.len() {
            0 => 0,
            length => all[self.below(length as u64) as usize],
        }
    }
}

/// What an argument is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing: anything.
    Any,
    Handle,
    /// A place that is read, or written.
    Place,
    Length,
    Ns,
    /// A small number.
    Number,
    Rights,
    /// Lengths and a handle of a message.
    Lengths,
    /// A piece that was mapped.
    Piece,
    PieceLength,
    Options,
    Spawn,
    Entry,
    Stack,
    Poll,
    PollCount,
    /// What is observed, or consumed.
    How,
    SubbufSize,
    SubbufCount,
}

/// What the arguments of a call are for.
fn kinds(call: Call) -> &'static [Kind] {
    use Kind::*;
    match call {
        Call::Null | Call::ThreadExit | Call::Yield | Call::Time | Call::Who => &[],
        Call::PortCreate => &[],
        Call::Exit => &[Any],
        Call::ThreadStart => &[Entry, Stack, Ns, Options],
        Call::ThreadOptions => &[Options],
        Call::Sleep => &[Ns],
        Call::Spawn => &[Handle, Spawn],
        Call::Status | Call::Kill | Call::Close => &[Handle],
        Call::MemoryMap => &[Length],
        Call::MemoryUnmap => &[Piece, PieceLength],
        Call::Duplicate => &[Handle, Rights],
        Call::Call | Call::ReplyReceive => &[Handle, Any, Any, Any, Place, Lengths],
        Call::Receive => &[Handle, Ns, Place, Length],
        Call::Reply => &[Lengths, Any, Any, Any, Place],
        Call::Notify => &[Handle, Any],
        Call::FileName => &[Handle, Number, Place, Length],
        Call::FileOpen => &[Handle, Place, Length, How],
        Call::FileInfo => &[Handle, Place],
        Call::FileRead => &[Handle, Place, Length],
        Call::FileReadLast => &[Handle, Place, Length, Number],
        Call::FileTake | Call::FileMap | Call::FileFlush | Call::FileReset => &[Handle],
        Call::FileGiveBack => &[Handle, Number],
        Call::FileCopy => &[Handle, Number, Length, Place, Length],
        Call::Poll => &[Poll, PollCount, Ns],
        Call::Write => &[Handle, Number, Place, Length],
        Call::Filter => &[Handle, Place, Length, Place, Length],
        Call::FileResize => &[Handle, SubbufSize, SubbufCount],
        Call::FileSubmit => &[Handle, Number, Number],
        Call::Report => &[Handle, Number, Number, Place, Length],
        Call::SyslogOpen => &[Handle],
        Call::SyslogWrite => &[Handle, Place, Length, Place, Number],
    }
}

/// Addresses that a program has, as the calls need them.
#[derive(Clone, Debug)]
pub struct Places {
    /// Bytes that may be read and written, and whose values nobody relies on.
    pub good: [u64; 2],
    /// Bytes that may only be read.
    pub fixed: u64,
    /// Poll items.
    pub poll: u64,
    /// Pieces that were mapped, which nobody relies on.
    pub pieces: [u64; 16],
    /// Paths of files, each with its length.
    pub paths: [[u64; 2]; 5],
    /// Options of threads.
    pub options: [u64; 4],
    /// Programs to start.
    pub spawns: [u64; 4],
    /// Where a thread may begin that needs no stack, sleeps for as many ns as its argument says, and
    /// ends.
    pub entry: u64,
    /// Names of switches, and what each may be set to; with their lengths.
    pub filters: [[u64; 4]; 3],
}

/// Addresses that are nobody's, or the kernel's, or none.
pub const NOWHERE: [u64; 14] = [
    0,
    1,
    0xfff,
    USER_BEGIN - 1,
    USER_BEGIN,
    USER_END - 8,
    USER_END - 1,
    USER_END,
    0x7fff_ffff_ffff,
    0x8000_0000_0000,
    0xffff_8000_0000_0000,
    0xffff_ffff_8020_0000,
    u64::MAX - 7,
    u64::MAX,
];

/// Lengths at which something ends.
const LENGTHS: [u64; 18] = [
    0,
    1,
    7,
    8,
    63,
    64,
    65,
    255,
    256,
    257,
    1024,
    1025,
    4095,
    4096,
    8192,
    1 << 31,
    1 << 63,
    u64::MAX,
];

impl Random {
    /// The next call and its arguments. `has_end`: nothing that waits does so for ever.
    pub fn call(&mut self, places: &Places, has_end: bool) -> (u64, [u64; 6]) {
        let call = self.which(has_end);
        let mut arguments = [0; 6].map(|_: u64| self.any());
        let kinds = kinds(call);
        if !self.once_in(8) || is_dangerous(call) {
            for (argument, kind) in arguments.iter_mut().zip(kinds) {
                *argument = self.argument(*kind, places, has_end);
            }
        }
        // Two numbers that belong together.
        if call == Call::FileOpen && !self.once_in(8) {
            let path = places.paths[self.below(places.paths.len() as u64) as usize];
            arguments[1..3].copy_from_slice(&path);
        }
        if call == Call::Filter && !self.once_in(8) {
            let filter = places.filters[self.below(places.filters.len() as u64) as usize];
            arguments[1..5].copy_from_slice(&filter);
        }
        // What files and reports come from stays, mostly.
        let keeps = matches!(call, Call::Close) && arguments[0] < 4;
        if keeps && !self.once_in(4096) {
            arguments[0] += 4;
        }
        let number = match self.once_in(64) {
            true => self.one_of(&[37, 38, 1000, 1 << 32, 1 << 63, u64::MAX]),
            false => call as u64,
        };
        (number, arguments)
    }

    /// Which call: those that end something, and those that take long, are rare.
    fn which(&mut self, has_end: bool) -> Call {
        loop {
            let call = Call::ALL[self.below(Call::ALL.len() as u64) as usize];
            let is_taken = match call {
                Call::Exit | Call::ThreadExit => self.once_in(2048),
                Call::Spawn => self.once_in(16),
                Call::FileResize => self.once_in(2),
                Call::Kill | Call::ThreadStart | Call::FileReset => self.once_in(4),
                Call::Sleep | Call::FileMap | Call::Write => self.once_in(4),
                // It has no time-out.
                Call::ReplyReceive => !has_end && self.once_in(4),
                _ => true,
            };
            if is_taken {
                return call;
            }
        }
    }

    /// Any number.
    fn any(&mut self) -> u64 {
        match self.below(4) {
            0 => self.below(256),
            1 => 1 << self.below(64),
            2 => u64::MAX - self.below(256),
            _ => self.next(),
        }
    }

    fn handle(&mut self) -> u64 {
        match self.below(32) {
            0 => self.one_of(&[127, 128, NO_HANDLE.into(), 1 << 32, u64::MAX]),
            1..=7 => self.below(128),
            _ => self.below(16),
        }
    }

    fn place(&mut self, places: &Places) -> u64 {
        match self.below(16) {
            0 => self.one_of(&NOWHERE),
            1 => places.fixed,
            2 => self.one_of(&places.pieces) + self.one_of(&[0, 8, 4088, 4095, 65528]),
            3 => self.one_of(&places.good) + self.below(16),
            _ => self.one_of(&places.good),
        }
    }

    fn argument(&mut self, kind: Kind, places: &Places, has_end: bool) -> u64 {
        match kind {
            Kind::Any => self.any(),
            Kind::Handle => self.handle(),
            Kind::Place => self.place(places),
            Kind::Length => self.one_of(&LENGTHS),
            Kind::Ns => match has_end || !self.once_in(4096) {
                true => self.one_of(&[0, 0, 0, 1, 1000, 100_000, 2_000_000]),
                false => u64::MAX,
            },
            Kind::Number => match self.once_in(8) {
                true => self.any(),
                false => self.below(32),
            },
            Kind::Rights => match self.once_in(4) {
                true => self.next(),
                false => rights::ALL.into(),
            },
            Kind::Lengths => {
                let [send, room] = [0; 2].map(|_: u64| self.one_of(&LENGTHS) & 0xffff);
                let handle = match self.once_in(4) {
                    true => self.handle() & 0xffff_ffff,
                    false => NO_HANDLE.into(),
                };
                send | room << 16 | handle << 32
            }
            Kind::Piece => self.one_of(&places.pieces) + self.one_of(&[0, 0, 0, 4096, 1]),
            Kind::PieceLength => self.one_of(&[1, 4096, 8192, 65536, 0, u64::MAX, 1 << 47]),
            Kind::Options => match self.once_in(8) {
                true => self.place(places),
                false => self.one_of(&places.options),
            },
            Kind::Spawn => match self.once_in(8) {
                true => self.place(places),
                false => self.one_of(&places.spawns),
            },
            Kind::Entry => match self.once_in(256) {
                true => self.one_of(&NOWHERE),
                false => places.entry,
            },
            Kind::Stack => self.place(places),
            Kind::Poll => match self.once_in(16) {
                true => self.place(places),
                false => places.poll,
            },
            Kind::PollCount => self.one_of(&[0, 1, 2, 8, 63, 64, 65, u64::MAX]),
            Kind::How => self.below(3),
            Kind::SubbufSize => self.one_of(&[1024, 2048, 4096, 8192, 65536, 1000, 0, 1 << 40]),
            Kind::SubbufCount => self.one_of(&[2, 3, 4, 8, 64, 1, 0, 1 << 40]),
        }
    }
}

/// Whether a call must not be made with numbers that were not thought about: it could change what
/// the program relies on.
fn is_dangerous(call: Call) -> bool {
    // Addresses that are small numbers or powers of two are nobody's; handles are.
    matches!(call, Call::Close | Call::Sleep | Call::Receive | Call::Poll)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places {
            good: [0x50_0000, 0x51_0000],
            fixed: 0x40_0000,
            poll: 0x52_0000,
            pieces: [0; 16],
            paths: [[0x53_0000, 7]; 5],
            options: [0x54_0000; 4],
            spawns: [0x55_0000; 4],
            entry: 0x40_1000,
            filters: [[0; 4]; 3],
        }
    }

    #[test]
    fn a_seed_makes_the_same_calls_and_another_one_others() {
        let calls = |seed| {
            let mut random = Random::new(seed);
            core::array::from_fn::<_, 64, _>(|_| random.call(&places(), false))
        };
        assert_eq!(calls(1), calls(1));
        assert_ne!(calls(1), calls(2));
    }

    #[test]
    fn every_call_is_made() {
        let mut random = Random::new(7);
        let mut made = [false; 64];
        for _ in 0..1_000_000 {
            let (number, _) = random.call(&places(), false);
            if let Some(made) = made.get_mut(number as usize) {
                *made = true;
            }
        }
        for call in Call::ALL {
            assert!(made[*call as usize], "{call:?}");
        }
    }
}
