//! The console device (section 5.3): bulk output through many ports, asynchronously, without
//! copying.
//!
//! ```text
//! Console  one owner: finds ports, hears of the host opening and closing them, resets the device
//!  └ open() → Port  one owner each, on any CPU: submit → notify → ... → reclaim
//! ```
//!
//! One may be [`polled`] instead, by who has nobody to share the machine with.
//!
//! A [`Port`] shares nothing with other ports but the device itself: it has its own queue, its own
//! doorbell, its own counters, and an interrupt that goes to its own CPU. No port's call takes a
//! lock or allocates. What the console and the interrupt handler have to tell a port, they tell
//! through atomics ([`mod@line`]).
//!
//! Buffers ([`InFlight`]) belong to the port while the device has them, and come back from
//! [`Port::reclaim`], each once: when the device has used them, or when it was reset and said so.
//!
//! What a host sends to a port stays on the host, unless there is a [`receiver`] for it.

mod buffers;
mod control;
pub(crate) mod driver;
pub(crate) mod error;
#[cfg(test)]
mod fake;
mod line;
pub(crate) mod polled;
pub(crate) mod port;
mod protocol;
pub(crate) mod receiver;
#[cfg(test)]
mod tests;

use core::sync::atomic::{AtomicU64, Ordering};

use spin::Once;
use virtio_drivers::transport::DeviceType;

use self::driver::{Driver, OpenError};
use self::error::Error;
use self::line::Line;
use self::polled::Polled;
use self::port::{InFlight, Port};
use self::receiver::Receiver;
use super::pci::{self, PciDevice};
use crate::arch::{apic, handlers};
use crate::base::shortfall;
use crate::cpu::clock;
use crate::cpu::lock::Mutex;
use crate::dev::pci::msix::Target;

/// The console device of this machine.
pub(crate) type Console = Driver<PciDevice>;

/// A port that sends buffers from where they lie.
pub(crate) type PciPort<B> = Port<PciDevice, B>;

/// What the host sends to a port.
pub(crate) type PciReceiver = Receiver<PciDevice>;

/// A port whose user waits for it; its packets have headers of so many bytes.
pub(crate) type PolledPort<const HEADER: usize> = Polled<PciDevice, HEADER>;

/// How often a device without interrupts is asked whether it has something to say.
const ASK_MS: u64 = 100;

/// The console device, once [`start`] has found it.
static CONSOLE: Once<Mutex<Console>> = Once::new();
/// Tells that it has something to say, where it does so by interrupt.
static CONTROL_LINE: Once<&'static Line> = Once::new();

/// Whether the machine has a console device, of whatever use it is. Task context.
pub(crate) fn is_there() -> bool {
    pci::function_of(DeviceType::Console).is_some()
}

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
    let function = device.function();
    let mut console = Driver::new(device, &mut || clock::millis(clock::ticks()))?;
    if let Some(target) = console.control_line().and_then(to_this_cpu) {
        console.route_control(target);
    }
    relay::info!("virtio-console at {function}: {}", console.summary());
    Ok(Some(console))
}

/// Looks for the console device, says in the log what it found, and keeps it for
/// [`with_console`]. One that is there and cannot be used is a [shortfall](shortfall::note).
///
/// Once, by the boot CPU, in task context, when memory, the local APIC and the clock are up.
pub(crate) fn start() {
    match init() {
        Ok(Some(console)) => {
            let line = console.control_line();
            CONSOLE.call_once(|| Mutex::new(console));
            if let Some(line) = line {
                CONTROL_LINE.call_once(|| line);
            }
        }
        Ok(None) => {
            relay::info!("no virtio-console device: the log goes to the serial console only")
        }
        Err(error) => {
            relay::error!("virtio-console: {error}; the log goes to the serial console only");
            shortfall::note();
        }
    }
}

/// Hears the device out, if it has said something since the last call: of the host opening and
/// closing ports, of ports that come and go, of failure, which goes to the log. Costs two loads if
/// it has not. A device without interrupts is asked every [`ASK_MS`].
///
/// Task context. To be called by the CPU that called [`start`], whenever it wakes: an interrupt
/// wakes it when there is something to hear.
pub(crate) fn listen() {
    let is_due = match CONTROL_LINE.get() {
        Some(line) => line.take_signal(),
        None => CONSOLE.is_completed() && is_time_to_ask(),
    };
    if is_due && let Some(Err(error)) = with_console(Console::poll) {
        relay::error!("virtio-console: {error}");
    }
}

/// Hears what the device says of its ports, if it has said something and nobody is at it; what else
/// there is to hear is left to [`listen`]. So that a CPU which does not wake knows when the host
/// comes back. IRQ context.
pub(crate) fn hear() {
    if CONTROL_LINE.get().is_some_and(|line| line.has_signal())
        && let Some(mut console) = CONSOLE.get().and_then(Mutex::try_lock)
    {
        // A fault stays, and is told of by `listen`.
        let _ = console.hear();
    }
}

/// Whether a device that cannot say when it has something to say was not asked for a while.
fn is_time_to_ask() -> bool {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let now = clock::ticks();
    let is_time = now.wrapping_sub(ASKED.load(Ordering::Relaxed)) >= clock::ticks_of_ms(ASK_MS);
    if is_time {
        ASKED.store(now, Ordering::Relaxed);
    }
    is_time
}

/// Calls `action` with the console device; `None` when there is none. Task context: takes a lock
/// that others hold for as long as opening a port or hearing the device out takes.
pub(crate) fn with_console<R>(action: impl FnOnce(&mut Console) -> R) -> Option<R> {
    Some(action(&mut CONSOLE.get()?.lock()))
}

/// Opens a port, once, for the CPU that calls: interrupts come to it. Allocates. Task context.
///
/// # Errors
/// When there is no such port, or it is or was open, or it has no usable queue: a
/// [shortfall](shortfall::note).
pub(crate) fn open_here<B: InFlight>(
    console: &mut Console,
    id: usize,
) -> Result<PciPort<B>, OpenError> {
    // Before a vector is spent on it.
    console.can_open(id).inspect_err(|_| shortfall::note())?;
    let target = console.port_line(id).and_then(to_this_cpu);
    console.open(id, target)
}

/// A vector on this CPU whose interrupts are told to `line`; `None` when there are no more.
fn to_this_cpu(line: &'static Line) -> Option<Target> {
    // Local APIC identifiers are 8 bits wide in xAPIC mode, which is the kernel's.
    let apic_id = u8::try_from(apic::id()).ok()?;
    let vector = handlers::allocate(line)?;
    Some(Target { apic_id, vector })
}
