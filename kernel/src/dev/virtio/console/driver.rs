//! Setting the device up, and keeping an eye on it.

use alloc::vec::Vec;
use core::fmt;

use virtio_drivers::transport::{DeviceStatus, Transport};

use super::super::events;
use super::control::Control;
use super::error::Error;
use super::line::Line;
use super::port::{InFlight, Parts, Port};
use super::protocol::{Change, Directory, MAX_PORTS, Name};
use super::receiver::{self, Receiver};
use crate::dev::pci::msix::Target;
use crate::dev::virtio::device::Device;
use crate::dev::virtio::queue::{Queue, QueueError, QueueFault};

/// Feature: there are many ports, and control queues (section 5.3.3).
const F_MULTIPORT: u64 = 1 << 1;
/// Feature: the device follows virtio 1.0 or later (section 6).
const F_VERSION_1: u64 = 1 << 32;
/// Feature: the device reaches memory as the platform lets it (section 6), and may refuse to work
/// for who does not know that. It gets physical addresses from this kernel, which turns no IOMMU
/// on: they are right wherever none translates.
const F_ACCESS_PLATFORM: u64 = 1 << 33;

/// Where the configuration tells the number of ports (section 5.3.4).
const MAX_NR_PORTS: usize = 4;

/// How often to look whether the device has reset: at 1 µs and more a look, at least 0.1 s.
const RESET_LOOKS: u32 = 100_000;
/// How long the device may take to take a message. Emulated on a busy host, a device can stand
/// still for half a second.
const PATIENCE_MS: u64 = 2_000;
/// How long it may go on saying things before it has to come to an end.
const CONVERSATION_MS: u64 = 20_000;

/// The interrupt of the control queue and of the configuration.
const CONTROL_INTERRUPT: u16 = 0;
/// The interrupt of port 0; the other ports' follow.
const FIRST_PORT_INTERRUPT: u16 = 1;

/// The number of a port's transmit queue (section 5.3.2): ports after the first come after the
/// control queues.
fn transmit_queue(port: usize) -> u16 {
    match port {
        0 => 1,
        port => 2 * port as u16 + 3,
    }
}

/// The number of a port's receive queue.
fn receive_queue(port: usize) -> u16 {
    match port {
        0 => 0,
        port => 2 * port as u16 + 2,
    }
}

/// A port that the device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortInfo {
    /// The port's number (`nr=` of QEMU's `virtserialport`).
    pub(crate) id: usize,
    /// The port's name (`name=` of QEMU's `virtserialport`); empty if it has none.
    pub(crate) name: Name,
    /// Whether the host has it open.
    pub(crate) is_host_open: bool,
}

/// Why a port cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OpenError {
    /// The device has no such port.
    NoSuchPort {
        /// The port's number.
        id: usize,
    },
    /// The port was opened before.
    Taken {
        /// The port's number.
        id: usize,
    },
    /// The port has no usable queue.
    Queue(QueueError),
    /// There is no memory for what the host sends to it.
    NoMemory {
        /// The port's number.
        id: usize,
    },
    /// The device was reset, and has no ports any more.
    Reset,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchPort { id } => write!(f, "the device has no port {id}"),
            Self::Taken { id } => write!(f, "port {id} is open already"),
            Self::Queue(error) => error.fmt(f),
            Self::NoMemory { id } => write!(
                f,
                "no memory for what the host sends to port {id}; start the machine with more"
            ),
            Self::Reset => f.write_str("the device was reset"),
        }
    }
}

/// One of a port's queues, before somebody wants it.
enum Seat<D: Device> {
    /// It is here.
    Free(Queue<D::Memory>, D::Doorbell),
    /// The port has it.
    Taken,
    /// There is none.
    Unusable(QueueError),
}

/// A console device. One owner; task context.
///
/// Dropping it resets the device.
pub(crate) struct Driver<D: Device> {
    device: D,
    control: Option<Control<D>>,
    control_fault: Option<QueueFault>,
    directory: Directory,
    /// By port: its transmit queue.
    seats: Vec<Seat<D>>,
    /// By port: its receive queue.
    receive_seats: Vec<Seat<D>>,
    /// By port: its interrupt, if the device raises one.
    interrupts: [Option<u16>; MAX_PORTS],
    /// By port. For ever: interrupt handlers and ports use them.
    lines: &'static [Line],
    /// Of the control queue and the configuration.
    control_line: &'static Line,
    state: State,
}

/// What the device has been brought to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It may be using what it was told of.
    Running,
    /// It was reset, and has said so.
    Reset,
    /// It was told to reset, and has not said so.
    Stuck,
}

