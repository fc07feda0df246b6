//! What relay asks of the machine it runs on.

mod contract;

// Where it is known how interrupts are turned off.
#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64"
))]
mod irq_off;
mod pin;

#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64"
))]
pub use irq_off::{Interrupts, IrqOff, Processor};

pub use contract::{Platform, Who};
pub use relay_format::Context;

pub(crate) use pin::{Pin, now};
