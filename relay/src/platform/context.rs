//! Where code runs.

/// The context in which code runs on a CPU. Its number is what records carry: 0, 1, 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A task, or bring-up: what everything else may interrupt.
    Task,
    /// An interrupt handler.
    Irq,
    /// A non-maskable interrupt's handler, or that of any exception that comes where interrupts are
    /// off.
    Nmi,
}

impl Context {
    /// All contexts, in the order of their numbers on the wire.
    pub const ALL: [Self; 3] = [Self::Task, Self::Irq, Self::Nmi];

    /// The context as one lower-case word: `task`, `irq`, `nmi`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Irq => "irq",
            Self::Nmi => "nmi",
        }
    }
}
