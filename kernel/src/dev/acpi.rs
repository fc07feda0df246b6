//! The firmware's tables: which CPUs there are, and where the clocks are.

use core::{fmt, ptr::NonNull, slice};

use acpi::{AcpiError, AcpiHandler, AcpiTable, AcpiTables, PhysicalMapping};

use super::madt::{self, MadtError, Processors};
use crate::arch::calibrate::{Clocks, PmTimer};
use crate::arch::ioapic::Places;
use crate::mem as memory;

/// In the FADT's flags: the power management timer has 32 bits.
const FADT_TIMER_WIDE: u32 = 1 << 8;
/// In the FADT's flags: there is no such hardware.
const FADT_HARDWARE_REDUCED: u32 = 1 << 20;

/// What bring-up needs to know about the machine.
#[derive(Debug)]
pub(crate) struct Platform {
    /// The CPUs, from the MADT.
    pub(crate) processors: Processors,
    /// The clocks that other clocks can be measured against.
    pub(crate) clocks: Clocks,
    /// The I/O APICs, from the MADT.
    pub(crate) io_apics: Places,
}

/// Why the tables could not be used.
#[derive(Debug)]
pub(crate) enum PlatformError {
    /// Nothing told where the tables begin.
    NoRsdp,
    /// The RSDP, the table of tables, or the MADT is missing or damaged.
    Tables(AcpiError),
    /// The MADT contradicts itself.
    Madt(MadtError),
}

impl fmt::Display for PlatformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRsdp => f.write_str("the boot code found no ACPI RSDP"),
            Self::Tables(error) => write!(f, "ACPI: {error:?}"),
            Self::Madt(error) => write!(f, "ACPI: {error}"),
        }
    }
}

/// Reads the tables that begin at the RSDP at physical address `rsdp`.
///
/// Task context on the boot CPU, after memory is up.
///
/// # Errors
/// When there are no tables, or no MADT, or a damaged one. Missing clocks are no error.
pub(crate) fn discover(rsdp: Option<u64>) -> Result<Platform, PlatformError> {
    let rsdp = rsdp.ok_or(PlatformError::NoRsdp)?;
    // SAFETY: the boot code found an RSDP at this address, in memory that it
    // handed over as mapped and that nothing writes.
    let tables = unsafe { AcpiTables::from_rsdp(OffsetMapped, rsdp as usize) }
        .map_err(PlatformError::Tables)?;
    let madt = tables
        .find_table::<acpi::madt::Madt>()
        .map_err(PlatformError::Tables)?;
    let processors = madt::processors(bytes(&madt)).map_err(PlatformError::Madt)?;
    let io_apics = madt::io_apics(bytes(&madt));
    let hpet = tables
        .find_table::<acpi::hpet::HpetTable>()
        .ok()
        .and_then(|table| hpet_address(bytes(&table)));
    let pm_timer = tables
        .find_table::<acpi::fadt::Fadt>()
        .ok()
        .and_then(|table| pm_timer(bytes(&table)));
    let clocks = Clocks { hpet, pm_timer };
    Ok(Platform {
        processors,
        clocks,
        io_apics,
    })
}

/// The whole table behind a mapping.
fn bytes<T: AcpiTable>(table: &PhysicalMapping<OffsetMapped, T>) -> &[u8] {
    let start = table.virtual_start().as_ptr().cast::<u8>();
    // SAFETY: 1. the handler maps `region_length` bytes from `virtual_start`, and
    // `acpi` has read all of them to verify the checksum; 2. the mapping is never
    // taken away; 3. nothing writes the firmware's tables.
    unsafe { slice::from_raw_parts(start, table.region_length()) }
}

/// The register block's address in an HPET table (IA-PC HPET specification 1.0a,
/// section 3.2.4): a generic address at offset 40, in system memory.
fn hpet_address(table: &[u8]) -> Option<u64> {
    let address: [u8; 8] = table.get(44..52)?.try_into().ok()?;
    let address = u64::from_le_bytes(address);
    (table[40] == 0 && address != 0 && address.is_multiple_of(8)).then_some(address)
}

