//! A virtio device on PCI (section 4.1).
//!
//! `virtio-drivers`' `PciTransport` does the setting up. It reads what the function says of itself
//! from a [`Snapshot`] that was checked before. Two things it does not do are done here, on the
//! same registers: telling queues which interrupt to raise, and doorbells that need no other
//! register than their own.

use core::fmt;
use core::mem::{ManuallyDrop, offset_of};
use core::ops::Range;
use core::ptr::NonNull;

use virtio_drivers::transport::DeviceType;
use virtio_drivers::transport::pci::bus::{DeviceFunction, PciRoot};
use virtio_drivers::transport::pci::{
    PciTransport, VIRTIO_PCI_CAP_COMMON_CFG, VIRTIO_PCI_CAP_DEVICE_CFG, VIRTIO_PCI_CAP_ISR_CFG,
    VIRTIO_PCI_CAP_NOTIFY_CFG, VirtioPciError, virtio_device_type,
};
use volatile::{VolatilePtr, map_field};

use super::device::{Device, Doorbell};
use super::hal::{self, KernelHal};
use crate::dev::pci::msix::{Msix, Target};
use crate::dev::pci::{self, CAPABILITY_VENDOR, Capabilities, Capability, PciError, Snapshot};

/// The longest structure that is mapped: what is longer makes no sense.
const LONGEST: u32 = 1 << 20;
/// Of the registers that queues are notified with there may be as many as queues can be numbered,
/// each on a page of its own (QEMU's `page-per-vq=on`).
const LONGEST_NOTIFY: u32 = 1 << (16 + 12);
/// A type of structure that there is not, and that drivers ignore (section 4.1.4.1).
const RESERVED_TYPE: u32 = 0;
/// No interrupt (section 4.1.4.3.1). The device also answers this to one that it will not raise.
const NO_VECTOR: u16 = 0xffff;

/// Why a PCI function is no usable virtio device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// As a PCI function.
    Pci(PciError),
    /// As a virtio device.
    Virtio(VirtioPciError),
    /// A structure is of an impossible length, or where it cannot be.
    Structure {
        /// Its type (section 4.1.4, `cfg_type`).
        kind: u8,
        /// The length it claims.
        length: u32,
    },
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(error) => error.fmt(f),
            Self::Virtio(VirtioPciError::MissingCommonConfig) => f.write_str(
                "the device is older than virtio 1.0; start QEMU without disable-modern",
            ),
            Self::Virtio(error) => error.fmt(f),
            Self::Structure { kind, length } => write!(
                f,
                "the virtio structure of type {kind} is damaged (it claims {length:#x} bytes)"
            ),
        }
    }
}

impl From<PciError> for Unusable {
    fn from(error: PciError) -> Self {
        Self::Pci(error)
    }
}

/// The common configuration (section 4.1.4.3), as far as `virtio-drivers` leaves it to us.
#[repr(C)]
struct CommonConfiguration {
    _features: [u32; 4],
    config_msix_vector: u16,
    _num_queues: u16,
    _device_status: u8,
    _config_generation: u8,
    queue_select: u16,
    _queue_size: u16,
    queue_msix_vector: u16,
    _queue_enable: u16,
    queue_notify_off: u16,
    _queue_addresses: [u64; 3],
}

const _: () = {
    assert!(offset_of!(CommonConfiguration, config_msix_vector) == 0x10);
    assert!(offset_of!(CommonConfiguration, queue_select) == 0x16);
    assert!(offset_of!(CommonConfiguration, queue_msix_vector) == 0x1a);
    assert!(offset_of!(CommonConfiguration, queue_notify_off) == 0x1e);
    assert!(size_of::<CommonConfiguration>() == 0x38);
};

/// A virtio device on PCI.
#[derive(Debug)]
pub(crate) struct PciDevice {
    function: DeviceFunction,
    /// Never dropped: that would wait for the device for ever if it does not reset.
    transport: ManuallyDrop<PciTransport>,
    common: NonNull<CommonConfiguration>,
    notify: NotifyArea,
    msix: Option<Msix>,
}

// SAFETY: the registers can be used from any CPU; who has the device has them alone, but for the
// doorbells, each of which is one register of its own.
unsafe impl Send for PciDevice {}

/// The first function on the bus that is a device of this type. Task context.
pub(super) fn function_of(device: DeviceType) -> Option<DeviceFunction> {
    pci::find(|info| virtio_device_type(info) == Some(device))
}

