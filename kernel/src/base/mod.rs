//! What needs neither machine nor memory: plain values.

pub(crate) mod carried;
pub(crate) mod choice;
pub(crate) mod cmdline;
pub(crate) mod cpuset;
pub(crate) mod describe;
pub(crate) mod settings;
pub(crate) mod shortfall;
