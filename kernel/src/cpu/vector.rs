//! Vectors of the interrupts that this kernel uses. The higher, the more urgent (Intel SDM Vol. 3A,
//! 11.8.3.1).

/// Debug exception.
pub(crate) const DEBUG: u8 = 1;
/// Non-maskable interrupt.
pub(crate) const NMI: u8 = 2;
/// Breakpoint.
pub(crate) const BREAKPOINT: u8 = 3;
/// Double fault.
pub(crate) const DOUBLE_FAULT: u8 = 8;
/// Page fault.
pub(crate) const PAGE_FAULT: u8 = 14;
/// Machine check.
pub(crate) const MACHINE_CHECK: u8 = 18;
/// The last vector of exceptions.
pub(crate) const LAST_EXCEPTION: u8 = 31;
/// The local APIC's timer.
pub(crate) const TIMER: u8 = 0x40;
/// An interrupt from another CPU: look whether there is something to do.
pub(crate) const WAKE: u8 = 0x50;
/// An interrupt from another CPU: forget what the TLB knows of a program.
pub(crate) const SHOOTDOWN: u8 = 0x51;
/// The first vector of those that devices are given, see `arch::handlers`.
pub(crate) const DEVICE_FIRST: u8 = 0x60;
/// The last vector of those that devices are given.
pub(crate) const DEVICE_LAST: u8 = 0x8f;
/// The local APIC's own errors.
pub(crate) const APIC_ERROR: u8 = 0xfe;
/// An interrupt that went away before it was taken. The low four bits must be
/// set on old local APICs (Intel SDM Vol. 3A, 11.9).
pub(crate) const SPURIOUS: u8 = 0xff;
