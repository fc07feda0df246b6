//! What the loader passes: the PVH start info, copied out of memory that is about to be reused.
//!
//! Layout: `struct hvm_start_info` of Xen's `public/arch-x86/hvm/start_info.h`, which QEMU follows
//! for `-kernel` with a PVH note. All fields are little-endian.

use crate::cmdline::CommandLine;
use crate::error::{BootError, Report};
use crate::list::List;
use crate::memmap::{Entry, MAX_ENTRIES};
use crate::physical::{PhysicalMemory, number};
use crate::span::{PHYSICAL_LIMIT, Span};

/// `XEN_HVM_START_MAGIC_VALUE`, "xEn3" with the high bit of the E set.
const MAGIC: u32 = 0x336e_c578;
/// Bytes of a version 1 start info.
const START_INFO_LEN: usize = 56;
/// Bytes of a `hvm_memmap_table_entry`.
const MEMMAP_ENTRY_LEN: u64 = 24;
/// Bytes of a `hvm_modlist_entry`.
const MODULE_LEN: u64 = 32;
/// Modules that are kept out of usable memory; QEMU gives at most one.
pub(crate) const MAX_MODULES: usize = 8;

/// What the loader said about the machine.
#[derive(Debug)]
pub(crate) struct Machine {
    /// The memory map as the firmware gave it, in its order.
    pub(crate) memory: List<Entry, MAX_ENTRIES>,
    /// Where modules lie; the first is the ramdisk.
    pub(crate) modules: List<Span, MAX_MODULES>,
    /// The command line.
    pub(crate) command_line: CommandLine,
    /// Physical address of the ACPI root pointer as the loader says, 0 if it does not.
    pub(crate) rsdp: u64,
}

impl Machine {
    /// A machine about which nothing is known.
    pub(crate) const fn unknown() -> Self {
        Self {
            memory: List::new(Entry::EMPTY),
            modules: List::new(Span::EMPTY),
            command_line: CommandLine::new(),
            rsdp: 0,
        }
    }

    /// Copies what the start info at physical `address` describes into `self`. What cannot be read
    /// is left out and reported.
    pub(crate) fn read(&mut self, memory: &impl PhysicalMemory, address: u64, report: &mut Report) {
        let mut info = [0; START_INFO_LEN];
        if !memory.read(address, &mut info) {
            report.push(BootError::StartInfoUnreadable { address });
            return;
        }
        let word = |at| number::<4>(&info, at) as u32;
        let long = |at| number::<8>(&info, at);
        if word(0) != MAGIC {
            report.push(BootError::StartInfoMagic { found: word(0) });
            return;
        }
        self.rsdp = long(32);
        if long(24) != 0 {
            self.command_line.read(memory, long(24), report);
        }
        self.read_modules(memory, long(16), word(12), report);
        match word(4) {
            0 => report.push(BootError::StartInfoVersion { found: 0 }),
            _ => self.read_memory_map(memory, long(40), word(48), report),
        }
    }

    fn read_memory_map(
        &mut self,
        memory: &impl PhysicalMemory,
        address: u64,
        entries: u32,
        report: &mut Report,
    ) {
        if entries == 0 {
            report.push(BootError::MemoryMapEmpty);
        }
        for index in 0..u64::from(entries) {
            let mut entry = [0; MEMMAP_ENTRY_LEN as usize];
            // An address that wraps is unreadable, and so is the largest one.
            let at = address.saturating_add(index * MEMMAP_ENTRY_LEN);
            if !memory.read(at, &mut entry) {
                report.push(BootError::MemoryMapUnreadable { address, entries });
                return;
            }
            let entry = Entry {
                start: number::<8>(&entry, 0),
                size: number::<8>(&entry, 8),
                kind: number::<4>(&entry, 16) as u32,
            };
            if self.memory.push(entry).is_err() {
                report.push(BootError::MemoryMapTooLong {
                    entries,
                    max: MAX_ENTRIES,
                });
                return;
            }
        }
    }

    fn read_modules(
        &mut self,
        memory: &impl PhysicalMemory,
        address: u64,
        count: u32,
        report: &mut Report,
    ) {
        if count > 1 {
            report.push(BootError::ExtraModules { count });
        }
        for index in 0..u64::from(count) {
            let mut module = [0; MODULE_LEN as usize];
            let at = address.saturating_add(index * MODULE_LEN);
            if !memory.read(at, &mut module) {
                report.push(BootError::ModulesUnreadable { address });
                return;
            }
            let (start, size) = (number::<8>(&module, 0), number::<8>(&module, 8));
            let span = match start.checked_add(size) {
                Some(end) if end <= PHYSICAL_LIMIT => Span::new(start, end),
                _ => {
                    report.push(BootError::ModuleInvalid { start, size });
                    // Keeps its place, so that the second module does not become the ramdisk.
                    Span::EMPTY
                }
            };
            if self.modules.push(span).is_err() {
                report.push(BootError::TooManyModules {
                    count,
                    max: MAX_MODULES,
                });
                return;
            }
        }
    }

    /// The first module, if there is one with content.
    pub(crate) fn ramdisk(&self) -> Option<Span> {
        self.modules.first().copied().filter(|span| span.len() > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_MODULES, Machine};
    use crate::error::{BootError, Report};
    use crate::memmap::{Entry, MAX_ENTRIES};
    use crate::physical::FakeMemory;
    use crate::span::{PHYSICAL_LIMIT, Span};

    /// A start info with the given fields, at 0x6000.
    fn start_info(version: u32, modules: (u64, u32), cmdline: u64, map: (u64, u32)) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [0x336e_c578, version, 0, modules.1] {
            bytes.extend(word.to_le_bytes());
        }
        for long in [modules.0, cmdline, 0xf5ac0, map.0] {
            bytes.extend(long.to_le_bytes());
        }
        for word in [map.1, 0] {
            bytes.extend(word.to_le_bytes());
        }
        bytes
    }