impl<D: Device> Driver<D> {
    /// Sets the device up, and asks for its ports.
    ///
    /// `now_ms` is a clock; the call spins, for some milliseconds in general and for
    /// [`PATIENCE_MS`] at most while nothing happens.
    ///
    /// # Errors
    /// When the device does not do its part. It has been reset then, or does not react to it.
    pub(super) fn new(device: D, now_ms: &mut dyn FnMut() -> u64) -> Result<Self, Error> {
        // The last line is that of the control queue.
        let lines: &'static [Line] = Vec::leak((0..=MAX_PORTS).map(|_| Line::new()).collect());
        let (control_line, lines) = lines.split_last().ok_or(Error::NoMemory)?;
        let mut this = Self {
            device,
            control: None,
            control_fault: None,
            directory: Directory::new(0),
            seats: Vec::new(),
            receive_seats: Vec::new(),
            interrupts: [None; MAX_PORTS],
            lines,
            control_line,
            state: State::Running,
        };
        // What fails from here on drops `this`, which resets the device.
        this.negotiate()?;
        this.converse(now_ms)?;
        Ok(this)
    }

    /// Initialises the device (section 3.1.1).
    fn negotiate(&mut self) -> Result<(), Error> {
        if !self.reset_device() {
            return Err(Error::NoReset);
        }
        let transport = self.device.transport();
        let mut status = DeviceStatus::ACKNOWLEDGE;
        transport.set_status(status);
        status |= DeviceStatus::DRIVER;
        transport.set_status(status);
        let offered = transport.read_device_features();
        if offered & F_VERSION_1 == 0 {
            return Err(Error::Legacy);
        }
        let accepted = offered & (F_VERSION_1 | F_MULTIPORT | F_ACCESS_PLATFORM);
        transport.write_driver_features(accepted);
        status |= DeviceStatus::FEATURES_OK;
        transport.set_status(status);
        if !transport.get_status().contains(DeviceStatus::FEATURES_OK) {
            return Err(Error::Features);
        }
        if accepted & F_MULTIPORT != 0 {
            let ports = transport.read_config_space::<u32>(MAX_NR_PORTS);
            let ports = ports.map_err(Error::Configuration)?;
            self.directory = Directory::new(usize::try_from(ports).unwrap_or(MAX_PORTS));
            let interrupt = (self.device.interrupts() > CONTROL_INTERRUPT)
                .then_some(CONTROL_INTERRUPT)
                .inspect(|&interrupt| {
                    // Without it a failure is found out from time to time.
                    self.device.assign_configuration(interrupt);
                });
            self.control = Some(Control::new(&mut self.device, interrupt)?);
        } else {
            self.directory = Directory::of_single_port();
            self.lines[0].set_host_open(true);
        }
        // All queues are set up before the device runs (step 7), used or not.
        for id in 0..self.directory.room() {
            let seat = self.set_up(id);
            self.seats.push(seat);
            let seat = self.seat(receive_queue(id), Queue::smallest);
            self.receive_seats.push(seat);
        }
        self.device
            .transport()
            .set_status(status | DeviceStatus::DRIVER_OK);
        if let Some(control) = &mut self.control {
            control.start();
        }
        Ok(())
    }

    /// Sets up a port's transmit queue.
    fn set_up(&mut self, id: usize) -> Seat<D> {
        let index = transmit_queue(id);
        let interrupt = FIRST_PORT_INTERRUPT + id as u16;
        if interrupt < self.device.interrupts() && self.device.assign(index, interrupt) {
            self.interrupts[id] = Some(interrupt);
        }
        self.seat(index, Queue::new)
    }

    /// Sets up a queue as `set_up` does.
    fn seat(
        &mut self,
        index: u16,
        set_up: impl FnOnce(&mut D::Transport, u16) -> Result<Queue<D::Memory>, QueueError>,
    ) -> Seat<D> {
        let Some(doorbell) = self.device.doorbell(index) else {
            return Seat::Unusable(QueueError::NoDoorbell { index });
        };
        match set_up(self.device.transport(), index) {
            Ok(queue) => Seat::Free(queue, doorbell),
            Err(error) => Seat::Unusable(error),
        }
    }

