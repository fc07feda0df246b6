//! Lockless per-CPU channels that carry records out of a kernel.
#![no_std]
