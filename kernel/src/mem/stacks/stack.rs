//! One stack: whose it is, and where.

use core::fmt;

/// What a stack is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StackKind {
    /// Tasks, interrupts and most exceptions.
    Task,
    /// Non-maskable interrupts.
    Nmi,
    /// Double faults.
    DoubleFault,
    /// Machine checks.
    MachineCheck,
    /// A thread in the kernel: not one of a CPU's.
    Thread,
}

impl StackKind {
    /// All kinds that a CPU has. An entry's place is its value as a number.
    pub(super) const ALL: [Self; 4] =
        [Self::Task, Self::Nmi, Self::DoubleFault, Self::MachineCheck];
}

impl fmt::Display for StackKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Task => "task",
            Self::Nmi => "NMI",
            Self::DoubleFault => "double fault",
            Self::MachineCheck => "machine check",
            Self::Thread => "thread",
        })
    }
}

/// One stack: mapped bytes, with or without an unmapped guard below them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stack {
    /// The CPU that uses it; of a thread's, which number it is among these.
    pub(crate) cpu: usize,
    /// What it is for.
    pub(crate) kind: StackKind,
    /// Its lowest mapped address.
    pub(crate) bottom: u64,
    /// One past its highest mapped address.
    pub(crate) top: u64,
    /// Bytes below `bottom` that are not mapped on purpose.
    pub(crate) guard: u64,
}

impl Stack {
    /// Whether the `length` bytes from `address` on are mapped bytes of the stack.
    pub(crate) fn holds(&self, address: u64, length: u64) -> bool {
        address >= self.bottom
            && address
                .checked_add(length)
                .is_some_and(|end| end <= self.top)
    }

    /// Whether `address` is in the guard below the stack.
    pub(crate) fn guards(&self, address: u64) -> bool {
        address < self.bottom && self.bottom - address <= self.guard
    }
}

impl fmt::Display for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            StackKind::Thread => write!(f, "stack {} of threads", self.cpu),
            kind => write!(f, "{kind} stack of cpu {}", self.cpu),
        }
    }
}
