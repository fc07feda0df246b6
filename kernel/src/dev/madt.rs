//! The MADT (ACPI 6.5, section 5.2.12): which CPUs and I/O APICs there are.
//!
//! Pure: works on the bytes of a table whose checksum has been verified, and
//! checks every length itself, because a table can be well summed and wrong.

use core::fmt;

use crate::arch::ioapic::{Place, Places};
use crate::base::cpuset::{CpuSet, MAX_CPUS};

/// Bytes before the first entry: the table header, the local APIC's address, the flags.
const HEADER: usize = 44;

/// Entry type of a processor local APIC (section 5.2.12.2).
const LOCAL_APIC: u8 = 0;
/// Entry type of an I/O APIC (section 5.2.12.3).
const IO_APIC: u8 = 1;
/// Entry type of a local APIC address override (section 5.2.12.8).
const LOCAL_APIC_ADDRESS: u8 = 5;
/// Entry type of a processor local x2APIC (section 5.2.12.12).
const LOCAL_X2APIC: u8 = 9;

/// Local APIC flag: the CPU is ready for use.
const ENABLED: u32 = 1 << 0;
/// The local APIC identifier that no xAPIC has: it addresses all of them.
const BROADCAST: u32 = 0xff;

/// A table that contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MadtError {
    /// Shorter than its own fixed part.
    Short {
        /// Bytes there are.
        length: usize,
    },
    /// An entry that is too short for its type, or reaches beyond the table.
    Entry {
        /// Where the entry begins in the table.
        offset: usize,
        /// The entry's type.
        kind: u8,
        /// The length it claims.
        length: u8,
    },
}

impl fmt::Display for MadtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Short { length } => {
                write!(f, "MADT: {length} bytes, want at least {HEADER}")
            }
            Self::Entry {
                offset,
                kind,
                length,
            } => write!(
                f,
                "MADT: entry of type {kind} at offset {offset} claims {length} bytes, \
                 which is too short for it or reaches beyond the table"
            ),
        }
    }
}

/// What a MADT says about the CPUs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Processors {
    /// Physical address of every CPU's local APIC.
    pub(crate) local_apic: u64,
    /// CPUs that can be started but are beyond what this kernel takes: more than
    /// [`MAX_CPUS`], or with an identifier that an xAPIC cannot address.
    pub(crate) beyond: usize,
    /// CPUs that are listed as not enabled.
    pub(crate) disabled: usize,
    ids: [u32; MAX_CPUS],
    count: usize,
}

impl Processors {
    /// The local APIC identifiers of the enabled CPUs, in the order of the table,
    /// each once.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids[..self.count]
    }

    /// Whether these are all CPUs that can be started.
    pub(crate) fn are_all(&self, online: CpuSet) -> bool {
        self.beyond == 0 && online.iter().count() == self.count
    }

    /// Moves the CPU with this identifier to the front, so that the boot CPU is
    /// CPU 0 wherever the table lists it. When it is not listed it is added.
    pub(crate) fn put_first(&mut self, id: u32) {
        let at = match self.ids().iter().position(|&other| other == id) {
            Some(at) => at,
            None => {
                if self.count < MAX_CPUS {
                    self.count += 1;
                } else {
                    self.beyond += 1;
                }
                self.count - 1
            }
        };
        self.ids.copy_within(..at, 1);
        self.ids[0] = id;
    }

    fn add(&mut self, id: u32, flags: u32) {
        if flags & ENABLED == 0 {
            self.disabled += 1;
        } else if self.ids().contains(&id) {
            // Listed as APIC and as x2APIC: one CPU.
        } else if id >= BROADCAST || self.count == MAX_CPUS {
            self.beyond += 1;
        } else {
            self.ids[self.count] = id;
            self.count += 1;
        }
    }
}

