//! What driver and device tell each other of ports (section 5.3.6.2). Pure.

use alloc::vec::Vec;
use core::fmt;

/// The most ports that the driver knows of: one that is kept for a console, 30 for CPUs, one for
/// panics, one for what the host asks.
pub(super) const MAX_PORTS: usize = 33;
/// The longest name that is kept; QEMU's own limit is far below.
const MAX_NAME: usize = 64;

/// Bytes of a message (`struct virtio_console_control`).
pub(super) const MESSAGE: usize = 8;

/// Events (section 5.3.6.2).
pub(super) mod event {
    /// Driver: it is up.
    pub(in super::super) const DEVICE_READY: u16 = 0;
    /// Device: there is a port.
    pub(in super::super) const DEVICE_ADD: u16 = 1;
    /// Device: there is a port no more.
    pub(in super::super) const DEVICE_REMOVE: u16 = 2;
    /// Driver: it knows of the port.
    pub(in super::super) const PORT_READY: u16 = 3;
    /// Device: the port is a terminal.
    pub(in super::super) const CONSOLE_PORT: u16 = 4;
    /// Device: the terminal has another size.
    pub(in super::super) const RESIZE: u16 = 5;
    /// Both: whether the port is open on this side.
    pub(in super::super) const PORT_OPEN: u16 = 6;
    /// Device: the port's name.
    pub(in super::super) const PORT_NAME: u16 = 7;
}

/// A message to the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outgoing {
    /// The port.
    pub(super) id: u32,
    /// What happened.
    pub(super) event: u16,
    /// How.
    pub(super) value: u16,
}

impl Outgoing {
    /// As the device reads it: little endian.
    pub(super) fn bytes(self) -> [u8; MESSAGE] {
        let mut bytes = [0; MESSAGE];
        bytes[..4].copy_from_slice(&self.id.to_le_bytes());
        bytes[4..6].copy_from_slice(&self.event.to_le_bytes());
        bytes[6..].copy_from_slice(&self.value.to_le_bytes());
        bytes
    }
}

/// A port's name, as the machine's owner gave it; empty for a port without one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name {
    bytes: [u8; MAX_NAME],
    length: u8,
}

impl Name {
    /// No name.
    pub(super) const NONE: Self = Self {
        bytes: [0; MAX_NAME],
        length: 0,
    };

    /// A name as the device sends it: perhaps with a zero at the end. `None` when it is too long,
    /// or not text.
    fn from_wire(bytes: &[u8]) -> Option<Self> {
        let length = bytes.iter().position(|&byte| byte == 0);
        let bytes = &bytes[..length.unwrap_or(bytes.len())];
        if bytes.len() > MAX_NAME || core::str::from_utf8(bytes).is_err() {
            return None;
        }
        let mut this = Self::NONE;
        this.bytes[..bytes.len()].copy_from_slice(bytes);
        this.length = bytes.len() as u8;
        Some(this)
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.length));
        core::str::from_utf8(bytes.unwrap_or_default()).unwrap_or_default()
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// What became of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The host opened or closed it.
    HostOpen(bool),
    /// It is gone.
    Removed,
}

/// What is known of one port.
#[derive(Debug, Clone, Copy)]
struct Known {
    name: Name,
    is_present: bool,
    /// It was there, and gone: a port that comes back is not used, because who drove it may still
    /// be holding the queue.
    was_removed: bool,
    /// The device is still to be told that the driver knows of it.
    owes_ready: bool,
    /// The device is still to be told that the driver opened it.
    owes_open: bool,
}

/// What is known of all ports, and what the device is still to be told.
#[derive(Debug)]
pub(super) struct Directory {
    ports: Vec<Known>,
    owes_device_ready: bool,
    /// Messages that made no sense.
    malformed: u64,
}

impl Directory {
    /// Room for ports 0 to `count - 1`; nothing known. The device is to be told that the driver is
    /// up.
    pub(super) fn new(count: usize) -> Self {
        let unknown = Known {
            name: Name::NONE,
            is_present: false,
            was_removed: false,
            owes_ready: false,
            owes_open: false,
        };
        Self {
            ports: alloc::vec![unknown; count.min(MAX_PORTS)],
            owes_device_ready: true,
            malformed: 0,
        }
    }

    /// A device without control queues: port 0 is there, without name.
    pub(super) fn of_single_port() -> Self {
        let mut this = Self::new(1);
        this.owes_device_ready = false;
        this.ports[0].is_present = true;
        this
    }

    /// Takes note of a message, of which the device says it is all there. Returns the port that it
    /// changes, and how.
    pub(super) fn receive(&mut self, message: &[u8]) -> Option<(usize, Change)> {
        let change = self.understand(message);
        if change.is_none() {
            self.malformed += 1;
        }
        change.flatten()
    }

    /// What a message means: nothing that makes sense, no change, or a change.
    fn understand(&mut self, message: &[u8]) -> Option<Option<(usize, Change)>> {
        let (header, rest) = message.split_first_chunk::<MESSAGE>()?;
        let [a, b, c, d, event_low, event_high, value_low, value_high] = *header;
        let id = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?;
        let value = u16::from_le_bytes([value_low, value_high]);
        let port = self.ports.get_mut(id)?;
        let event = u16::from_le_bytes([event_low, event_high]);
        if event == event::DEVICE_ADD {
            if port.is_present || port.was_removed {
                return None;
            }
            port.is_present = true;
            port.owes_ready = true;
            return Some(None);
        }
        if !port.is_present {
            return None;
        }
        match event {
            event::DEVICE_REMOVE => {
                port.is_present = false;
                port.was_removed = true;
                port.owes_ready = false;
                port.owes_open = false;
                Some(Some((id, Change::Removed)))
            }
            event::PORT_OPEN => Some(Some((id, Change::HostOpen(value != 0)))),
            event::PORT_NAME => {
                port.name = Name::from_wire(rest)?;
                Some(None)
            }
            event::CONSOLE_PORT | event::RESIZE => Some(None),
            _ => None,
        }
    }