/// The power management timer that the FADT tells of, if it is behind a port (ACPI 6.5, table 5.9):
/// at offset 208 as a generic address, or else at 76 as a port.
fn pm_timer(table: &[u8]) -> Option<PmTimer> {
    let word = |at: usize| {
        let word: [u8; 4] = table.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(word))
    };
    let flags = word(112)?;
    if table[91] != 4 || flags & FADT_HARDWARE_REDUCED != 0 {
        return None;
    }
    let port = match (word(208), word(212), word(216)) {
        (Some(space), Some(low), Some(high)) if low != 0 || high != 0 => {
            // Among the I/O ports.
            (space & 0xff == 1 && high == 0).then_some(low)?
        }
        _ => word(76)?,
    };
    Some(PmTimer {
        port: u16::try_from(port).ok().filter(|port| *port != 0)?,
        is_wide: flags & FADT_TIMER_WIDE != 0,
    })
}

/// Gives `acpi` access to physical memory through the mapping of all of it.
#[derive(Debug, Clone, Copy)]
struct OffsetMapped;

impl AcpiHandler for OffsetMapped {
    unsafe fn map_physical_region<T>(
        &self,
        physical_address: usize,
        size: usize,
    ) -> PhysicalMapping<Self, T> {
        let size = size.max(size_of::<T>());
        let start = memory::physical(physical_address as u64).cast::<T>();
        let start = NonNull::new(start).unwrap_or(NonNull::dangling());
        // SAFETY: physical memory is mapped at a fixed offset for ever; that the
        // address holds a `T` is the caller's promise.
        unsafe { PhysicalMapping::new(physical_address, start, size, size, *self) }
    }

    fn unmap_physical_region<T>(_region: &PhysicalMapping<Self, T>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hpet_is_found_in_system_memory_only() {
        let mut table = vec![0; 56];
        table[44..52].copy_from_slice(&0xfed0_0000_u64.to_le_bytes());
        assert_eq!(hpet_address(&table), Some(0xfed0_0000));
        assert_eq!(hpet_address(&table[..51]), None);
        table[40] = 1;
        assert_eq!(hpet_address(&table), None);
        table[40] = 0;
        table[44] = 1;
        assert_eq!(hpet_address(&table), None);
        assert_eq!(hpet_address(&[0; 56]), None);
    }

    #[test]
    fn the_pm_timer_is_found_behind_a_port_only() {
        let table = |length: usize, changes: &[(usize, u8)]| {
            let mut table = vec![0; 276];
            table[76..80].copy_from_slice(&0x608_u32.to_le_bytes());
            table[91] = 4;
            changes.iter().for_each(|(at, byte)| table[*at] = *byte);
            table.truncate(length);
            pm_timer(&table).map(|timer| (timer.port, timer.is_wide))
        };
        // As long as version 1 of the table is, and longer.
        assert_eq!(table(116, &[]), Some((0x608, false)));
        assert_eq!(table(276, &[(113, 1)]), Some((0x608, true)));
        // The generic address counts, where there is one.
        let generic = [(208, 1), (212, 8), (213, 0xb0)];
        assert_eq!(table(276, &generic), Some((0xb008, false)));
        assert_eq!(table(219, &generic), Some((0x608, false)));
        assert_eq!(table(276, &[(208, 0), (213, 0xb0)]), None);
        assert_eq!(table(276, &[(208, 1), (214, 1)]), None);
        // No timer, no such hardware, no port, no table.
        assert_eq!(table(276, &[(91, 0)]), None);
        assert_eq!(table(276, &[(114, 16)]), None);
        assert_eq!(table(276, &[(76, 0), (77, 0)]), None);
        assert_eq!(table(276, &[(78, 1)]), None);
        assert_eq!(table(115, &[]), None);
    }
}
