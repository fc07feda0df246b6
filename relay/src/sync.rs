//! The one gateway to atomics and interior mutability.
//!
//! Everything above this module takes its atomics from here, so that the same code runs on the
//! processor, under [loom](https://docs.rs/loom) (`--cfg loom`) and under Miri.
//!
//! Two kinds of words exist:
//!
//! - plain atomics, for words that several CPUs change or that hand something over;
//! - [`OwnerWord`], a word of a stream's owner. Where the owner is one CPU, in any of its contexts
//!   (task, IRQ, NMI), a single instruction cannot be split by an interrupt, so on x86_64 these are
//!   *non-LOCKed* instructions: a third of the price, and no cache line is locked. Where all CPUs
//!   write the stream ([`Usage::SHARED`]) they are LOCKed. Some words are a CPU's own in both
//!   usages: what it has under way.
//!
//! [`OnceRef`] is made of the first kind: a reference that is set once.
//!
//! In unit tests each access to a word is a *step*: before it, the hook of the running test is
//! called (`step`), so that tests run whole writes between any two accesses of another, on the
//! shipped code. Words that are always read or written together are [`GroupedU64`], which has no
//! step of its own: whoever accesses the group takes one step for all of it. They also note what
//! memory is touched (`touched`), for a test that looks at cache lines.

mod atomics;
mod once;
mod scratch;
pub(crate) mod step;
#[cfg(all(test, not(loom)))]
mod stepped;
mod switch;
pub(crate) mod touched;

pub(crate) use atomics::{
    AtomicBool, AtomicPtr, AtomicU64, GroupedU64, Ordering, compiler_fence, const_unless_loom,
    fence,
};
pub(crate) use once::OnceRef;
pub(crate) use scratch::Scratch;
pub(crate) use switch::Switch;

#[cfg(all(target_arch = "x86_64", not(miri), not(loom)))]
use core::ptr::NonNull;
use step::step;

/// Who writes a stream: one CPU, or all of them. See [`PerCpu`] and [`Global`].
pub trait Usage: sealed::Sealed + Send + Sync + 'static {
    /// Whether several CPUs write the same stream.
    const SHARED: bool;
}

/// Usage of a channel: a stream for each CPU, written by that CPU alone. Writing costs no LOCKed
/// instruction, and CPUs share no cache line.
#[derive(Clone, Copy, Debug)]
pub enum PerCpu {}

/// Usage of a channel: one stream, written by all CPUs, in one order. Each record costs two LOCKed
/// instructions, and the CPUs compete for the cache lines of the ring.
#[derive(Clone, Copy, Debug)]
pub enum Global {}

impl Usage for PerCpu {
    const SHARED: bool = false;
}

impl Usage for Global {
    const SHARED: bool = true;
}

mod sealed {
    /// Nobody else implements [`Usage`](super::Usage).
    pub trait Sealed {}
    impl Sealed for super::PerCpu {}
    impl Sealed for super::Global {}
}

/// A 64-bit word changed only by the owner of its stream, read by anybody.
///
/// Where the owner is one CPU, the read-modify-write operations are atomic against the other
/// contexts of that CPU (an interrupt or NMI sees them done or not done), not against other CPUs.
/// In terms of the abstract machine each is an `AcqRel` read-modify-write of an `AtomicU64`; that
/// story holds because
///
/// 1. only the owner writes the word, or the CPU whose own it is (the contract of
///    [`Platform`](crate::Platform));
/// 2. the word is 8-byte aligned, being an `AtomicU64`;
/// 3. x86 is TSO: stores are seen in program order by every CPU, so a plain store releases;
/// 4. the assembly has neither `nomem` nor `readonly` nor `pure`: the compiler keeps every memory
///    access on its side of it.
///
/// For a shared owner, under Miri, loom and on other architectures the operations are ordinary
/// atomics.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct OwnerWord(GroupedU64);

