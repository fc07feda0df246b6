//! What a trap leaves on the stack, and what exceptions are called.

use core::fmt;

use relay::Context;
use relay::clients::profile::walk::Registers;

/// The interrupted code's registers, as the stubs and the CPU push them.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct TrapFrame {
    pub(crate) r15: u64,
    pub(crate) r14: u64,
    pub(crate) r13: u64,
    pub(crate) r12: u64,
    pub(crate) r11: u64,
    pub(crate) r10: u64,
    pub(crate) r9: u64,
    pub(crate) r8: u64,
    pub(crate) rbp: u64,
    pub(crate) rdi: u64,
    pub(crate) rsi: u64,
    pub(crate) rdx: u64,
    pub(crate) rcx: u64,
    pub(crate) rbx: u64,
    pub(crate) rax: u64,
    /// Pushed by the stub.
    pub(crate) vector: u64,
    /// Pushed by the CPU, or 0 by the stub.
    pub(crate) error: u64,
    pub(crate) rip: u64,
    pub(crate) cs: u64,
    pub(crate) rflags: u64,
    pub(crate) rsp: u64,
    pub(crate) ss: u64,
}

impl TrapFrame {
    /// Whether it was ring 3 that was interrupted.
    pub(crate) fn is_user(&self) -> bool {
        self.cs & 3 == 3
    }

    /// The registers that a backtrace needs.
    pub(crate) fn registers(&self) -> Registers {
        Registers {
            ip: self.rip,
            sp: self.rsp,
            fp: self.rbp,
        }
    }
}

/// What an interrupt or NMI has interrupted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interrupted {
    /// Its context.
    pub(crate) context: Context,
    /// Where it was.
    pub(crate) at: Registers,
    /// Whether it was a program, in ring 3.
    pub(crate) is_user: bool,
}

/// An exception's name, for messages.
pub(crate) fn name(vector: u64) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug exception",
        2 => "non-maskable interrupt",
        3 => "breakpoint",
        4 => "overflow",
        5 => "bound range exceeded",
        6 => "invalid opcode",
        7 => "device not available",
        8 => "double fault",
        10 => "invalid TSS",
        11 => "segment not present",
        12 => "stack segment fault",
        13 => "general protection fault",
        14 => "page fault",
        16 => "x87 floating point error",
        17 => "alignment check",
        18 => "machine check",
        19 => "SIMD floating point exception",
        20 => "virtualization exception",
        21 => "control protection exception",
        28 => "hypervisor injection exception",
        29 => "VMM communication exception",
        30 => "security exception",
        _ => "reserved exception",
    }
}

/// What a page fault's error code says (Intel SDM Vol. 3A, figure 4-12).
#[derive(Debug, Clone, Copy)]
pub(crate) struct PageFaultCause(pub(crate) u64);

impl fmt::Display for PageFaultCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = match self.0 {
            code if code & 0x10 != 0 => "instruction fetch from",
            code if code & 2 != 0 => "write to",
            _ => "read of",
        };
        let page = match self.0 {
            code if code & 8 != 0 => "a page whose entry has reserved bits set",
            code if code & 1 != 0 => "a page that does not allow it",
            _ => "an unmapped page",
        };
        write!(f, "{access} {page}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_fault_codes_are_explained() {
        for (code, text) in [
            (0, "read of an unmapped page"),
            (2, "write to an unmapped page"),
            (3, "write to a page that does not allow it"),
            (0x11, "instruction fetch from a page that does not allow it"),
            (9, "read of a page whose entry has reserved bits set"),
        ] {
            assert_eq!(PageFaultCause(code).to_string(), text);
        }
    }
}
