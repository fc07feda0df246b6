//! Shootdowns: having other CPUs forget what their TLBs know of an address space.
//!
//! # The protocol
//!
//! Each space has a set of *loaders*: the CPUs whose CR3 holds its root. Each CPU has two counters:
//! how often it was *asked* to forget, and up to which of these it is *done*.
//!
//! | step | who | what | ordering |
//! |---|---|---|---|
//! | enter | CPU x | adds itself to the loaders, then writes CR3 | locked instruction, serialising write |
//! | leave | CPU x | writes CR3, then takes itself from the loaders | the same |
//! | clear | who unmaps | clears entries, under the space's lock, and gives the lock back | |
//! | ask | who unmaps | a fence; reads the loaders; for each but itself: `asked += 1`, and an IPI | `SeqCst` |
//! | forget | CPU x, in the IPI, or while it waits itself | reads `asked`; flushes; raises `done` to what it read | acquire; release |
//! | wait | who unmaps | until each one's `done` has reached its own `asked` | acquire |
//! | free | who unmaps | gives the frames back, under the lock again | |
//!
//! *No CPU is left out*: of "add myself, then walk the tables" and "clear, then read the loaders",
//! each with a full fence in between, one sees the other: either the loader is asked, or its walks,
//! which come behind its addition, find the entries cleared. Who leaves has flushed by its write of
//! CR3 before it stops being asked.
//!
//! *Nobody waits for ever*: who asks holds no lock and has pinned nothing that others wait for, and
//! while it waits it forgets what others ask of it, interrupts on or off. Every other CPU either
//! has interrupts on, or waits likewise, or is at a lock whose holder waits for nobody (`Guarded`),
//! or in a handler that ends. A CPU that stops for good leaves its space first.
//!
//! A whole flush each time: a count is all there is to say, so requests cannot run out of room, and
//! any number of them is one flush.

use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, fence};

use spin::Once;
use x86_64::PhysAddr;
use x86_64::instructions::tlb;
use x86_64::registers::control::{Cr3, Cr3Flags};
use x86_64::structures::paging::PhysFrame;

use super::lock::without_interrupts;
use super::map;
use crate::base::cpuset::{CpuSet, MAX_CPUS};
use crate::cpu::percpu;

/// What one CPU is asked.
#[derive(Debug)]
struct Request {
    /// How often it was asked. Anybody adds.
    asked: AtomicU64,
    /// Up to which of these it has flushed. It alone writes.
    done: AtomicU64,
}

/// What `N` CPUs are asked.
#[derive(Debug)]
struct Board<const N: usize>([Request; N]);

impl<const N: usize> Board<N> {
    const fn new() -> Self {
        Self(
            [const {
                Request {
                    asked: AtomicU64::new(0),
                    done: AtomicU64::new(0),
                }
            }; N],
        )
    }

    /// CPU `me` forgets what it is asked to, by `flush`, if it is. On that CPU, interrupts off.
    fn serve(&self, me: usize, flush: impl FnOnce()) {
        let request = &self.0[me];
        // ORDERING: pairs with the addition in `shoot`: the flush comes behind the clearing.
        let asked = request.asked.load(Ordering::Acquire);
        if asked == request.done.load(Ordering::Relaxed) {
            return;
        }
        flush();
        // ORDERING: pairs with the load in `shoot`: who sees it may reuse the frames.
        request.done.store(asked, Ordering::Release);
    }

    /// Has `cpus`, without `me`, forget, and waits for it. `send` interrupts a CPU. On CPU `me`,
    /// interrupts off.
    fn shoot(&self, me: usize, cpus: CpuSet, send: impl Fn(usize), flush: impl Fn()) {
        let others = cpus.without(CpuSet::only(me));
        let mut wanted = [0; N];
        for cpu in others.iter() {
            wanted[cpu] = self.0[cpu].asked.fetch_add(1, Ordering::SeqCst) + 1;
            send(cpu);
        }
        for cpu in others.iter() {
            while self.0[cpu].done.load(Ordering::Acquire) < wanted[cpu] {
                self.serve(me, &flush);
                pause();
            }
        }
    }
}

/// Between two looks at another CPU.
fn pause() {
    #[cfg(test)]
    std::thread::yield_now();
    core::hint::spin_loop();
}

static BOARD: Board<MAX_CPUS> = Board::new();

/// Interrupts a CPU with the vector whose handler calls [`on_shootdown`].
static SEND: Once<fn(usize)> = Once::new();

/// Registers how another CPU is interrupted so that it calls [`on_shootdown`]. Before a second CPU
/// enters a space.
pub(crate) fn send_shootdowns_by(send: fn(usize)) {
    SEND.call_once(|| send);
}

/// Forgets what this CPU is asked to. IRQ context.
pub(crate) fn on_shootdown() {
    BOARD.serve(percpu::cpu_index(), tlb::flush_all);
}

/// The CPUs that have a space loaded. It stays where it is while it has members.
#[derive(Debug, Default)]
pub(super) struct Loaders(AtomicU32);

