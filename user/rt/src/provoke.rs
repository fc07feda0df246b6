//! Faults on purpose: each ends the program, if the kernel is right.

/// What a program must not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Read address 0.
    NullRead,
    /// Write to its own code.
    TextWrite,
    /// Execute its own data.
    DataExecute,
    /// Jump into the kernel.
    KernelJump,
    /// Read the kernel's memory.
    KernelRead,
    /// Stop the CPU.
    Halt,
    /// Turn interrupts off.
    Cli,
    /// Read a port.
    PortRead,
    /// Run over the end of its stack.
    StackOverflow,
    /// Use the registers of SSE.
    Sse,
    /// Use those of the x87.
    X87,
    /// Read an address that is none.
    NonCanonical,
    /// Jump to an address that is none.
    NonCanonicalJump,
    /// Divide by zero.
    Divide,
    /// Execute what is no instruction.
    Undefined,
    /// Execute a breakpoint.
    Breakpoint,
    /// Call an interrupt of the kernel's.
    Interrupt,
    /// Set the GS base.
    GsBase,
}

impl Fault {
    /// All of them, with their names, and the vector that ends the program: that of the kernel whose
    /// gates ring 3 may not call, and that refuses floating point.
    pub const ALL: &[(Self, &'static str, u32)] = &[
        (Self::NullRead, "null-read", 14),
        (Self::TextWrite, "text-write", 14),
        (Self::DataExecute, "data-execute", 14),
        (Self::KernelJump, "kernel-jump", 14),
        (Self::KernelRead, "kernel-read", 14),
        (Self::Halt, "hlt", 13),
        (Self::Cli, "cli", 13),
        (Self::PortRead, "port-read", 13),
        (Self::StackOverflow, "stack-overflow", 14),
        (Self::Sse, "sse", 6),
        (Self::X87, "x87", 7),
        (Self::NonCanonical, "non-canonical", 13),
        (Self::NonCanonicalJump, "non-canonical-jump", 13),
        (Self::Divide, "divide", 0),
        (Self::Undefined, "undefined", 6),
        (Self::Breakpoint, "breakpoint", 13),
        (Self::Interrupt, "interrupt", 13),
        (Self::GsBase, "gs-base", 6),
    ];

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(_, known, _)| *known == name)
            .map(|found| found.0)
    }

    /// Does it. Does not return, if the kernel is right: returns if the CPU let it pass.
    #[cfg(target_os = "none")]
    pub fn provoke(self) {
        use core::arch::asm;
        /// Where a program's code would be, if data were code: `ret`.
        static DATA: core::sync::atomic::AtomicU8 = core::sync::atomic::AtomicU8::new(0xc3);
        /// An address of the kernel's half.
        const KERNEL: u64 = 0xffff_ffff_8020_0000;
        /// An address that is none.
        const NOWHERE: u64 = 0x8000_0000_0000_0000;
        let text = Self::provoke as fn(Self) as *const () as u64;
        let data = (&raw const DATA) as u64;
        // SAFETY: each of these ends the program before it has changed anything. Where the kernel is
        // wrong and it does not, registers that change are named, or the value that is written is
        // the one that is there.
        unsafe {
            match self {
                Self::NullRead => asm!("mov {0:e}, [{0}]", inout(reg) 0_u64 => _),
                Self::KernelRead => asm!("mov {0:e}, [{0}]", inout(reg) KERNEL => _),
                Self::NonCanonical => asm!("mov {0:e}, [{0}]", inout(reg) NOWHERE => _),
                Self::TextWrite => asm!("lock or byte ptr [{}], 0", in(reg) text),
                Self::DataExecute => asm!("call {}", in(reg) data, clobber_abi("C")),
                Self::KernelJump => asm!("call {}", in(reg) KERNEL, clobber_abi("C")),
                Self::NonCanonicalJump => asm!("jmp {}", in(reg) NOWHERE, clobber_abi("C")),
                Self::Halt => asm!("hlt"),
                Self::Cli => asm!("cli"),
                Self::PortRead => asm!("in al, dx", in("dx") 0x3f8_u16, out("al") _),
                Self::StackOverflow => overflow(),
                Self::Sse => asm!(".byte 0x0f, 0x57, 0xc0"),
                Self::X87 => asm!("fnop"),
                Self::Divide => asm!(
                    "xor edx, edx", "mov eax, 1", "xor ecx, ecx", "div ecx",
                    out("eax") _, out("ecx") _, out("edx") _,
                ),
                Self::Undefined => asm!("ud2"),
                Self::Breakpoint => asm!("int3"),
                Self::Interrupt => asm!("int 32"),
                Self::GsBase => asm!("wrgsbase {}", in(reg) 0_u64),
            }
        }
    }

    /// Writes a byte at an address, which must be one that the program may not write.
    #[cfg(target_os = "none")]
    pub fn write_at(address: u64) {
        // SAFETY: it faults there. Where the kernel is wrong and it does not, the value is the one
        // that is there.
        unsafe { core::arch::asm!("lock or byte ptr [{}], 0", in(reg) address) }
    }

    /// A host's program does not.
    #[cfg(not(target_os = "none"))]
    pub fn write_at(_address: u64) {}

    /// A host's program does none of it.
    #[cfg(not(target_os = "none"))]
    pub fn provoke(self) {}
}

/// Where a thread may begin that has no stack: it sleeps for as many nanoseconds as its argument
/// says, and ends. `None` on a host.
#[must_use]
pub fn without_stack() -> Option<u64> {
    #[cfg(target_os = "none")]
    {
        Some(sleep_and_end as extern "C" fn() -> ! as *const () as u64)
    }
    #[cfg(not(target_os = "none"))]
    None
}

#[cfg(target_os = "none")]
#[unsafe(naked)]
extern "C" fn sleep_and_end() -> ! {
    core::arch::naked_asm!(
        "mov eax, {sleep}",
        "syscall",
        "2: mov eax, {exit}",
        "syscall",
        "jmp 2b",
        sleep = const relay_abi::Call::Sleep as u64,
        exit = const relay_abi::Call::ThreadExit as u64,
    )
}

/// Pushes until the stack has ended.
///
/// # Safety
/// The page below the stack must not be there.
#[cfg(target_os = "none")]
unsafe fn overflow() -> ! {
    // SAFETY: the caller's promise: it faults there.
    unsafe { core::arch::asm!("2: push rax", "jmp 2b", options(noreturn)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_name_of_its_own() {
        for (fault, name, _) in Fault::ALL {
            assert_eq!(Fault::from_name(name), Some(*fault));
        }
        assert_eq!(Fault::from_name("nothing"), None);
    }
}
