//! What takes packets out of the machine.

use core::fmt;

use relay::SubBuffer;

/// A way out for packets, which belongs to one pump. A packet is not copied: the sink has it until
/// it is done with it, and its space in the ring so long.
///
/// A pump takes turns: [`begin`](Self::begin), then what there is to say and to
/// [`submit`](Self::submit), then [`end`](Self::end).
///
/// Shown (`Display`) as its name and what keeps it from sending, if anything does.
///
/// Task and IRQ context. None of the calls waits.
pub(crate) trait Sink: fmt::Display + Send {
    /// A turn begins: packets that it is done with go back to their writers. Says how much has
    /// moved since the last turn: any number that is not 0 if something has.
    fn begin(&mut self) -> u64;

    /// How many packets came back while the other side was away: it may not have got them. `None`
    /// if it has not come back since the last call. What it gets then begins with
    /// [`describe`](Self::describe), as at first.
    fn take_return(&mut self) -> Option<u64>;

    /// Takes packets that stay where they are for ever, to be sent before all others; false if it
    /// cannot.
    fn describe(&mut self, packets: &'static [u8]) -> bool;

    /// Takes a packet, to be sent after those before it, if it can.
    fn submit(&mut self, packet: SubBuffer<'static>) -> Submitted;

    /// A turn ends: what was submitted is under way. Says how much has moved by that.
    fn end(&mut self) -> u64;

    /// Whether it would take a packet now.
    fn has_room(&mut self) -> bool;

    /// Whether programs may have it: it needs nobody who waits for it, byte by byte.
    fn is_for_programs(&self) -> bool;

    /// Whether another turn would move something, so that a CPU should not halt.
    fn has_work(&mut self) -> bool;

    /// How many packets it has, or may have.
    fn in_flight(&mut self) -> usize;

    /// How many packets it took, and nobody may have got: the other side had gone, or the sink was
    /// reset.
    fn lost(&self) -> u64;

    /// Whether the other side is there, as far as anybody can tell.
    fn is_open(&self) -> bool;

    /// Whether it will never send anything again. What it is given back for then was not sent.
    fn is_dead(&self) -> bool;
}

/// What a sink has done with a packet.
pub(crate) enum Submitted {
    /// It has it.
    Taken,
    /// It cannot take it now.
    NotNow(SubBuffer<'static>),
    /// It will never take anything again, so the packet was given back to its writer.
    Never,
}
