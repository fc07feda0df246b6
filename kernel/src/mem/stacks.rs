//! The kernel's stacks: making them, each above an unmapped guard page, and the list of all of
//! them.
//!
//! The CPUs' stacks are in a list, those of [`threads`] are found by their addresses: for
//! backtraces, and to tell a stack overflow from any other fault. It can be asked
//! in any context, also in a double fault.

mod stack;
mod threads;

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use super::error::MemoryError;
use super::frames::SMALL;
use super::map::{STACKS, with_space};
use crate::base::cpuset::MAX_CPUS;

pub(crate) use stack::{Stack, StackKind};
pub(super) use threads::waiting_frames;
pub(crate) use threads::{ThreadStack, thread_stack};

/// The tops of a CPU's interrupt stacks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InterruptStacks {
    /// For NMIs.
    pub(crate) nmi: u64,
    /// For double faults.
    pub(crate) double_fault: u64,
    /// For machine checks.
    pub(crate) machine_check: u64,
}

/// Bytes of a task stack, which interrupts and most exceptions use too.
const TASK_STACK: u64 = 64 * 1024;
/// Bytes of an interrupt stack. A report of a fault, with all that was logged
/// before it, is printed on one.
const INTERRUPT_STACK: u64 = 32 * 1024;

/// The tops of a CPU's stacks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuStacks {
    /// The task stack.
    pub(crate) task: u64,
    /// The interrupt stacks.
    pub(crate) interrupt: InterruptStacks,
}

/// Makes all stacks of a CPU. Task context on the boot CPU.
///
/// # Errors
/// When memory is missing.
pub(crate) fn all_for(cpu: usize) -> Result<CpuStacks, MemoryError> {
    Ok(CpuStacks {
        task: stack(cpu, StackKind::Task, TASK_STACK)?,
        interrupt: interrupt_for(cpu)?,
    })
}

/// Makes the interrupt stacks of a CPU that has a task stack. Task context on the boot CPU.
///
/// # Errors
/// When memory is missing.
pub(crate) fn interrupt_for(cpu: usize) -> Result<InterruptStacks, MemoryError> {
    Ok(InterruptStacks {
        nmi: stack(cpu, StackKind::Nmi, INTERRUPT_STACK)?,
        double_fault: stack(cpu, StackKind::DoubleFault, INTERRUPT_STACK)?,
        machine_check: stack(cpu, StackKind::MachineCheck, INTERRUPT_STACK)?,
    })
}

/// Maps one stack above an unmapped guard page, and returns its top.
fn stack(cpu: usize, kind: StackKind, length: u64) -> Result<u64, MemoryError> {
    let bottom = with_space(|space| space.map_stack(STACKS, length))?;
    let top = bottom + length;
    register(Stack {
        cpu,
        kind,
        bottom,
        top,
        guard: SMALL,
    });
    Ok(top)
}

/// Room for every CPU's four stacks, and the boot CPU's four early ones.
const CAPACITY: usize = (MAX_CPUS + 1) * StackKind::ALL.len();

/// A list of stacks: grown by one CPU, read by all in any context.
#[derive(Debug)]
struct List {
    /// How many entries are valid.
    count: AtomicUsize,
    entries: [Entry; CAPACITY],
}

#[derive(Debug)]
struct Entry {
    bottom: AtomicU64,
    top: AtomicU64,
    /// Guard bytes; CPU and kind in the two lowest bytes (a guard is whole pages).
    rest: AtomicU64,
}

impl List {
    const fn new() -> Self {
        Self {
            count: AtomicUsize::new(0),
            entries: [const {
                Entry {
                    bottom: AtomicU64::new(0),
                    top: AtomicU64::new(0),
                    rest: AtomicU64::new(0),
                }
            }; CAPACITY],
        }
    }

    /// Adds a stack; when the list is full the stack stays unknown, and
    /// backtraces end at it.
    fn add(&self, stack: Stack) {
        debug_assert!(stack.guard.is_multiple_of(4096) && stack.cpu < 1 << 8);
        debug_assert!(StackKind::ALL.contains(&stack.kind));
        let count = self.count.load(Ordering::Relaxed);
        let Some(entry) = self.entries.get(count) else {
            return;
        };
        let rest = stack.guard | (stack.cpu as u64) << 4 | stack.kind as u64;
        entry.bottom.store(stack.bottom, Ordering::Relaxed);
        entry.top.store(stack.top, Ordering::Relaxed);
        entry.rest.store(rest, Ordering::Relaxed);
        // ORDERING: pairs with the load in `iter`: who sees the count sees the entry.
        self.count.store(count + 1, Ordering::Release);
    }