    /// Notes that the driver opened a port.
    pub(super) fn open(&mut self, id: usize) {
        if let Some(port) = self.ports.get_mut(id) {
            port.owes_open = port.is_present;
        }
    }

    /// The next message that the device is to be told; once.
    pub(super) fn next_outgoing(&mut self) -> Option<Outgoing> {
        if core::mem::take(&mut self.owes_device_ready) {
            return Some(Outgoing {
                id: 0,
                event: event::DEVICE_READY,
                value: 1,
            });
        }
        (0..).zip(self.ports.iter_mut()).find_map(|(id, port)| {
            // Known first, open later.
            let event = if core::mem::take(&mut port.owes_ready) {
                event::PORT_READY
            } else if core::mem::take(&mut port.owes_open) {
                event::PORT_OPEN
            } else {
                return None;
            };
            Some(Outgoing {
                id,
                event,
                value: 1,
            })
        })
    }

    /// Whether the device is to be told nothing more.
    pub(super) fn is_settled(&self) -> bool {
        !self.owes_device_ready
            && !self
                .ports
                .iter()
                .any(|port| port.owes_ready || port.owes_open)
    }

    /// The name of a port that is there.
    pub(super) fn name(&self, id: usize) -> Option<Name> {
        let port = self.ports.get(id)?;
        port.is_present.then_some(port.name)
    }

    /// The ports that are there.
    pub(super) fn present(&self) -> impl Iterator<Item = (usize, Name)> {
        let all = self.ports.iter().enumerate();
        all.filter_map(|(id, port)| port.is_present.then_some((id, port.name)))
    }

    /// How many ports there is room for.
    pub(super) fn room(&self) -> usize {
        self.ports.len()
    }

    /// Messages that made no sense.
    pub(super) fn malformed(&self) -> u64 {
        self.malformed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: u32, event: u16, value: u16, rest: &[u8]) -> Vec<u8> {
        let mut bytes = Outgoing { id, event, value }.bytes().to_vec();
        bytes.extend_from_slice(rest);
        bytes
    }

    fn drain(directory: &mut Directory) -> Vec<(u32, u16, u16)> {
        core::iter::from_fn(|| directory.next_outgoing())
            .map(|message| (message.id, message.event, message.value))
            .collect()
    }

    #[test]
    fn a_port_is_added_named_opened_and_removed() {
        let mut directory = Directory::new(4);
        assert_eq!(drain(&mut directory), [(0, event::DEVICE_READY, 1)]);
        assert!(directory.is_settled());

        assert_eq!(
            directory.receive(&message(2, event::DEVICE_ADD, 1, b"")),
            None
        );
        assert!(!directory.is_settled());
        directory.open(2);
        assert_eq!(
            drain(&mut directory),
            [(2, event::PORT_READY, 1), (2, event::PORT_OPEN, 1)]
        );
        directory.receive(&message(2, event::PORT_NAME, 1, b"klog-0\0"));
        assert_eq!(directory.name(2).unwrap().as_str(), "klog-0");
        assert_eq!(directory.name(1), None);
        assert_eq!(
            directory.receive(&message(2, event::PORT_OPEN, 1, b"")),
            Some((2, Change::HostOpen(true)))
        );
        assert_eq!(
            directory.receive(&message(2, event::PORT_OPEN, 0, b"")),
            Some((2, Change::HostOpen(false)))
        );
        assert_eq!(directory.present().count(), 1);
        assert_eq!(
            directory.receive(&message(2, event::DEVICE_REMOVE, 1, b"")),
            Some((2, Change::Removed))
        );
        assert_eq!(directory.present().count(), 0);
        assert_eq!(directory.malformed(), 0);
        // A port that comes back is not believed.
        directory.receive(&message(2, event::DEVICE_ADD, 1, b""));
        assert_eq!((directory.present().count(), directory.malformed()), (0, 1));
    }

    #[test]
    fn what_makes_no_sense_is_counted_and_changes_nothing() {
        let mut directory = Directory::new(2);
        drain(&mut directory);
        directory.receive(&message(1, event::DEVICE_ADD, 1, b""));
        let senseless = [
            vec![],
            message(1, event::DEVICE_ADD, 1, b"")[..7].to_vec(),
            message(2, event::DEVICE_ADD, 1, b""),
            message(u32::MAX, event::PORT_NAME, 1, b"x"),
            message(0, event::PORT_OPEN, 1, b""),
            message(1, event::DEVICE_ADD, 1, b""),
            message(1, 8, 1, b""),
            message(1, event::DEVICE_READY, 1, b""),
            message(1, event::PORT_NAME, 1, &[0xff]),
            message(1, event::PORT_NAME, 1, &[b'x'; 65]),
        ];
        for message in &senseless {
            assert_eq!(directory.receive(message), None, "{message:?}");
        }
        assert_eq!(directory.malformed(), senseless.len() as u64);
        assert_eq!(directory.name(1).unwrap().as_str(), "");
        assert_eq!(drain(&mut directory), [(1, event::PORT_READY, 1)]);
    }

    #[test]
    fn there_is_never_more_room_than_ports_can_be_counted() {
        assert_eq!(Directory::new(usize::MAX).room(), MAX_PORTS);
        assert!(Directory::of_single_port().is_settled());
    }
}