    /// Asks for the ports, and waits until the device has taken all messages, with which, in QEMU,
    /// it has said everything. What comes later is found by [`poll`](Self::poll).
    fn converse(&mut self, now_ms: &mut dyn FnMut() -> u64) -> Result<(), Error> {
        let start = now_ms();
        let mut since = start;
        let mut has_heard = true;
        loop {
            let is_idle = self.control.as_ref().is_none_or(Control::is_idle);
            if !has_heard && is_idle && self.directory.is_settled() {
                return Ok(());
            }
            has_heard = self.step()?;
            let now = now_ms();
            if has_heard {
                since = now;
            }
            if now.wrapping_sub(since) >= PATIENCE_MS {
                return Err(Error::Silent);
            }
            if now.wrapping_sub(start) >= CONVERSATION_MS {
                return Err(Error::Endless);
            }
            core::hint::spin_loop();
        }
    }

    /// Moves the conversation on; whether anything happened.
    fn step(&mut self) -> Result<bool, QueueFault> {
        let Some(control) = &mut self.control else {
            return Ok(false);
        };
        if let Some(fault) = self.control_fault {
            return Err(fault);
        }
        let lines = self.lines;
        let result = control.step(&mut self.directory, |id, change| match change {
            Change::HostOpen(open) => {
                events::port_open(id, open);
                lines[id].set_host_open(open);
            }
            Change::Removed => lines[id].set_removed(),
        });
        self.control_fault = result.err();
        result
    }

    /// Hears what the device has to say: of ports that come and go, of the host opening and
    /// closing them, of failure. Never waits.
    ///
    /// # Errors
    /// - When the device broke the rules of its control queues: nothing more is heard of ports;
    ///   those that are open go on.
    /// - When it says that it has failed: it was reset, and all ports are dead.
    /// - When it was reset, and has not reacted.
    pub(crate) fn poll(&mut self) -> Result<(), Error> {
        if self.state == State::Running {
            let status = self.device.transport().get_status();
            if status.contains(DeviceStatus::DEVICE_NEEDS_RESET) {
                self.reset()?;
                return Err(Error::NeedsReset);
            }
            self.hear()?;
        }
        Ok(())
    }

    /// Hears what the device has to say of ports, but for failure. Never waits, and neither
    /// allocates nor frees: also in IRQ context.
    ///
    /// # Errors
    /// When the device broke the rules of its control queues.
    pub(crate) fn hear(&mut self) -> Result<(), QueueFault> {
        // As much as can have been said until now; what is said meanwhile has its own signal.
        for _ in 0..=4 * MAX_PORTS {
            if !self.step()? {
                break;
            }
        }
        Ok(())
    }

    /// The ports that the device has now.
    pub(crate) fn ports(&self) -> impl Iterator<Item = PortInfo> {
        self.directory.present().map(|(id, name)| PortInfo {
            id,
            name,
            is_host_open: self.lines[id].is_host_open(),
        })
    }

    /// What the device has, for the log.
    pub(super) fn summary(&self) -> impl fmt::Display {
        fmt::from_fn(|f| {
            write!(
                f,
                "{} ports, {} interrupts",
                self.directory.present().count(),
                self.device.interrupts()
            )?;
            for (id, name) in self.directory.present() {
                write!(f, ", {id} '{name}'")?;
                if !self.lines[id].is_host_open() {
                    f.write_str(" (closed)")?;
                }
            }
            Ok(())
        })
    }

    /// Messages of the device that made no sense.
    pub(crate) fn malformed_messages(&self) -> u64 {
        self.directory.malformed()
    }