    fn iter(&self) -> impl Iterator<Item = Stack> {
        let count = self.count.load(Ordering::Acquire).min(CAPACITY);
        self.entries[..count].iter().map(|entry| {
            let rest = entry.rest.load(Ordering::Relaxed);
            Stack {
                cpu: (rest >> 4 & 0xff) as usize,
                kind: StackKind::ALL[(rest & 3) as usize],
                bottom: entry.bottom.load(Ordering::Relaxed),
                top: entry.top.load(Ordering::Relaxed),
                guard: rest & !0xfff,
            }
        })
    }
}

static KNOWN: List = List::new();

/// Makes a stack known. Only the boot CPU does this, one at a time, during bring-up.
pub(crate) fn register(stack: Stack) {
    KNOWN.add(stack);
}

/// The stack that has all of `length` bytes from `address` on mapped. Any context.
pub(crate) fn holding(address: u64, length: u64) -> Option<Stack> {
    let is_it = |stack: &Stack| stack.holds(address, length);
    let threads = threads::find(address).filter(is_it);
    threads.or_else(|| KNOWN.iter().find(is_it))
}

/// The stack whose guard `address` lies in. Any context.
pub(crate) fn guarded_by(address: u64) -> Option<Stack> {
    let is_it = |stack: &Stack| stack.guards(address);
    let threads = threads::find(address).filter(is_it);
    threads.or_else(|| KNOWN.iter().find(is_it))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STACK: Stack = Stack {
        cpu: 31,
        kind: StackKind::MachineCheck,
        bottom: 0xffff_c100_0000_1000,
        top: 0xffff_c100_0000_3000,
        guard: 0x1000,
    };

    #[test]
    fn a_stack_knows_its_bytes_and_its_guard() {
        assert!(STACK.holds(STACK.bottom, 8));
        assert!(STACK.holds(STACK.top - 8, 8));
        assert!(!STACK.holds(STACK.top - 7, 8));
        assert!(!STACK.holds(STACK.bottom - 1, 8));
        assert!(!STACK.holds(u64::MAX, 8));
        assert!(STACK.guards(STACK.bottom - 1));
        assert!(STACK.guards(STACK.bottom - 0x1000));
        assert!(!STACK.guards(STACK.bottom - 0x1001));
        assert!(!STACK.guards(STACK.bottom));
        assert!(!Stack { guard: 0, ..STACK }.guards(STACK.bottom - 1));
    }

    #[test]
    fn the_list_returns_what_was_added_and_ignores_what_is_too_much() {
        let list = List::new();
        for cpu in 0..CAPACITY + 5 {
            list.add(Stack {
                cpu: cpu % 256,
                ..STACK
            });
        }
        assert_eq!(list.iter().count(), CAPACITY);
        for (cpu, stack) in list.iter().enumerate() {
            assert_eq!(stack, Stack { cpu, ..STACK });
        }
    }

    #[test]
    fn addresses_tell_the_stacks_of_threads() {
        let stacks = threads::pretend(2);
        for (number, &stack) in stacks.iter().enumerate() {
            for address in [stack.bottom - stack.guard, stack.bottom, stack.top - 1] {
                assert_eq!(threads::find(address), Some(stack));
            }
            assert_eq!(holding(stack.top - 8, 8), Some(stack));
            assert_eq!(holding(stack.top - 7, 8), None);
            assert_eq!(holding(stack.bottom - 8, 8), None);
            assert_eq!(guarded_by(stack.bottom - 8), Some(stack));
            assert_eq!(guarded_by(stack.bottom), None);
            assert_eq!(stack.to_string(), format!("stack {number} of threads"));
        }
        assert_eq!(threads::find(stacks[1].top + stacks[1].guard), None);
        assert_eq!(threads::find(stacks[0].bottom - stacks[0].guard - 1), None);
        assert_eq!(threads::find(u64::MAX), None);
        threads::pretend(0);
    }
}
