//! Whether a pin that turns interrupts off ([`IrqOff`]) leaves them as it found them, on the real
//! processor. This kernel does not need one: it has no preemption.

use relay::{Channel, Geometry, IrqOff, NoHooks, Slot, StaticMemory, Storage};
use x86_64::instructions::interrupts;

use crate::cpu::machine::Machine;

static MEMORY: StaticMemory<8192> = StaticMemory::new();
static RING: Channel<IrqOff<Machine>, 1> = Channel::new(IrqOff(Machine), &NoHooks);

/// Tries it, on CPU 0, which has interrupts on.
pub(super) fn check() -> Result<(), &'static str> {
    let geometry = Geometry::new(256, 4).map_err(|_| "a bad geometry")?;
    if Storage::bytes_for(&geometry) > 8192 {
        return Err("there is too little memory for the ring");
    }
    let memory = MEMORY.take().ok_or("its memory is taken")?;
    RING.start(0, memory, geometry)
        .map_err(|_| "it cannot be started")?;
    if !interrupts::are_enabled() {
        return Err("interrupts are off before it begins");
    }
    write_nested()?;
    if !interrupts::are_enabled() {
        return Err("a record left interrupts off");
    }
    let result = interrupts::without_interrupts(|| {
        write_nested()?;
        if interrupts::are_enabled() {
            return Err("a record turned interrupts on that were off");
        }
        Ok(())
    });
    result?;
    RING.close().map_err(|_| "it cannot be closed")?;
    let records = RING.stats(0).map_or(0, |stats| stats.records);
    if records == 2 * RECORDS {
        Ok(())
    } else {
        Err("a record is missing")
    }
}

/// Records of [`write_nested`].
const RECORDS: u64 = 3;

/// A record, in which another is written, in which a third is.
fn write_nested() -> Result<(), &'static str> {
    let are_off = || {
        if interrupts::are_enabled() {
            Err("interrupts are on in the middle of a record")
        } else {
            Ok(())
        }
    };
    let inner = |_: &mut Slot<'_>| {
        RING.write(b"innermost").map_err(|_| "it is lost")?;
        are_off()
    };
    let outer = |_: &mut Slot<'_>| {
        are_off()?;
        RING.reserve_with(8, inner).map_err(|_| "it is lost")??;
        are_off()
    };
    RING.reserve_with(8, outer).map_err(|_| "it is lost")?
}