impl PciDevice {
    /// The first device of this type on the bus, ready to be set up; `None` when there is none.
    /// Once for each device. Task context, when memory is up.
    ///
    /// # Errors
    /// When it says impossible things of itself, or its registers cannot be mapped.
    pub(super) fn find(device: DeviceType) -> Result<Option<Self>, Unusable> {
        let Some(function) = function_of(device) else {
            return Ok(None);
        };
        let mut snapshot = pci::enable(function)?;
        let capabilities = Capabilities::of(&snapshot)?;
        let structures = Structures::choose(&mut snapshot, &capabilities)?;
        let common = map(&structures.common)?;
        let notify = map(&structures.notify)?;
        map(&structures.isr)?;
        if let Some(device) = &structures.device {
            map(device)?;
        }
        let missing = Unusable::Virtio(VirtioPciError::MissingCommonConfig);
        let common = NonNull::new(common as *mut CommonConfiguration).ok_or(missing)?;
        let msix = Msix::enable(function, &snapshot, &capabilities)?;
        let transport = PciTransport::new::<KernelHal, _>(&mut PciRoot::new(snapshot), function)
            .map_err(Unusable::Virtio)?;
        Ok(Some(Self {
            function,
            transport: ManuallyDrop::new(transport),
            common,
            notify: NotifyArea {
                start: notify,
                length: structures.notify.end - structures.notify.start,
                multiplier: structures.multiplier,
            },
            msix,
        }))
    }

    /// Where on the bus it is.
    pub(super) fn function(&self) -> DeviceFunction {
        self.function
    }

    fn common(&mut self) -> VolatilePtr<'_, CommonConfiguration> {
        // SAFETY: `find` mapped the structure there for ever. `transport` has pointers to the same
        // registers, but uses them only when it is called, and it is reached only through `self`,
        // which is borrowed as long as this pointer lives.
        unsafe { VolatilePtr::new(self.common) }
    }
}

/// Maps a structure, so that `virtio-drivers` finds it mapped.
fn map(structure: &Range<u64>) -> Result<u64, PciError> {
    hal::map(structure.start, structure.end - structure.start).map_err(PciError::Map)
}

/// Where a device's structures are, in physical memory: checked.
#[derive(Debug, PartialEq, Eq)]
struct Structures {
    common: Range<u64>,
    notify: Range<u64>,
    multiplier: u32,
    isr: Range<u64>,
    device: Option<Range<u64>>,
}

impl Structures {
    /// Chooses the structures, and hides from `PciTransport` what it would take instead: it wants
    /// the first of each type, wherever that is.
    ///
    /// A device may tell of a structure more than once, in the order of its preference (section
    /// 4.1.4). Taken is the first that lies in memory: QEMU's `modern-pio-notify=on` puts one
    /// among I/O ports before it.
    fn choose(snapshot: &mut Snapshot, capabilities: &Capabilities) -> Result<Self, Unusable> {
        let mut first = |kind| first(snapshot, capabilities, kind);
        let (common, _) =
            first(VIRTIO_PCI_CAP_COMMON_CFG)?.ok_or(VirtioPciError::MissingCommonConfig)?;
        let (notify, capability) =
            first(VIRTIO_PCI_CAP_NOTIFY_CFG)?.ok_or(VirtioPciError::MissingNotifyConfig)?;
        let (isr, _) = first(VIRTIO_PCI_CAP_ISR_CFG)?.ok_or(VirtioPciError::MissingIsrConfig)?;
        let device = first(VIRTIO_PCI_CAP_DEVICE_CFG)?.map(|(place, _)| place);
        // Section 4.1.4.4.
        let multiplier = capability.word(snapshot, 16).unwrap_or(0);
        let all = [Some(&common), Some(&notify), Some(&isr), device.as_ref()];
        for (kind, place) in (1..).zip(all) {
            let Some(place) = place else { continue };
            let (least, most) = match kind {
                VIRTIO_PCI_CAP_COMMON_CFG => (size_of::<CommonConfiguration>() as u64, LONGEST),
                VIRTIO_PCI_CAP_NOTIFY_CFG => (1, LONGEST_NOTIFY),
                _ => (1, LONGEST),
            };
            let length = place.end - place.start;
            if length < least || length > u64::from(most) || !place.start.is_multiple_of(4) {
                let length = length as u32;
                return Err(Unusable::Structure { kind, length });
            }
        }
        Ok(Self {
            common,
            notify,
            multiplier,
            isr,
            device,
        })
    }
}

