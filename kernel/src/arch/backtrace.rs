//! Backtraces by frame pointers (`-Cforce-frame-pointers=yes`): what [`relay`]'s walk has to know
//! of this machine.
//!
//! Words are read in one known stack only, which is mapped for ever: a corrupt frame pointer ends
//! the trace, it does not fault. Where a trap's handler was called, the trace goes on with what the
//! trap has interrupted, also if that is on another stack.
//!
//! Where a program was interrupted, or has called the kernel, it goes on with the program's own stack,
//! whose words are [peeked](Peek) at: no address of a program is ever dereferenced. Addresses of
//! programs are those of the lower half.
//!
//! The functions of `core` that call nothing, and the likes of `memcpy`, have no frame: the trace of
//! one begins with its caller's caller.

use core::arch::asm;

use relay::clients::profile::Stack;
use relay::clients::profile::walk::{Memory, Registers};

use super::frame::TrapFrame;
use super::{traps, user};
use crate::mem::{LOWER_HALF, Peek, stacks};

/// The return addresses of the function that this is inlined into, and of its callers. Any context.
#[inline(always)]
pub(crate) fn here() -> Stack {
    let pointer: u64;
    // SAFETY: copies a register.
    unsafe {
        asm!("mov {}, rbp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    Stack::from_frame(&mut OneStack::with(pointer), pointer)
}

/// The callers of interrupted code. Any context; takes no lock and does not fault.
pub(crate) fn of(at: Registers) -> Stack {
    // Without a good stack pointer there may still be a good frame.
    let mut stack = OneStack::with(at.sp);
    if stack.known.is_none() {
        stack = OneStack::with(at.fp);
    }
    Stack::of(&mut stack, at)
}

/// The callers of a program's code that was interrupted, as its own stack has them. Any context, on
/// the CPU that runs it; takes no lock and does not fault.
pub(crate) fn of_program(at: Registers) -> Stack {
    Stack::of(&mut OneStack::of_program(), at)
}

/// The words of one of the kernel's stacks; another one's after a trap that changed stacks, and the
/// program's after one that came from there.
struct OneStack {
    known: Option<stacks::Stack>,
    program: Option<Peek>,
}

impl OneStack {
    /// The stack that has a word at `address`.
    fn with(address: u64) -> Self {
        Self {
            known: stacks::holding(address & !7, 8),
            program: None,
        }
    }

    /// The stack of the program that this CPU runs.
    fn of_program() -> Self {
        Self {
            known: None,
            program: Some(Peek::default()),
        }
    }

    /// Three bytes of code; `None` where there is none.
    fn code(&mut self, address: u64) -> Option<[u8; 3]> {
        let Some(peek) = &mut self.program else {
            return code(address);
        };
        let shift = (address % 8) * 8;
        let first = address - address % 8;
        let word = peek.word(first)?;
        let next = match shift {
            0..=40 => 0,
            // Up to two bytes are in the next word.
            _ => peek.word(first.checked_add(8)?)?,
        };
        let both = (u128::from(next) << 64 | u128::from(word)) >> shift;
        let [a, b, c, ..] = both.to_le_bytes();
        Some([a, b, c])
    }
}

impl Memory for OneStack {
    fn word(&mut self, address: u64) -> Option<u64> {
        if let Some(peek) = &mut self.program {
            // A program may put anything there: an address of the kernel would look like a function
            // of the kernel that has called it.
            return peek.word(address).filter(|word| *word < LOWER_HALF);
        }
        if !address.is_multiple_of(8) || !self.known?.holds(address, 8) {
            return None;
        }
        // SAFETY: the 8 bytes lie in a registered stack, which is mapped for ever; they are aligned;
        // volatile, because other code owns them and may be changing them.
        Some(unsafe { (address as *const u64).read_volatile() })
    }

    /// A function begins with `push rbp` and `mov rbp, rsp`, and ends with `pop rbp` and `ret`.
    fn frameless(&mut self, at: &Registers) -> Option<u64> {
        let return_address = match self.code(at.ip) {
            Some([PUSH_RBP, ..] | [RET, ..]) => self.word(at.sp)?,
            Some(MOV_RBP_RSP) => self.word(at.sp.checked_add(8)?)?,
            // It has called what is no code of a program.
            None if self.program.is_some() => self.word(at.sp)?,
            _ => return None,
        };
        // Elsewhere the same bytes mean something else.
        self.code(return_address).map(|_| return_address)
    }

    fn interrupted(&mut self, frame: u64, address: u64) -> Option<Registers> {
        let is_way_in = [traps::return_address(), user::return_address()].contains(&address);
        if self.program.is_some() || address == 0 || !is_way_in {
            return None;
        }
        // Behind the two words of the frame.
        let trap = frame.checked_add(16)?;
        let mut word = |offset: usize| self.word(trap.checked_add(offset as u64)?);
        let registers = Registers {
            ip: word(core::mem::offset_of!(TrapFrame, rip))?,
            sp: word(core::mem::offset_of!(TrapFrame, rsp))?,
            fp: word(core::mem::offset_of!(TrapFrame, rbp))?,
        };
        let is_user = word(core::mem::offset_of!(TrapFrame, cs))? & 3 == 3;
        *self = match is_user {
            true => Self::of_program(),
            false => Self::with(registers.sp),
        };
        Some(registers)
    }
}

/// `push rbp`.
const PUSH_RBP: u8 = 0x55;
/// `ret`.
const RET: u8 = 0xc3;
/// `mov rbp, rsp`.
const MOV_RBP_RSP: [u8; 3] = [0x48, 0x89, 0xe5];

/// Three bytes of the kernel's code; `None` where there is none.
fn code(address: u64) -> Option<[u8; 3]> {
    let (start, end) = text();
    if address < start || address > end.saturating_sub(3) {
        return None;
    }
    // SAFETY: the bytes lie between the ends of the kernel's code, which is mapped readable for
    // ever, and which nothing writes.
    Some(unsafe { (address as *const [u8; 3]).read() })
}

#[cfg(target_os = "none")]
unsafe extern "C" {
    static __text_start: u8;
    static __text_end: u8;
}

/// Where the kernel's code begins and ends, as the linker script says.
#[cfg(target_os = "none")]
fn text() -> (u64, u64) {
    (&raw const __text_start as u64, &raw const __text_end as u64)
}

/// A program on the host has no such script: it has no code to be looked at.
#[cfg(not(target_os = "none"))]
fn text() -> (u64, u64) {
    (0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_outside_the_stacks_are_never_read() {
        for address in [0, 3, 8, u64::MAX, u64::MAX - 7, 1 << 63] {
            let at = Registers {
                ip: address,
                sp: address,
                fp: address,
            };
            assert!(of(at).frames().is_empty(), "{address:#x}");
            assert_eq!(OneStack::with(address).word(address), None);
        }
    }

    #[test]
    fn a_walk_stays_in_the_stack_that_it_began_in() {
        #[repr(align(16))]
        struct Memory([u64; 8]);
        let mut memory = Memory([0; 8]);
        let bottom = memory.0.as_ptr() as u64;
        // Two stacks, one above the other; a frame of the lower one leads into the upper one.
        let whole = |bottom: u64| stacks::Stack {
            cpu: 0,
            kind: stacks::StackKind::Task,
            bottom,
            top: bottom + 32,
            guard: 0,
        };
        memory.0 = [bottom + 16, 100, bottom + 32, 200, 0, 300, 0, 0];
        let registers = |fp| Registers { ip: 1, sp: fp, fp };
        let trace = |fp: u64| {
            let mut stack = OneStack {
                known: Some(whole(bottom)),
                program: None,
            };
            let stack = Stack::of(&mut stack, registers(fp));
            let frames = stack.frames().iter();
            frames.map(|frame| frame.0).collect::<Vec<_>>()
        };
        assert_eq!(trace(bottom), [100, 200]);
        assert_eq!(trace(bottom + 1), []);
        assert_eq!(trace(bottom + 24), [0; 0]);
        assert_eq!(trace(bottom + 32), [0; 0]);
        core::hint::black_box(&memory);
    }

    #[test]
    fn a_trap_is_followed_to_what_it_has_interrupted() {
        let mut memory = [0_u64; 64];
        let bottom = memory.as_ptr() as u64;
        let frame = bottom + 64;
        let mut put = |address: u64, word| memory[((address - bottom) / 8) as usize] = word;
        // The frame of the dispatcher, the trap's registers, the frame of what it has interrupted.
        put(frame, 0);
        put(frame + 8, traps::return_address());
        let trap = frame + 16;
        put(trap + core::mem::offset_of!(TrapFrame, rip) as u64, 0x7777);
        put(
            trap + core::mem::offset_of!(TrapFrame, rsp) as u64,
            trap + 200,
        );
        put(
            trap + core::mem::offset_of!(TrapFrame, rbp) as u64,
            trap + 208,
        );
        let mut stack = OneStack {
            known: Some(stacks::Stack {
                cpu: 0,
                kind: stacks::StackKind::Task,
                bottom,
                top: bottom + 64 * 8,
                guard: 0,
            }),
            program: None,
        };
        let found = stack.interrupted(frame, traps::return_address());
        let (sp, fp) = (trap + 200, trap + 208);
        assert_eq!(found, Some(Registers { ip: 0x7777, sp, fp }));
        assert_eq!(stack.interrupted(frame, 1), None);
        core::hint::black_box(&memory);
    }
}