impl OwnerWord {
    const_unless_loom! {
        /// A word that holds `value`.
        pub(crate) fn new(value: u64) -> Self {
            Self(GroupedU64::new(value))
        }
    }

    /// Reads the word. Any CPU, any context.
    #[inline(always)]
    pub(crate) fn load(&self, order: Ordering) -> u64 {
        step();
        self.0.load(order)
    }

    /// Reads the word as one of a group that is read together: whoever reads the group takes the
    /// step. Any CPU, any context.
    #[inline(always)]
    pub(crate) fn load_in_group(&self, order: Ordering) -> u64 {
        self.0.load(order)
    }

    /// Writes the word. Owner only.
    #[inline(always)]
    pub(crate) fn store(&self, value: u64, order: Ordering) {
        step();
        self.0.store(value, order);
    }

    /// Replaces `old` by `new`; false if the word held something else. Owner only.
    #[inline(always)]
    pub(crate) fn cas<U: Usage>(&self, old: u64, new: u64) -> bool {
        step();
        if U::SHARED {
            return self
                .0
                .compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
                .is_ok();
        }
        same_cpu::cas(&self.0, old, new)
    }

    /// Adds `value` modulo 2^64; says whether the sum passed 2^64. Owner only.
    #[inline(always)]
    pub(crate) fn add_carries<U: Usage>(&self, value: u64) -> bool {
        step();
        if U::SHARED {
            let before = self.0.fetch_add(value, Ordering::AcqRel);
            return before.checked_add(value).is_none();
        }
        same_cpu::add_carries(&self.0, value)
    }

    /// Sets the lowest bit; false if it was set. Of a word that is a CPU's own, by that CPU:
    /// contexts that come in between leave it as they found it.
    #[inline(always)]
    pub(crate) fn set_lowest(&self) -> bool {
        step();
        same_cpu::set_lowest(&self.0)
    }

    /// Gives the word back, a lock that the owner took by [`cas`](Self::cas): what follows in the
    /// program is not done before this, neither as other contexts nor as other owners see it. Owner
    /// only.
    #[inline(always)]
    pub(crate) fn unlock<U: Usage>(&self) {
        step();
        self.0.store(0, Ordering::Release);
        if U::SHARED {
            fence(Ordering::SeqCst);
        } else {
            // The other contexts of this CPU see its stores in program order.
            compiler_fence(Ordering::SeqCst);
        }
    }
}

/// Whether `value` is below the word at `OFFSET` bytes behind `base`, which is loaded with Acquire.
/// Where a compiler makes two instructions of that for an atomic word, this is one. Any CPU.
///
/// # Safety
/// The word is an `AtomicU64` of this module, alive, `OFFSET` bytes behind `base`.
#[inline(always)]
pub(crate) unsafe fn is_below<const OFFSET: usize>(value: u64, base: *const u8) -> bool {
    #[cfg(all(target_arch = "x86_64", not(miri), not(loom)))]
    {
        step();
        // SAFETY: the word lies there, as the caller says.
        touched::read(
            unsafe { NonNull::new_unchecked(base.add(OFFSET).cast_mut()) },
            8,
        );
        // SAFETY: reads the word, which the caller says is there, and changes the flags (Intel SDM
        // 2A, CMP). Without `nomem`: what follows is not done before it, and x86 loads acquire.
        unsafe {
            core::arch::asm!(
                "cmp {value}, qword ptr [{base} + {offset}]",
                "jae {not}",
                value = in(reg) value,
                base = in(reg) base,
                offset = const OFFSET,
                not = label { return false },
                options(nostack),
            );
        }
        true
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri), not(loom))))]
    {
        // SAFETY: as the caller says.
        let word: &AtomicU64 = unsafe { &*base.add(OFFSET).cast::<AtomicU64>() };
        value < word.load(Ordering::Acquire)
    }
}

/// One instruction each: nothing on this CPU comes in between.
#[cfg(all(target_arch = "x86_64", not(miri), not(loom)))]
mod same_cpu {
    use super::GroupedU64;
    use core::arch::asm;

