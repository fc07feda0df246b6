//! The console device of this machine.

use virtio_drivers::transport::DeviceType;

use super::driver::{Driver, OpenError};
use super::error::Error;
use super::line::Line;
use super::port::{InFlight, Port};
use crate::arch::{apic, clock, irq};
use crate::dev::pci::msix::Target;
use crate::dev::virtio::pci::PciDevice;

/// The console device of this machine.
pub(crate) type Console = Driver<PciDevice>;

/// A port that sends packets where they lie.
pub(crate) type CpuPort = Port<PciDevice, relay::SubBuffer<'static>>;

/// Finds the console device, sets it up and asks it for its ports; `None` when the machine has
/// none. Interrupts of its control queue come to this CPU.
///
/// Once, in task context, when memory, the local APIC and the clock are up.
///
/// # Errors
/// When there is a device, but it cannot be used. It was reset then, if it lets itself be reset.
pub(crate) fn init() -> Result<Option<Console>, Error> {
    let Some(device) = PciDevice::find(DeviceType::Console)? else {
        return Ok(None);
    };
    let mut console = Driver::new(device, &mut || clock::millis(clock::ticks()))?;
    if let Some(target) = console.control_line().and_then(to_this_cpu) {
        console.route_control(target);
    }
    Ok(Some(console))
}

/// Opens a port, once, for the CPU that calls: interrupts come to it. Allocates. Task context.
///
/// # Errors
/// When there is no such port, or it is or was open.
pub(crate) fn open_here<B: InFlight>(
    console: &mut Console,
    id: usize,
) -> Result<Port<PciDevice, B>, OpenError> {
    // Before a vector is spent on it.
    console.can_open(id)?;
    let target = console.port_line(id).and_then(to_this_cpu);
    console.open(id, target)
}

/// A vector on this CPU whose interrupts are told to `line`; `None` when there are no more.
fn to_this_cpu(line: &'static Line) -> Option<Target> {
    // Local APIC identifiers are 8 bits wide in xAPIC mode, which is the kernel's.
    let apic_id = u8::try_from(apic::id()).ok()?;
    let vector = irq::allocate(line)?;
    Some(Target { apic_id, vector })
}
