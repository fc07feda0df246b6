//! Threads, and which of them runs where.

pub(crate) mod events;