    /// Ends an emulator's block of instructions: what was loaded is in the one before, so that an
    /// interrupt can come in between.
    #[cfg(feature = "stress")]
    macro_rules! end_of_block {
        () => {
            "jmp 2f\n2:"
        };
    }
    #[cfg(not(feature = "stress"))]
    macro_rules! end_of_block {
        () => {
            ""
        };
    }

    #[inline(always)]
    pub(super) fn cas(word: &GroupedU64, old: u64, new: u64) -> bool {
        // SAFETY: the operand is a live, aligned AtomicU64 for as long as `word` is borrowed;
        // cmpxchg reads and writes only it, rax and the flags (Intel SDM 2A, CMPXCHG).
        unsafe {
            asm!(
                end_of_block!(),
                "cmpxchg qword ptr [{word}], {new}",
                "jne {lost}",
                word = in(reg) word.as_ptr(),
                new = in(reg) new,
                inout("rax") old => _,
                lost = label { return false },
                options(nostack),
            );
        }
        true
    }

    #[inline(always)]
    pub(super) fn add_carries(word: &GroupedU64, value: u64) -> bool {
        // SAFETY: as for `cas`; add touches the word and the flags (SDM 2A, ADD).
        unsafe {
            asm!(
                "add qword ptr [{word}], {value}",
                "jc {carry}",
                word = in(reg) word.as_ptr(),
                value = in(reg) value,
                carry = label { return true },
                options(nostack),
            );
        }
        false
    }

    #[inline(always)]
    pub(super) fn set_lowest(word: &GroupedU64) -> bool {
        // SAFETY: as for `cas`; bts with a constant bit touches the word and the flags (SDM 2A,
        // BTS).
        unsafe {
            asm!(
                "bts qword ptr [{word}], 0",
                "jc {set}",
                word = in(reg) word.as_ptr(),
                set = label { return false },
                options(nostack),
            );
        }
        true
    }
}

/// Where contexts of one CPU cannot be told from threads, ordinary atomics.
#[cfg(not(all(target_arch = "x86_64", not(miri), not(loom))))]
mod same_cpu {
    use super::{GroupedU64, Ordering};

    #[inline]
    pub(super) fn cas(word: &GroupedU64, old: u64, new: u64) -> bool {
        word.compare_exchange(old, new, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    #[inline]
    pub(super) fn add_carries(word: &GroupedU64, value: u64) -> bool {
        let before = word.fetch_add(value, Ordering::AcqRel);
        before.checked_add(value).is_none()
    }

    #[inline]
    pub(super) fn set_lowest(word: &GroupedU64) -> bool {
        // Whoever interrupts this gives back what it takes, before this goes on: no interrupt can
        // be told from none, and two plain accesses will do.
        let before = word.load(Ordering::Relaxed);
        if before & 1 == 0 {
            word.store(before | 1, Ordering::Relaxed);
        }
        before & 1 == 0
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn operations_do_what_they_say<U: Usage>() {
        let word = OwnerWord::new(5);
        assert!(!word.cas::<U>(4, 9));
        assert!(word.cas::<U>(5, u64::MAX - 1));
        assert!(!word.add_carries::<U>(1));
        assert!(word.add_carries::<U>(1));
        assert_eq!(word.load(Ordering::Relaxed), 0);
        assert!(word.cas::<U>(0, 1));
        word.unlock::<U>();
        assert_eq!(word.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn operations_of_one_cpu_do_what_they_say() {
        operations_do_what_they_say::<PerCpu>();
    }

    #[test]
    fn the_lowest_bit_is_set_once() {
        let word = OwnerWord::new(6);
        assert!(word.set_lowest());
        assert_eq!(word.load(Ordering::Relaxed), 7);
        assert!(!word.set_lowest());
        assert_eq!(word.load(Ordering::Relaxed), 7);
    }

    #[test]
    fn operations_of_all_cpus_do_what_they_say() {
        operations_do_what_they_say::<Global>();
    }
}
