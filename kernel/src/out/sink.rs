//! What takes packets out of the machine.

use core::fmt;

use relay::SubBuffer;

/// A way out for packets, which belongs to one pump. A packet is not copied: the sink has it until
/// it is done with it, and its space in the ring so long.
///
/// Shown (`Display`) as its name and what keeps it from sending, if anything does.
///
/// Task and IRQ context. None of the calls waits.
pub(crate) trait Sink: fmt::Display + Send {
    /// How many packets came back while the other side was away: it may not have got them. `None`
    /// if it has not come back since the last call. What it gets then begins with
    /// [`describe`](Self::describe), as at first.
    fn take_return(&mut self) -> Option<u64>;

    /// Takes packets that stay where they are for ever, to be sent before all others; false if it
    /// cannot.
    fn describe(&mut self, packets: &'static [u8]) -> bool;

    /// Takes a packet, to be sent after those before it, if it can.
    fn submit(&mut self, packet: SubBuffer<'static>) -> Submitted;

    /// Gives back a packet that it is done with.
    fn reclaim(&mut self) -> Option<SubBuffer<'static>>;

    /// Whether it is done with a packet.
    fn has_reclaimable(&self) -> bool;

    /// Makes sure that what was submitted is under way.
    fn notify(&mut self);

    /// How many packets it has.
    fn in_flight(&self) -> usize;

    /// How many packets it took, and nobody may have got: the other side had gone, or the sink was
    /// reset.
    fn lost(&self) -> u64;

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
