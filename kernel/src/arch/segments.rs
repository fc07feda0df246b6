//! What traps and descriptor tables must agree on: the code segment, and which stack is whose.

use x86_64::PrivilegeLevel;
use x86_64::structures::gdt::SegmentSelector;

/// The code segment: the first entry of every GDT here, as in the boot code's.
pub(crate) const KERNEL_CODE: SegmentSelector = SegmentSelector::new(1, PrivilegeLevel::Ring0);

/// Places in the TSS's interrupt stack table of the stacks that a fault in the
/// kernel's own stack must not take away. Numbered from 0, as the `x86_64` crate does.
#[derive(Debug, Clone, Copy)]
#[repr(u16)]
pub(crate) enum Ist {
    /// The stack for NMIs.
    Nmi = 0,
    /// The stack for double faults.
    DoubleFault = 1,
    /// The stack for machine checks.
    MachineCheck = 2,
}
