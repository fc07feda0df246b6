//! What traps and descriptor tables must agree on: the segments, and which stack is whose.
//!
//! `sysret` wants the segments of ring 3 in this order, data before code, behind each other (Intel SDM
//! Vol. 2B, "SYSRET"); `syscall` those of ring 0 code before data.

use x86_64::PrivilegeLevel;
use x86_64::structures::gdt::SegmentSelector;

/// The code segment: the first entry of every GDT here, as in the boot code's.
pub(crate) const KERNEL_CODE: SegmentSelector = SegmentSelector::new(1, PrivilegeLevel::Ring0);

/// The data segment of ring 0: the second entry.
pub(crate) const KERNEL_DATA: SegmentSelector = SegmentSelector::new(2, PrivilegeLevel::Ring0);

/// The data segment of ring 3: the third.
pub(crate) const USER_DATA: SegmentSelector = SegmentSelector::new(3, PrivilegeLevel::Ring3);

/// The code segment of ring 3: the fourth.
pub(crate) const USER_CODE: SegmentSelector = SegmentSelector::new(4, PrivilegeLevel::Ring3);

/// Places in the TSS's interrupt stack table of the stacks that a fault in the
/// kernel's own stack must not take away. Numbered from 0, as the `x86_64` crate does.
#[derive(Debug, Clone, Copy)]
#[repr(u16)]
pub(crate) enum Ist {
    /// The stack for NMIs.
    Nmi = 0,
    /// The stack for double faults.
    DoubleFault = 1,
    /// The stack for machine checks, and for debug exceptions: one of these may come before a system
    /// call has left the stack of ring 3. A machine check that comes then ends the kernel anyway.
    MachineCheck = 2,
}
