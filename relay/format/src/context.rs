//! Where code runs.

/// The level at which code runs on a CPU. Its number is what records carry: 0, 1, 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
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

    /// The context with this number; `None` if there is none.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Task),
            1 => Some(Self::Irq),
            2 => Some(Self::Nmi),
            _ => None,
        }
    }

    /// The context with this [name](Self::name).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|context| context.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_lead_back() {
        for context in Context::ALL {
            assert_eq!(Context::from_number(context as u8), Some(context));
            assert_eq!(Context::from_name(context.name()), Some(context));
        }
        assert_eq!(Context::from_number(3), None);
        assert_eq!(Context::from_name("Task"), None);
    }
}
