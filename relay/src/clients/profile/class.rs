//! What the records of a profile are.

use super::walk::{self, MAX_FRAMES, Memory, Registers};
use crate::event::{Chars, Hex};
use relay_format::Context;

crate::event! {
    /// What a CPU was doing when it was looked at.
    #[event(channel = "profile", name = "profile_sample", id = 1)]
    #[derive(Clone, Copy, Debug)]
    pub struct Sample<'a> {
        /// The address of the instruction that was next.
        #[hex]
        pub ip: u64,
        /// The context that was interrupted.
        pub from: Context,
        /// The task that ran, or in whose time interrupts ran; 0 where the CPU had none.
        pub tid: i32,
        /// The process of the task; 0 for the kernel's own.
        pub pid: i32,
        /// The task's name; that of its program.
        pub comm: Chars<16>,
        /// Return addresses, that of the innermost function first: those of the kernel, if it is the
        /// kernel that was interrupted, then those of the program that had called it.
        pub stack: &'a [Hex<u64>],
    }

    /// How CPUs are looked at, from here on.
    #[event(
        channel = "profile",
        name = "profile_source",
        id = 2,
        text = "samples come from {source}, {hertz} times a second on each cpu"
    )]
    #[derive(Clone, Copy, Debug)]
    pub struct Source<'a> {
        /// What interrupts the CPUs.
        pub source: &'a str,
        /// How often a second it shall interrupt each.
        pub hertz: u32,
    }
}

/// Return addresses, that of the innermost function first: at most [`MAX_FRAMES`].
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    frames: [Hex<u64>; MAX_FRAMES],
    count: usize,
}

impl Stack {
    /// The callers of code that was interrupted with these registers. Any context.
    #[must_use]
    pub fn of(memory: &mut impl Memory, at: Registers) -> Self {
        Self::collect(walk::interrupted(memory, at))
    }

    /// The function whose frame is at `pointer`, as its callers see it: their return addresses. Any
    /// context.
    #[must_use]
    pub fn from_frame(memory: &mut impl Memory, pointer: u64) -> Self {
        Self::collect(walk::frames(memory, pointer))
    }

    fn collect(walk: impl Iterator<Item = u64>) -> Self {
        let mut stack = Self {
            frames: [Hex(0); MAX_FRAMES],
            count: 0,
        };
        for (frame, address) in stack.frames.iter_mut().zip(walk) {
            *frame = Hex(address);
            stack.count += 1;
        }
        stack
    }

    /// The addresses. Any context.
    #[must_use]
    pub fn frames(&self) -> &[Hex<u64>] {
        &self.frames[..self.count]
    }
}