impl Loaders {
    /// Nobody.
    pub(super) const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// The CPUs.
    pub(super) fn cpus(&self) -> CpuSet {
        // ORDERING: the clearing comes before, the loaders' addition before their walks: see above.
        fence(Ordering::SeqCst);
        CpuSet::from_bits(self.0.load(Ordering::SeqCst))
    }

    /// Has all of them forget what was cleared. The caller holds no lock. Task context, interrupts
    /// on or off.
    pub(super) fn shoot_down(&self) {
        let cpus = self.cpus();
        if cpus.is_empty() {
            return;
        }
        without_interrupts(|| {
            let me = percpu::cpu_index();
            if cpus.contains(me) {
                tlb::flush_all();
            }
            BOARD.shoot(
                me,
                cpus,
                |cpu| {
                    if let Some(send) = SEND.get() {
                        send(cpu);
                    }
                },
                tlb::flush_all,
            );
        });
    }
}

/// The loaders that each CPU is one of; null: it is in the kernel's own space.
static CURRENT: [AtomicPtr<Loaders>; MAX_CPUS] =
    [const { AtomicPtr::new(core::ptr::null_mut()) }; MAX_CPUS];

/// This CPU goes on in the space with this root and these loaders; `None`: in the kernel's own.
/// Interrupts are off.
///
/// # Safety
/// The root's upper half is the kernel's. Root and loaders stay as long as the CPU is a loader.
pub(super) unsafe fn enter(space: Option<(u64, &Loaders)>) {
    let me = percpu::cpu_index() % MAX_CPUS;
    let (root, loaders) = match space {
        Some((root, loaders)) => (root, core::ptr::from_ref(loaders).cast_mut()),
        None => (map::root(), core::ptr::null_mut()),
    };
    let before = CURRENT[me].load(Ordering::Relaxed);
    if before == loaders {
        return;
    }
    let bit = CpuSet::only(me).bits();
    if let Some((_, loaders)) = space {
        loaders.0.fetch_or(bit, Ordering::SeqCst);
    }
    let frame = PhysFrame::containing_address(PhysAddr::new_truncate(root));
    // SAFETY: the tables map the kernel as the ones before did, as the caller says.
    unsafe { Cr3::write(frame, Cr3Flags::empty()) };
    CURRENT[me].store(loaders, Ordering::Relaxed);
    // SAFETY: this CPU was one of these loaders until now, so they are still there.
    if let Some(before) = unsafe { before.as_ref() } {
        before.0.fetch_and(!bit, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicUsize};

    /// Threads that are CPUs shoot at each other all the time, half of them without ever taking an
    /// interrupt; what they have "unmapped" is seen by nobody afterwards.
    #[test]
    fn everybody_forgets_and_nobody_waits_for_ever() {
        const CPUS: usize = 4;
        const ROUNDS: u64 = 2000;
        static BOARD: Board<CPUS> = Board::new();
        /// The "page tables", and what each TLB believes: the round that it has last seen.
        static TABLE: [AtomicU64; CPUS] = [const { AtomicU64::new(0) }; CPUS];
        static TLB: [[AtomicU64; CPUS]; CPUS] =
            [const { [const { AtomicU64::new(0) }; CPUS] }; CPUS];
        static SENT: [AtomicBool; CPUS] = [const { AtomicBool::new(false) }; CPUS];
        static ACTIVE: AtomicUsize = AtomicUsize::new(CPUS);
        let flush = |me: usize| {
            for (cached, table) in TLB[me].iter().zip(&TABLE) {
                cached.store(table.load(Ordering::Relaxed), Ordering::Relaxed);
            }
        };
        let cpu = |me: usize| {
            for round in 1..=ROUNDS {
                TABLE[me].store(round, Ordering::Relaxed);
                let all = CpuSet::from_bits((1 << CPUS) - 1);
                let send = |cpu: usize| SENT[cpu].store(true, Ordering::Release);
                BOARD.shoot(me, all, send, || flush(me));
                for other in (0..CPUS).filter(|&other| other != me) {
                    assert!(TLB[other][me].load(Ordering::Relaxed) >= round);
                }
                if me.is_multiple_of(2) && SENT[me].swap(false, Ordering::Acquire) {
                    BOARD.serve(me, || flush(me));
                }
            }
            ACTIVE.fetch_sub(1, Ordering::AcqRel);
            while ACTIVE.load(Ordering::Acquire) != 0 {
                BOARD.serve(me, || flush(me));
                std::thread::yield_now();
            }
        };
        std::thread::scope(|scope| {
            for me in 0..CPUS {
                scope.spawn(move || cpu(me));
            }
        });
    }

    #[test]
    fn who_was_not_asked_does_not_flush() {
        let board = Board::<2>::new();
        board.serve(1, || panic!("nobody asked"));
        board.0[1].asked.fetch_add(2, Ordering::Relaxed);
        let mut flushed = 0;
        board.serve(1, || flushed += 1);
        board.serve(1, || flushed += 1);
        assert_eq!(flushed, 1, "two requests are one flush");
        assert_eq!(board.0[1].done.load(Ordering::Relaxed), 2);
    }
}