impl fmt::Display for Processors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} enabled, local APICs", self.count)?;
        for id in self.ids() {
            write!(f, " {id}")?;
        }
        if self.disabled != 0 {
            write!(f, "; {} disabled", self.disabled)?;
        }
        if self.beyond != 0 {
            write!(
                f,
                "; {} left alone (more than {MAX_CPUS}, or not addressable)",
                self.beyond
            )?;
        }
        Ok(())
    }
}

/// Reads the CPUs out of a whole MADT, header included.
///
/// # Errors
/// When the table, or an entry that matters here, has an impossible length.
pub(crate) fn processors(table: &[u8]) -> Result<Processors, MadtError> {
    let Some(address) = table.get(36..40).filter(|_| table.len() >= HEADER) else {
        return Err(MadtError::Short {
            length: table.len(),
        });
    };
    let mut found = Processors {
        local_apic: u64::from(u32_at(address, 0)),
        beyond: 0,
        disabled: 0,
        ids: [0; MAX_CPUS],
        count: 0,
    };
    for entry in entries(table) {
        let entry = entry?;
        match entry[0] {
            LOCAL_APIC => found.add(u32::from(entry[3]), u32_at(entry, 4)),
            LOCAL_X2APIC => found.add(u32_at(entry, 4), u32_at(entry, 8)),
            LOCAL_APIC_ADDRESS => {
                found.local_apic = u64::from(u32_at(entry, 4)) | u64::from(u32_at(entry, 8)) << 32;
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Where the I/O APICs are, as far as a whole MADT can be read.
pub(crate) fn io_apics(table: &[u8]) -> Places {
    let entries = entries(table).map_while(Result::ok);
    let places = entries.filter(|entry| entry[0] == IO_APIC);
    let places = places.map(|entry| Place {
        address: u64::from(u32_at(entry, 4)),
        first: u32_at(entry, 8),
    });
    places.take(Places::new().capacity()).collect()
}

/// The entries of a table that is longer than its header, as long as they have the bytes that their
/// types need.
fn entries(table: &[u8]) -> impl Iterator<Item = Result<&[u8], MadtError>> {
    let mut offset = HEADER;
    core::iter::from_fn(move || {
        // One trailing byte cannot be an entry; tolerate it as padding.
        let &[kind, length] = table.get(offset..offset + 2)? else {
            return None;
        };
        let wrong = MadtError::Entry {
            offset,
            kind,
            length,
        };
        let least = match kind {
            LOCAL_APIC => 8,
            IO_APIC | LOCAL_APIC_ADDRESS => 12,
            LOCAL_X2APIC => 16,
            _ => 2,
        };
        let end = offset + usize::from(length);
        let entry = table.get(offset..end).filter(|_| length >= least);
        // An error ends it: where the next entry begins is not known.
        offset = if entry.is_some() { end } else { table.len() };
        Some(entry.ok_or(wrong))
    })
}

/// The little-endian word at `offset`; the caller has checked that it is there.
fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[offset..offset + 4]);
    u32::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[&[u8]]) -> Vec<u8> {
        let mut table = vec![0; HEADER];
        table[36..40].copy_from_slice(&0xfee0_0000_u32.to_le_bytes());
        for entry in entries {
            table.extend_from_slice(entry);
        }
        table
    }

    fn apic(id: u8, flags: u8) -> [u8; 8] {
        [LOCAL_APIC, 8, id, id, flags, 0, 0, 0]
    }

    fn x2apic(id: u32, flags: u8) -> Vec<u8> {
        let mut entry = vec![LOCAL_X2APIC, 16, 0, 0];
        entry.extend_from_slice(&id.to_le_bytes());
        entry.extend_from_slice(&[flags, 0, 0, 0, 0, 0, 0, 0]);
        entry
    }

    #[test]
    fn enabled_cpus_are_listed_in_order() {
        let found = processors(&table(&[
            &apic(4, 1),
            &[1, 12, 0, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
            &apic(2, 1),
            &apic(3, 0),
            &x2apic(9, 1),
            &x2apic(2, 1),
        ]))
        .unwrap();
        assert_eq!(found.ids(), [4, 2, 9]);
        assert_eq!((found.disabled, found.beyond), (1, 0));
        assert_eq!(found.local_apic, 0xfee0_0000);
    }

    #[test]
    fn io_apics_are_listed_as_far_as_the_table_can_be_read() {
        let io_apic = |id: u8, first: u8| [1, 12, id, 0, id, 0, 0xc0, 0xfe, first, 0, 0, 0];
        let place = |id: u64, first| Place {
            address: 0xfec0_0000 + id,
            first,
        };
        let good = table(&[&apic(4, 1), &io_apic(0, 0), &io_apic(1, 24)]);
        assert_eq!(io_apics(&good)[..], [place(0, 0), place(1, 24)]);
        let mut short = io_apic(2, 48);
        short[1] = 11;
        let bad = table(&[&io_apic(0, 0), &short, &io_apic(1, 24)]);
        assert_eq!(io_apics(&bad)[..], [place(0, 0)]);
        assert!(processors(&bad).is_err());
        let many: Vec<_> = (0..20).map(|id| io_apic(id, id)).collect();
        let many: Vec<&[u8]> = many.iter().map(|entry| &entry[..]).collect();
        assert_eq!(io_apics(&table(&many)).len(), 8);
        assert!(io_apics(&[]).is_empty());
    }

    #[test]
    fn the_address_can_be_overridden() {
        let entry = [LOCAL_APIC_ADDRESS, 12, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0];
        let found = processors(&table(&[&entry])).unwrap();
        assert_eq!(found.local_apic, 0x2_0100_0000);
    }

    #[test]
    fn what_cannot_be_addressed_is_counted() {
        let many: Vec<_> = (0..40).map(|id| apic(id, 1)).collect();
        let many: Vec<&[u8]> = many.iter().map(|entry| &entry[..]).collect();
        let found = processors(&table(&many)).unwrap();
        assert_eq!((found.ids().len(), found.beyond), (MAX_CPUS, 8));

        let found = processors(&table(&[&x2apic(255, 1), &x2apic(1000, 1), &apic(1, 1)])).unwrap();
        assert_eq!((found.ids(), found.beyond), (&[1][..], 2));
    }

    #[test]
    fn impossible_lengths_are_errors() {
        for length in 0..8 {
            let mut entry = apic(0, 1);
            entry[1] = length;
            assert_eq!(
                processors(&table(&[&entry])),
                Err(MadtError::Entry {
                    offset: 44,
                    kind: 0,
                    length
                })
            );
        }
        let beyond = [LOCAL_APIC, 8, 0, 0];
        assert!(processors(&table(&[&apic(0, 1), &beyond])).is_err());
        assert!(processors(&table(&[&[0x80, 0]])).is_err());
        for length in 0..HEADER {
            assert_eq!(
                processors(&vec![0; length]),
                Err(MadtError::Short { length })
            );
        }
    }

    #[test]
    fn unknown_entries_and_a_stray_byte_are_skipped() {
        let found = processors(&table(&[&[0x80, 3, 7], &apic(5, 1), &[0]])).unwrap();
        assert_eq!(found.ids(), [5]);
    }

    #[test]
    fn the_boot_cpu_comes_first() {
        let mut found = processors(&table(&[&apic(1, 1), &apic(2, 1), &apic(3, 1)])).unwrap();
        found.put_first(3);
        assert_eq!(found.ids(), [3, 1, 2]);
        found.put_first(9);
        assert_eq!(found.ids(), [9, 3, 1, 2]);
        found.put_first(9);
        assert_eq!(found.ids(), [9, 3, 1, 2]);
    }

    #[test]
    fn an_unlisted_boot_cpu_displaces_the_last_of_a_full_table() {
        let many: Vec<_> = (0..32).map(|id| apic(id, 1)).collect();
        let many: Vec<&[u8]> = many.iter().map(|entry| &entry[..]).collect();
        let mut found = processors(&table(&many)).unwrap();
        found.put_first(77);
        assert_eq!((found.ids()[0], found.ids()[31], found.beyond), (77, 30, 1));
    }
}
