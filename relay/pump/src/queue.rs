//! What was taken from a stream and has not left yet.

use alloc::collections::VecDeque;

/// Who drains a stream: a ticket is good until the next one is given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

impl Ticket {
    /// The kernel's: good while nobody has taken the stream over.
    pub const KERNEL: Self = Self(0);
}

/// Why a queue did not do what it was asked for. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The ticket is not good, or not any more: somebody else drains the stream.
    NotYours,
    /// No packet of this number is had.
    NotHad,
    /// An earlier packet that is had goes first.
    NotFirst,
    /// As many packets are had as there is room for.
    Full,
    /// Somebody has taken the stream over.
    Taken,
    /// The stream is the kernel's for good.
    Closed,
}

/// A packet, by its number.
#[derive(Debug)]
struct Place<P> {
    number: u64,
    packet: P,
    /// Who drains the stream has it.
    is_had: bool,
}

/// Packets that were taken from a stream and have not left yet, in their order, and who drains the
/// stream.
#[derive(Debug)]
pub struct Queue<P> {
    places: VecDeque<Place<P>>,
    room: usize,
    owner: Ticket,
    /// The last ticket that was given out.
    last: u64,
    is_closed: bool,
}

impl<P> Queue<P> {
    /// An empty one with room for so many packets, one at least, which the kernel drains.
    #[must_use]
    pub fn new(room: usize) -> Self {
        let room = room.max(1);
        Self {
            places: VecDeque::with_capacity(room),
            room,
            owner: Ticket::KERNEL,
            last: 0,
            is_closed: false,
        }
    }

    /// Whether the kernel drains the stream.
    #[must_use]
    pub fn is_kernels(&self) -> bool {
        self.owner == Ticket::KERNEL
    }

    /// Whether who has this ticket drains the stream.
    #[must_use]
    pub fn is_owner(&self, ticket: Ticket) -> bool {
        self.owner == ticket
    }

    /// How many packets are here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All of them, in their order.
    pub fn packets(&self) -> impl Iterator<Item = &P> {
        self.places.iter().map(|place| &place.packet)
    }

    /// How many of them are had.
    #[must_use]
    pub fn had(&self) -> usize {
        self.places.iter().filter(|place| place.is_had).count()
    }

    /// Takes the stream over from the kernel. What the kernel had is had by nobody now.
    ///
    /// # Errors
    /// [`Refusal::Taken`], [`Refusal::Closed`].
    pub fn take_over(&mut self) -> Result<Ticket, Refusal> {
        if self.is_closed {
            return Err(Refusal::Closed);
        }
        if !self.is_kernels() {
            return Err(Refusal::Taken);
        }
        self.last += 1;
        self.change(Ticket(self.last));
        Ok(self.owner)
    }

    /// Who has this ticket drains no more: the stream is the kernel's. Whether it was its own.
    pub fn give_up(&mut self, ticket: Ticket) -> bool {
        let was_its = self.owner == ticket && ticket != Ticket::KERNEL;
        if was_its {
            self.change(Ticket::KERNEL);
        }
        was_its
    }

    /// The stream is the kernel's from now on, for good, whoever drained it. Whether somebody else
    /// did.
    pub fn take_back(&mut self) -> bool {
        self.is_closed = true;
        self.take_away()
    }

    /// The stream is the kernel's again, whoever drained it, until somebody takes it over. Whether
    /// somebody did.
    pub fn take_away(&mut self) -> bool {
        let was_taken = !self.is_kernels();
        if was_taken {
            self.change(Ticket::KERNEL);
        }
        was_taken
    }

    /// Another drains: it begins with the first packet.
    fn change(&mut self, owner: Ticket) {
        self.owner = owner;
        self.places
            .iter_mut()
            .for_each(|place| place.is_had = false);
    }

    /// Whether somebody may drain by this ticket.
    fn check(&self, ticket: Ticket) -> Result<(), Refusal> {
        (self.owner == ticket)
            .then_some(())
            .ok_or(Refusal::NotYours)
    }

    /// Has a packet here that nobody has: one that is, or one that is pulled from the stream, with
    /// its number. Whether there is one.
    pub fn fill(&mut self, pull: impl FnOnce() -> Option<(u64, P)>) -> bool {
        if self.places.iter().any(|place| !place.is_had) {
            return true;
        }
        if self.places.len() >= self.room {
            return false;
        }
        let pulled = pull();
        let is_there = pulled.is_some();
        self.places.extend(pulled.map(|(number, packet)| Place {
            number,
            packet,
            is_had: false,
        }));
        is_there
    }

    /// The next packet is had from now on: the first that nobody has, or one that is pulled from the
    /// stream. `None`: there is none.
    ///
    /// # Errors
    /// [`Refusal::NotYours`], [`Refusal::Full`].
    pub fn take(
        &mut self,
        ticket: Ticket,
        pull: impl FnOnce() -> Option<(u64, P)>,
    ) -> Result<Option<(u64, &P)>, Refusal> {
        self.check(ticket)?;
        if self.places.len() >= self.room && self.places.iter().all(|place| place.is_had) {
            return Err(Refusal::Full);
        }
        if !self.fill(pull) {
            return Ok(None);
        }
        let next = self.places.iter_mut().find(|place| !place.is_had);
        Ok(next.map(|place| {
            place.is_had = true;
            (place.number, &place.packet)
        }))
    }

    /// A packet that is had.
    ///
    /// # Errors
    /// [`Refusal::NotYours`], [`Refusal::NotHad`].
    pub fn get(&self, ticket: Ticket, number: u64) -> Result<&P, Refusal> {
        self.check(ticket)?;
        let mut had = self.places.iter().filter(|place| place.is_had);
        let place = had.find(|place| place.number == number);
        place.map(|place| &place.packet).ok_or(Refusal::NotHad)
    }

    /// A packet is not had any more: it is taken again, before those behind it.
    ///
    /// # Errors
    /// [`Refusal::NotYours`], [`Refusal::NotHad`].
    pub fn give_back(&mut self, ticket: Ticket, number: u64) -> Result<(), Refusal> {
        self.check(ticket)?;
        let mut had = self.places.iter_mut().filter(|place| place.is_had);
        let place = had.find(|place| place.number == number);
        place.ok_or(Refusal::NotHad)?.is_had = false;
        Ok(())
    }

    /// Takes out a packet that is had, if it is the first here: so they leave in their order.
    /// [`Self::put_back`] is the way back.
    ///
    /// # Errors
    /// [`Refusal::NotYours`], [`Refusal::NotHad`], [`Refusal::NotFirst`].
    pub fn submit(&mut self, ticket: Ticket, number: u64) -> Result<P, Refusal> {
        self.get(ticket, number)?;
        if self
            .places
            .front()
            .is_none_or(|first| first.number != number)
        {
            return Err(Refusal::NotFirst);
        }
        let first = self.places.pop_front();
        first.map(|place| place.packet).ok_or(Refusal::NotHad)
    }

    /// What was just [submitted](Self::submit) was not taken: it is had again, and the first.
    pub fn put_back(&mut self, number: u64, packet: P) {
        self.places.push_front(Place {
            number,
            packet,
            is_had: true,
        });
    }

    /// Nothing will leave any more: what is here is given away. How many there were.
    pub fn clear(&mut self) -> usize {
        let count = self.places.len();
        self.places.clear();
        count
    }
}