    /// What is to be told of a port's interrupts; `None` when the port raises none.
    pub(super) fn port_line(&self, id: usize) -> Option<&'static Line> {
        self.interrupts.get(id).copied().flatten()?;
        self.lines.get(id)
    }

    /// What is to be told of the interrupts of the control queue; `None` when there are none.
    pub(super) fn control_line(&self) -> Option<&'static Line> {
        let has_interrupt = self.control.as_ref().is_some_and(Control::has_interrupt);
        has_interrupt.then_some(self.control_line)
    }

    /// Lets interrupts of the control queue go to `target`.
    pub(super) fn route_control(&mut self, target: Target) {
        self.device.route(CONTROL_INTERRUPT, target);
    }

    /// Whether [`open`](Self::open) would open this port.
    ///
    /// # Errors
    /// As `open`.
    pub(super) fn can_open(&self, id: usize) -> Result<Name, OpenError> {
        if self.state != State::Running {
            return Err(OpenError::Reset);
        }
        let no_such_port = OpenError::NoSuchPort { id };
        let name = self.directory.name(id).ok_or(no_such_port)?;
        match self.seats.get(id) {
            Some(Seat::Free(..)) => Ok(name),
            Some(Seat::Taken) => Err(OpenError::Taken { id }),
            Some(Seat::Unusable(error)) => Err(OpenError::Queue(*error)),
            None => Err(no_such_port),
        }
    }

    /// Opens a port, once. Its interrupts go to `target`, if it has some. Allocates.
    ///
    /// # Errors
    /// [`OpenError`]: there is no such port, or it is or was open.
    pub(crate) fn open<B: InFlight>(
        &mut self,
        id: usize,
        target: Option<Target>,
    ) -> Result<Port<D, B>, OpenError> {
        let name = self.can_open(id)?;
        let interrupt = self.interrupts[id];
        let seat = self.seats.get_mut(id).ok_or(OpenError::NoSuchPort { id })?;
        let Seat::Free(queue, doorbell) = core::mem::replace(seat, Seat::Taken) else {
            return Err(OpenError::Taken { id });
        };
        let route = interrupt.zip(target);
        if let Some((interrupt, target)) = route {
            self.device.route(interrupt, target);
        }
        self.directory.open(id);
        // A fault is found again by the next `poll`, and does not concern the port.
        let _ = self.step();
        Ok(Port::new(Parts {
            id,
            name,
            queue,
            doorbell,
            line: &self.lines[id],
            has_interrupt: route.is_some(),
        }))
    }

    /// Gives the device buffers for what the host sends to a port, once. The host does not send
    /// before the port is [open](Self::open), which comes after this. Allocates.
    ///
    /// # Errors
    /// [`OpenError`]: there is no such port, somebody receives already, or it has no usable queue.
    pub(crate) fn receive(&mut self, id: usize) -> Result<Receiver<D>, OpenError> {
        self.can_open(id)?;
        let seat = self.receive_seats.get_mut(id);
        let seat = seat.ok_or(OpenError::NoSuchPort { id })?;
        match seat {
            Seat::Free(..) => {}
            Seat::Taken => return Err(OpenError::Taken { id }),
            Seat::Unusable(error) => return Err(OpenError::Queue(*error)),
        }
        // Before the queue is taken: nobody may free that while the device runs.
        let memory = receiver::pages().ok_or(OpenError::NoMemory { id })?;
        match core::mem::replace(seat, Seat::Taken) {
            Seat::Free(queue, doorbell) => {
                Ok(Receiver::new(queue, doorbell, memory, &self.lines[id]))
            }
            _ => Err(OpenError::Taken { id }),
        }
    }

    /// Resets the device, and gives the buffers that it had back to the ports: from now on they are
    /// dead, and [`Port::reclaim`] returns what was in flight. Spins 0.1 s if the device does not
    /// react.
    ///
    /// # Errors
    /// [`Error::NoReset`] when it does not. What is in flight stays out of use for ever then.
    pub(crate) fn reset(&mut self) -> Result<(), Error> {
        if self.state == State::Running {
            self.state = State::Stuck;
            if !self.reset_device() {
                self.device.cut_off();
                return Err(Error::NoReset);
            }
            self.state = State::Reset;
            for line in self.lines {
                // SAFETY: `reset_device` said so.
                unsafe { line.set_reset() };
            }
            self.seats.clear();
            self.receive_seats.clear();
            if let Some(control) = self.control.take() {
                // SAFETY: `reset_device` said so.
                unsafe { control.free() };
            }
        }
        match self.state {
            State::Stuck => Err(Error::NoReset),
            _ => Ok(()),
        }
    }

    /// Writes 0 to the status register; whether it reads 0 soon (section 2.4.2, and section
    /// 4.1.4.3.2 for PCI).
    fn reset_device(&mut self) -> bool {
        let transport = self.device.transport();
        transport.set_status(DeviceStatus::empty());
        (0..RESET_LOOKS).any(|_| transport.get_status().is_empty())
    }
}

impl<D: Device> Drop for Driver<D> {
    fn drop(&mut self) {
        if self.reset().is_err() {
            // The device may be using the queues: their memory stays out of use for ever.
            core::mem::forget(core::mem::take(&mut self.seats));
            core::mem::forget(core::mem::take(&mut self.receive_seats));
        }
    }
}

impl<D: Device> fmt::Debug for Driver<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Console")
            .field("state", &self.state)
            .field("ports", &self.directory.present().count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod numbers {
    use super::*;

    #[test]
    fn queues_are_numbered_as_the_specification_says() {
        assert_eq!([0, 1, 2, 31].map(transmit_queue), [1, 5, 7, 65]);
        assert_eq!([0, 1, 2, 31].map(receive_queue), [0, 4, 6, 64]);
    }
}