    fn map_entry(start: u64, size: u64, kind: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(start.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        bytes.extend(u64::from(kind).to_le_bytes());
        bytes
    }

    fn module(start: u64, size: u64) -> Vec<u8> {
        let mut bytes = map_entry(start, size, 0);
        bytes.extend([0; 8]);
        bytes
    }

    fn read(memory: &FakeMemory) -> (Box<Machine>, Report) {
        let mut machine = Box::new(Machine::unknown());
        let mut report = Report::new();
        machine.read(memory, 0x6000, &mut report);
        (machine, report)
    }

    #[test]
    fn everything_is_copied() {
        let mut memory = FakeMemory::default();
        memory.put(0x6000, &start_info(1, (0x7000, 1), 0x8000, (0x9000, 2)));
        memory.put(0x7000, &module(0x40_0000, 0x1234));
        memory.put(0x8000, b"scenario=smoke\0garbage");
        let map = [map_entry(0, 0x9fc00, 1), map_entry(0x10_0000, 0x100, 2)];
        memory.put(0x9000, &map.concat());
        let (machine, report) = read(&memory);
        assert_eq!(report.errors(), []);
        assert_eq!(machine.ramdisk(), Some(Span::new(0x40_0000, 0x40_1234)));
        assert_eq!(machine.command_line.as_str(), "scenario=smoke");
        assert_eq!(machine.rsdp, 0xf5ac0);
        let expected = [
            Entry {
                start: 0,
                size: 0x9fc00,
                kind: 1,
            },
            Entry {
                start: 0x10_0000,
                size: 0x100,
                kind: 2,
            },
        ];
        assert_eq!(machine.memory[..], expected);
    }

    #[test]
    fn unreadable_or_foreign_start_info_is_fatal() {
        let mut memory = FakeMemory::default();
        let (_, report) = read(&memory);
        assert_eq!(
            report.errors(),
            [BootError::StartInfoUnreadable { address: 0x6000 }]
        );
        assert!(report.is_fatal());

        memory.put(0x6000, &[0xab; 56]);
        let (_, report) = read(&memory);
        assert_eq!(
            report.errors(),
            [BootError::StartInfoMagic { found: 0xabab_abab }]
        );
        assert!(report.is_fatal());
    }

    #[test]
    fn version_0_has_no_map_but_a_command_line() {
        let mut memory = FakeMemory::default();
        memory.put(0x6000, &start_info(0, (0, 0), 0x8000, (0, 0)));
        memory.put(0x8000, b"a\0");
        let (machine, report) = read(&memory);
        assert_eq!(report.errors(), [BootError::StartInfoVersion { found: 0 }]);
        assert_eq!(machine.command_line.as_str(), "a");
    }

    #[test]
    fn a_map_that_lies_about_its_length_does_not_hang() {
        let mut memory = FakeMemory::default();
        memory.put(0x6000, &start_info(1, (0, 0), 0, (0x9000, u32::MAX)));
        let map = vec![map_entry(0x10_0000, 0x1000, 1); MAX_ENTRIES + 5];
        memory.put(0x9000, &map.concat());
        let (machine, report) = read(&memory);
        assert_eq!(
            report.errors(),
            [BootError::MemoryMapTooLong {
                entries: u32::MAX,
                max: MAX_ENTRIES
            }]
        );
        assert_eq!(machine.memory.len(), MAX_ENTRIES);
    }

    #[test]
    fn a_map_outside_memory_is_fatal() {
        let mut memory = FakeMemory::default();
        memory.put(0x6000, &start_info(1, (0, 0), 0, (u64::MAX - 3, 2)));
        let (_, report) = read(&memory);
        assert!(report.is_fatal());
        assert!(matches!(
            report.errors(),
            [BootError::MemoryMapUnreadable { entries: 2, .. }]
        ));
    }

    #[test]
    fn a_module_beyond_the_physical_address_space_is_refused() {
        let mut memory = FakeMemory::default();
        memory.put(0x6000, &start_info(1, (0x7000, 1), 0, (0x9000, 1)));
        memory.put(0x9000, &map_entry(0x10_0000, 0x1000, 1));
        memory.put(0x7000, &module(PHYSICAL_LIMIT - 1, 2));
        let (machine, report) = read(&memory);
        assert_eq!(machine.ramdisk(), None);
        assert!(matches!(
            report.errors(),
            [BootError::ModuleInvalid { size: 2, .. }]
        ));
    }

    #[test]
    fn wrapping_and_superfluous_modules_are_reported() {
        let mut memory = FakeMemory::default();
        memory.put(0x6000, &start_info(1, (0x7000, u32::MAX), 0, (0x9000, 1)));
        memory.put(0x9000, &map_entry(0x10_0000, 0x1000, 1));
        let mut list = module(u64::MAX - 5, 10);
        for index in 0..MAX_MODULES as u64 + 3 {
            list.extend(module(0x40_0000 + (index << 12), 0x1000));
        }
        memory.put(0x7000, &list);
        let (machine, report) = read(&memory);
        assert_eq!(machine.ramdisk(), None, "the invalid module stays first");
        assert!(matches!(
            report.errors(),
            [
                BootError::ExtraModules { count: u32::MAX },
                BootError::ModuleInvalid { size: 10, .. },
                BootError::TooManyModules { .. },
            ]
        ));
    }
}