impl From<VirtioPciError> for Unusable {
    fn from(error: VirtioPciError) -> Self {
        Self::Virtio(error)
    }
}

/// The first structure of a type that lies in memory, and the capability that tells of it (section
/// 4.1.4). Those before it get a type that everybody ignores.
fn first(
    snapshot: &mut Snapshot,
    capabilities: &Capabilities,
    kind: u8,
) -> Result<Option<(Range<u64>, Capability)>, Unusable> {
    let least = if kind == VIRTIO_PCI_CAP_NOTIFY_CFG {
        20
    } else {
        16
    };
    for capability in capabilities.with_id(CAPABILITY_VENDOR) {
        let header = snapshot.word(capability.offset);
        if ((header >> 16) as u8) < least || (header >> 24) as u8 != kind {
            continue;
        }
        let damaged = PciError::Capabilities {
            offset: capability.offset,
        };
        // All of it lies within configuration space, or `virtio-drivers` would read beyond.
        let word = |distance| capability.word(snapshot, distance).ok_or(damaged.clone());
        word(least - 4)?;
        let (bar, offset, length) = (word(4)? as u8, word(8)?, word(12)?);
        if snapshot.is_memory(bar) {
            let place = snapshot.memory(bar, offset, length)?;
            return Ok(Some((place, capability)));
        }
        snapshot.set_word(
            capability.offset,
            header & 0x00ff_ffff | RESERVED_TYPE << 24,
        );
    }
    Ok(None)
}

/// The registers that queues are notified with (section 4.1.4.4).
#[derive(Debug, Clone, Copy)]
struct NotifyArea {
    start: u64,
    length: u64,
    multiplier: u32,
}

impl NotifyArea {
    /// Where the register of the queue with this `queue_notify_off` is.
    fn register(&self, notify_off: u16) -> Option<u64> {
        let offset = u64::from(notify_off) * u64::from(self.multiplier);
        let fits = offset + 2 <= self.length && offset.is_multiple_of(2);
        fits.then_some(self.start + offset)
    }
}

/// The notification register of one queue.
#[derive(Debug)]
pub(crate) struct PciDoorbell {
    register: NonNull<u16>,
    queue: u16,
}

// SAFETY: the register can be written from any CPU, and who has the doorbell has it alone.
unsafe impl Send for PciDoorbell {}

impl Doorbell for PciDoorbell {
    /// One store to a register; in a virtual machine that leaves the guest.
    fn ring(&mut self) {
        // SAFETY: the register is mapped for ever, and `self` has it alone. (Where the multiplier
        // is 0 all queues share a register; concurrent stores to a device's register are fine.)
        unsafe { VolatilePtr::new(self.register) }.write(self.queue);
    }
}

impl Device for PciDevice {
    type Memory = KernelHal;
    type Transport = PciTransport;
    type Doorbell = PciDoorbell;

    fn transport(&mut self) -> &mut PciTransport {
        &mut self.transport
    }

    fn doorbell(&mut self, queue: u16) -> Option<PciDoorbell> {
        let common = self.common();
        map_field!(common.queue_select).write(queue);
        let notify_off = map_field!(common.queue_notify_off).read();
        let register = NonNull::new(self.notify.register(notify_off)? as *mut u16)?;
        Some(PciDoorbell { register, queue })
    }

    fn interrupts(&self) -> u16 {
        self.msix.as_ref().map_or(0, Msix::count)
    }

    fn assign(&mut self, queue: u16, interrupt: u16) -> bool {
        let common = self.common();
        map_field!(common.queue_select).write(queue);
        let vector = map_field!(common.queue_msix_vector);
        vector.write(interrupt);
        vector.read() == interrupt && interrupt != NO_VECTOR
    }

    fn assign_configuration(&mut self, interrupt: u16) -> bool {
        let common = self.common();
        let vector = map_field!(common.config_msix_vector);
        vector.write(interrupt);
        vector.read() == interrupt && interrupt != NO_VECTOR
    }

    fn route(&mut self, interrupt: u16, target: Target) {
        if let Some(msix) = &mut self.msix {
            msix.route(interrupt, target);
        }
    }

    fn cut_off(&mut self) {
        pci::cut_off(self.function);
    }
}

#[cfg(test)]
mod tests;
