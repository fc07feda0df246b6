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
    /// Read the GS base.
    GsBaseRead,
    /// Swap the GS base.
    SwapGs,
    /// Write to the kernel's memory.
    KernelWrite,
    /// Write to a port.
    PortWrite,
    /// Call the interrupt that is a system call elsewhere.
    Interrupt80,
    /// Push where no address is.
    StackNowhere,
    /// Return to where no address is.
    ReturnNowhere,
    /// Return to a segment of the kernel's.
    ReturnToRing0,
    /// Return as from an interrupt of the kernel's.
    InterruptReturn,
    /// Return as from a system call.
    SysReturn,
    /// Have each instruction trapped.
    TrapFlag,
    /// Read a control register.
    ControlRegister,
    /// Read a debug register.
    DebugRegister,
    /// Read a register of the model.
    ModelRegister,
    /// Read a counter of the CPU's.
    Counter,
    /// Ask where the descriptor table is.
    DescriptorTable,
    /// Have the CPU forget a page.
    Invalidate,
    /// Set all flags that it may, make system calls and be interrupted; then stop the CPU.
    Flags,
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
        (Self::GsBaseRead, "gs-base-read", 6),
        (Self::SwapGs, "swapgs", 13),
        (Self::KernelWrite, "kernel-write", 14),
        (Self::PortWrite, "port-write", 13),
        (Self::Interrupt80, "interrupt-80", 13),
        (Self::StackNowhere, "stack-nowhere", 12),
        (Self::ReturnNowhere, "return-nowhere", 13),
        (Self::ReturnToRing0, "return-to-ring-0", 13),
        (Self::InterruptReturn, "interrupt-return", 13),
        (Self::SysReturn, "sysret", 13),
        (Self::TrapFlag, "trap-flag", 1),
        (Self::ControlRegister, "control-register", 13),
        (Self::DebugRegister, "debug-register", 13),
        (Self::ModelRegister, "model-register", 13),
        (Self::Counter, "counter", 13),
        (Self::DescriptorTable, "descriptor-table", 13),
        (Self::Invalidate, "invalidate", 13),
        (Self::Flags, "flags", 13),
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
                Self::GsBaseRead => asm!("rdgsbase {}", out(reg) _),
                Self::SwapGs => asm!("swapgs"),
                Self::KernelWrite => asm!("lock or byte ptr [{}], 0", in(reg) KERNEL),
                // Nothing is behind this one: it is written to to pass the time.
                Self::PortWrite => asm!("out 0x80, al", in("al") 0_u8),
                Self::Interrupt80 => asm!("int 0x80", inout("rax") 0_u64 => _),
                Self::StackNowhere => asm!(
                    "mov {0}, rsp", "mov rsp, {1}", "push {1}", "mov rsp, {0}",
                    out(reg) _, in(reg) NOWHERE,
                ),
                Self::ReturnNowhere => asm!("push {0}", "ret", in(reg) NOWHERE),
                Self::ReturnToRing0 => asm!(
                    "lea {0}, [rip + 2f]", "push 8", "push {0}", "retfq", "2:", out(reg) _,
                ),
                Self::InterruptReturn => asm!(
                    "lea {0}, [rip + 2f]", "mov {1}, rsp", "push 16", "push {1}", "pushfq",
                    "push 8", "push {0}", "iretq", "2:",
                    out(reg) _, out(reg) _,
                ),
                Self::SysReturn => asm!(
                    "lea rcx, [rip + 2f]", "mov r11, 0x202", "sysretq", "2:",
                    out("rcx") _, out("r11") _,
                ),
                Self::TrapFlag => asm!("pushfq", "or qword ptr [rsp], 0x100", "popfq", "nop"),
                Self::ControlRegister => asm!("mov {}, cr3", out(reg) _),
                Self::DebugRegister => asm!("mov {}, dr7", out(reg) _),
                Self::ModelRegister => asm!(
                    "rdmsr", in("ecx") 0xc000_0080_u32, out("eax") _, out("edx") _,
                ),
                Self::Counter => asm!("rdpmc", in("ecx") 0, out("eax") _, out("edx") _),
                Self::DescriptorTable => {
                    let mut table = [0_u64; 2];
                    asm!("sgdt [{}]", in(reg) table.as_mut_ptr());
                }
                Self::Invalidate => asm!("invlpg [{}]", in(reg) text),
                Self::Flags => all_flags(),
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

/// Sets the flags of direction, alignment check, nested task and identification, makes a system call
/// that is done in the way in, one that is not, and one that is none, again and again; is interrupted;
/// then stops the CPU.
#[cfg(target_os = "none")]
fn all_flags() {
    // SAFETY: the calls change nothing but registers, all of which are named; the flags are those of
    // before when it returns. Nothing in between is of Rust.
    unsafe {
        core::arch::asm!(
            "pushfq",
            "pushfq",
            "or qword ptr [rsp], 0x244400",
            "popfq",
            "mov {rounds:e}, 1000",
            "2: mov eax, {null}",
            "syscall",
            "mov eax, {time}",
            "syscall",
            "mov eax, 0x7fffffff",
            "syscall",
            "dec {rounds:e}",
            "jnz 2b",
            "mov {rounds:e}, 20000000",
            "3: dec {rounds:e}",
            "jnz 3b",
            "hlt",
            "popfq",
            rounds = out(reg) _,
            null = const relay_abi::Call::Null as u32,
            time = const relay_abi::Call::Time as u32,
            out("rax") _, out("rcx") _, out("rdx") _, out("rsi") _, out("rdi") _,
            out("r8") _, out("r10") _, out("r11") _,
        );
    }
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
