//! Programs: what they ask of the kernel.

pub(crate) mod events;
pub(crate) mod fault;
