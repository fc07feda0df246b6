//! Walking a stack by frame pointers.
//!
//! A frame is two words: the caller's frame pointer, and the return address. Stacks grow down, so
//! the frame of a caller lies above. A walk trusts nothing that it reads. It asks the
//! [`Memory`] for each word, so that it never faults; and it ends at a frame pointer that is no
//! multiple of 8, at one that does not lie above the last, at a return address of 0, where memory
//! says no, and after [`MAX_FRAMES`] addresses in any case.
//!
//! A function has its frame only from its third instruction on, and until its last: between, its
//! caller would be missing. And an interrupt handler's caller is code that did not call it. Both can
//! be told by the machine, of which nothing is known here: [`Memory::frameless`] and
//! [`Memory::interrupted`].

/// The most return addresses that a walk gives, and a sample has.
pub const MAX_FRAMES: usize = 32;

/// The registers of code that was interrupted, as far as a walk needs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    /// The address of the next instruction.
    pub ip: u64,
    /// The stack pointer.
    pub sp: u64,
    /// The frame pointer.
    pub fp: u64,
}

/// The memory of the machine, as far as a walk may know it. All of it is called in the context of
/// the walk, which may be an NMI: it takes no lock, and does not fault.
pub trait Memory {
    /// The word at an address that is a multiple of 8. `None` if it may not be read.
    fn word(&mut self, address: u64) -> Option<u64>;

    /// The return address of the function that was interrupted, if it has no frame there: not yet,
    /// or no more.
    fn frameless(&mut self, _at: &Registers) -> Option<u64> {
        None
    }

    /// What an interrupt has interrupted, if `address` is where its handler returns to. `frame` is
    /// the frame of that handler, in which the address was found.
    fn interrupted(&mut self, _frame: u64, _address: u64) -> Option<Registers> {
        None
    }
}

/// The return addresses of the frames from `pointer` on, the innermost first. Any context.
pub fn frames<M: Memory>(memory: &mut M, pointer: u64) -> Walk<'_, M> {
    Walk {
        memory,
        left: MAX_FRAMES,
        pending: None,
        next: Some(pointer),
    }
}

/// The return addresses of code that was interrupted with these registers, and of its callers, the
/// innermost first. Any context.
pub fn interrupted<M: Memory>(memory: &mut M, at: Registers) -> Walk<'_, M> {
    let pending = memory.frameless(&at);
    Walk {
        memory,
        left: MAX_FRAMES,
        pending,
        next: Some(at.fp),
    }
}

/// A walk under way.
#[derive(Debug)]
pub struct Walk<'a, M> {
    memory: &'a mut M,
    /// How many addresses it may still give.
    left: usize,
    /// An address to be given before the next frame is read.
    pending: Option<u64>,
    /// The next frame.
    next: Option<u64>,
}

impl<M: Memory> Walk<'_, M> {
    /// Reads the next frame.
    fn frame(&mut self) -> Option<u64> {
        let at = self.next.take()?;
        if !at.is_multiple_of(8) {
            return None;
        }
        let caller = self.memory.word(at)?;
        let address = self.memory.word(at.checked_add(8)?)?;
        if address == 0 {
            return None;
        }
        if let Some(registers) = self.memory.interrupted(at, address) {
            self.pending = self.memory.frameless(&registers);
            // It may be on another stack; `left` ends what goes round in circles.
            self.next = Some(registers.fp);
            // As a return address is: one less is within the instruction.
            return registers.ip.checked_add(1);
        }
        self.next = (caller > at).then_some(caller);
        Some(address)
    }
}

impl<M: Memory> Iterator for Walk<'_, M> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.left = self.left.checked_sub(1)?;
        let address = self.pending.take().or_else(|| self.frame());
        if address.is_none() {
            self.left = 0;
        }
        address
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
