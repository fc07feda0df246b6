//! The per-CPU block behind GS: which CPU this is and what it is doing.
//!
//! Blocks are static, so that the boot CPU has one before there is memory and
//! anybody may look at anybody's. Fields that interrupts and NMIs of the same CPU
//! change are changed by handlers only, and every handler leaves what it found:
//! that is why plain loads and stores are enough (see [`IrqLevel`]). Pins are counted by tasks, too:
//! by single instructions.

use core::mem::offset_of;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use relay::Context;
use x86_64::VirtAddr;
use x86_64::registers::model_specific::GsBase;

use super::clock;
use crate::base::cpuset::{CpuSet, MAX_CPUS};

/// Where in its block a CPU finds the stack of the thread that has made a system call.
pub(crate) const KERNEL_RSP: usize = 32;
/// Where it keeps the stack pointer of ring 3 meanwhile.
pub(crate) const USER_RSP: usize = 40;

/// In the word of pins: nobody waits for their end. So it is 0 when the last one ends and somebody
/// does, which costs one instruction more to find.
pub(super) const UNASKED: u32 = 1 << 31;

/// At [`PerCpu::magic`] of every block in use.
const MAGIC: u64 = u64::from_le_bytes(*b"PerCpu\r\n");

/// One CPU's block. Two cache lines, because hardware fetches lines in pairs.
#[repr(C, align(128))]
#[derive(Debug)]
pub(crate) struct PerCpu {
    /// The block's own address, so that `gs:0` is a pointer to it.
    this: AtomicU64,
    /// [`MAGIC`] in a block that is in use: tells a block from other memory.
    magic: AtomicU64,
    /// The CPU's number, as wide as a register.
    index: AtomicUsize,
    /// The number of the context in which the CPU runs.
    context: AtomicU32,
    /// How often what runs here has pinned itself to the CPU, and [`UNASKED`].
    pub(super) pins: AtomicU32,
    /// Where the stack of the thread that runs here begins, when it comes from ring 3 by a system
    /// call.
    kernel_rsp: AtomicU64,
    /// Where its own stack was: for the first instructions of a system call.
    user_rsp: AtomicU64,
    /// The number of the thread that runs here; 0: none was switched to yet.
    thread: AtomicI32,
    /// The number of its process; 0 is the kernel.
    process: AtomicI32,
    /// Another thread shall run here as soon as may be.
    reschedule: AtomicBool,
    /// Panics and fatal exceptions that began on the CPU.
    pub(crate) panics: AtomicU32,
    /// The CPU's local APIC identifier.
    apic_id: AtomicU32,
    /// Timer interrupts taken.
    pub(crate) timer_irqs: AtomicU64,
    /// Interrupts without a handler of their own, spurious ones included.
    pub(crate) stray_irqs: AtomicU64,
    /// The CPU has begun to close its streams.
    is_closing: AtomicBool,
    /// Since when it is halted, in ticks; 0: it is not.
    halted_since: AtomicU64,
    /// How long it was, in ticks.
    halted: AtomicU64,
    /// How often its timer interrupts it for each tick of the kernel; 0: once, when it is told to.
    pub(crate) timer_beats: AtomicU32,
    /// Whether somebody has asked for an NMI that it has not taken yet.
    is_nmi_asked: AtomicBool,
    /// Whether it has nothing to do but to wait for interrupts.
    is_idle: AtomicBool,
}

const _: () = {
    assert!(offset_of!(PerCpu, this) == 0);
    assert!(offset_of!(PerCpu, index) == 16);
    assert!(offset_of!(PerCpu, context) == 24);
    assert!(offset_of!(PerCpu, pins) == 28);
    assert!(offset_of!(PerCpu, kernel_rsp) == KERNEL_RSP);
    assert!(offset_of!(PerCpu, user_rsp) == USER_RSP);
};

static BLOCKS: [PerCpu; MAX_CPUS] = [const { PerCpu::new() }; MAX_CPUS];

/// The CPUs that finished their bring-up, one bit each.
static ONLINE: AtomicU32 = AtomicU32::new(0);

impl PerCpu {
    const fn new() -> Self {
        Self {
            this: AtomicU64::new(0),
            magic: AtomicU64::new(0),
            index: AtomicUsize::new(0),
            context: AtomicU32::new(0),
            pins: AtomicU32::new(UNASKED),
            kernel_rsp: AtomicU64::new(0),
            user_rsp: AtomicU64::new(0),
            thread: AtomicI32::new(0),
            process: AtomicI32::new(0),
            reschedule: AtomicBool::new(false),
            panics: AtomicU32::new(0),
            apic_id: AtomicU32::new(0),
            timer_irqs: AtomicU64::new(0),
            stray_irqs: AtomicU64::new(0),
            is_closing: AtomicBool::new(false),
            halted_since: AtomicU64::new(0),
            halted: AtomicU64::new(0),
            timer_beats: AtomicU32::new(1),
            is_nmi_asked: AtomicBool::new(false),
            is_idle: AtomicBool::new(false),
        }
    }

    /// Says that the CPU's next NMI is asked for. Any context, any CPU.
    pub(crate) fn ask_for_nmi(&self) {
        self.is_nmi_asked.store(true, Ordering::Relaxed);
    }

    /// Whether the CPU's NMI was asked for. NMIs that come while one waits are one. On the CPU
    /// itself, in the NMI.
    pub(crate) fn was_nmi_asked(&self) -> bool {
        self.is_nmi_asked.swap(false, Ordering::Relaxed)
    }

    /// The CPU's local APIC identifier; 0 before it is known.
    pub(crate) fn apic_id(&self) -> u32 {
        self.apic_id.load(Ordering::Relaxed)
    }
}

/// Makes `BLOCKS[index]` the block of the CPU that calls.
///
/// The first thing every CPU does: before it, nothing that asks which CPU this is may run.
///
/// # Panics
/// When `index` is not below [`MAX_CPUS`].
pub(crate) fn install(index: usize) {
    let block = &BLOCKS[index];
    block.index.store(index, Ordering::Relaxed);
    block
        .this
        .store(&raw const *block as u64, Ordering::Relaxed);
    block.magic.store(MAGIC, Ordering::Relaxed);
    GsBase::write(VirtAddr::from_ptr(block));
}

/// Whether [`install`] has run on this CPU. Any context, and any state of GS.
pub(crate) fn is_installed() -> bool {
    let base = GsBase::read().as_u64();
    BLOCKS.iter().any(|block| {
        &raw const *block as u64 == base && block.magic.load(Ordering::Relaxed) == MAGIC
    })
}

/// The number of the CPU that runs this: 0 for the boot CPU, then in the MADT's order.
///
/// Any context, from the first lines of `main` on. Nothing here moves code from
/// one CPU to another, so the answer stays true.
#[inline]
pub(crate) fn cpu_index() -> usize {
    let index: usize;
    // SAFETY: GS points at this CPU's block from `install` on, which is the first
    // thing every CPU calls; the offset is asserted above.
    unsafe {
        core::arch::asm!("mov {}, gs:[16]", out(reg) index,
            options(pure, readonly, nostack, preserves_flags));
    }
    index
}

/// The context in which this runs: exceptions belong to what they interrupt, machine checks count
/// as NMIs. Any context.
#[inline(always)]
pub(crate) fn context() -> Context {
    let number: u32;
    // SAFETY: as in `cpu_index`. Not `pure`: handlers change the word.
    unsafe {
        core::arch::asm!("mov {:e}, gs:[24]", out(reg) number,
            options(readonly, nostack, preserves_flags));
    }
    // SAFETY: the word holds nothing but numbers of contexts: 0 at first, then what `IrqLevel`
    // stores.
    unsafe { core::mem::transmute::<u8, Context>(number as u8) }
}

/// Says that this CPU waits for interrupts. Task context, interrupts off.
pub(super) fn set_idle() {
    this().is_idle.store(true, Ordering::Relaxed);
}

/// Says that this CPU does not only wait for interrupts any more; whether it did. Task context,
/// interrupts off.
pub(crate) fn end_idle() -> bool {
    let is_idle = &this().is_idle;
    let was_idle = is_idle.load(Ordering::Relaxed);
    is_idle.store(false, Ordering::Relaxed);
    was_idle
}

/// Whether this CPU waits for interrupts, or did when the one came that is handled. Any context.
pub(crate) fn is_idle() -> bool {
    this().is_idle.load(Ordering::Relaxed)
}

/// This CPU's block. Any context.
pub(crate) fn this() -> &'static PerCpu {
    &BLOCKS[cpu_index() % MAX_CPUS]
}

/// The block of any CPU, in use or not.
///
/// # Panics
/// When `cpu` is not below [`MAX_CPUS`].
pub(crate) fn of(cpu: usize) -> &'static PerCpu {
    &BLOCKS[cpu]
}

/// The thread that runs here, or that was interrupted, by its number: this CPU's own has that of the
/// CPU from 1, unless [another](set_thread) was switched to; 0 while the CPU halts. Any context.
pub(crate) fn thread() -> i32 {
    let this = this();
    let own = cpu_index() as i32 + 1;
    match this.thread.load(Ordering::Relaxed) {
        // It may have halted, and be idle still when an interrupt has switched to another thread.
        thread if thread == 0 || thread == own => match this.is_idle.load(Ordering::Relaxed) {
            true => 0,
            false => own,
        },
        thread => thread,
    }
}

/// The number of the process that runs here; 0 is the kernel. Any context.
pub(crate) fn process() -> i32 {
    this().process.load(Ordering::Relaxed)
}

/// Says which thread of which process runs here from now on. Task context, interrupts off.
#[inline(always)]
pub(super) fn set_thread(thread: i32, process: i32) {
    // SAFETY: as in `cpu_index`; the words are of this CPU's block, and written in one piece.
    unsafe {
        core::arch::asm!(
            "mov gs:[{}], {:e}",
            "mov gs:[{}], {:e}",
            const offset_of!(PerCpu, thread),
            in(reg) thread,
            const offset_of!(PerCpu, process),
            in(reg) process,
            options(nostack, preserves_flags),
        );
    }
}

/// Says where the stack begins of the thread that runs here, when it makes a system call. Task
/// context, interrupts off.
#[inline(always)]
pub(crate) fn set_kernel_rsp(top: u64) {
    // SAFETY: as in `set_thread`.
    unsafe {
        core::arch::asm!(
            "mov gs:[{}], {}",
            const KERNEL_RSP,
            in(reg) top,
            options(nostack, preserves_flags),
        );
    }
}

/// Says that another thread shall run on `cpu`. Task and IRQ context, any CPU: the other one must be
/// interrupted for it.
pub(crate) fn ask_to_reschedule(cpu: usize) {
    of(cpu).reschedule.store(true, Ordering::Relaxed);
}

/// Whether another thread shall run here. Interrupts off.
pub(crate) fn is_reschedule_asked() -> bool {
    this().reschedule.load(Ordering::Relaxed)
}

/// Whether another thread shall run here; from now on it need not. Interrupts off.
pub(crate) fn take_reschedule() -> bool {
    let asked = &this().reschedule;
    asked.load(Ordering::Relaxed) && asked.swap(false, Ordering::Relaxed)
}

/// Counts one more. One instruction, which an interrupt comes before or behind, and no other CPU
/// writes the word: so nothing is lost to a thread that is switched to in between. Any context.
#[inline(always)]
pub(crate) fn count(counter: &AtomicU64) {
    #[cfg(target_os = "none")]
    // SAFETY: the word lives as long as the reference; an aligned word is written in one piece.
    unsafe {
        core::arch::asm!("inc qword ptr [{}]", in(reg) counter.as_ptr(), options(nostack));
    }
    #[cfg(not(target_os = "none"))]
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Remembers this CPU's local APIC identifier.
pub(crate) fn set_apic_id(id: u32) {
    this().apic_id.store(id, Ordering::Relaxed);
}

/// Says that this CPU begins to close its streams. Task context, interrupts off.
pub(crate) fn set_closing() {
    this().is_closing.store(true, Ordering::Relaxed);
}

/// Says that it is done with that, and that some are still open. As [`set_closing`].
pub(crate) fn end_closing() {
    this().is_closing.store(false, Ordering::Relaxed);
}

/// Whether this CPU has begun to close its streams. An NMI that wrote now could come between the end
/// of a stream and the end of its count: it must not write any more. Any context.
pub(crate) fn is_closing() -> bool {
    this().is_closing.load(Ordering::Relaxed)
}

/// Says that this CPU is about to halt. Task context, interrupts off.
pub(crate) fn begin_halt() {
    this().halted_since.store(clock::ticks(), Ordering::Relaxed);
}

/// Says that this CPU is not halted any more, if it was. First of all in every interrupt: what ends
/// a halt is one. Any context.
#[inline(always)]
pub(crate) fn end_halt() {
    let this = this();
    if this.halted_since.load(Ordering::Relaxed) == 0 {
        return;
    }
    // In one step: an NMI that comes in between must not count it, too.
    let since = this.halted_since.swap(0, Ordering::Relaxed);
    if since != 0 {
        let more = clock::ticks().wrapping_sub(since);
        let halted = this.halted.load(Ordering::Relaxed);
        this.halted
            .store(halted.wrapping_add(more), Ordering::Relaxed);
    }
}

/// How long this CPU was halted so far, in ticks. Task context.
pub(crate) fn halted() -> u64 {
    this().halted.load(Ordering::Relaxed)
}

/// The CPUs that are up: with their tables, stacks and interrupts in place. Any context.
pub(crate) fn online() -> CpuSet {
    // ORDERING: pairs with `set_online`: who sees the bit sees what the CPU set up.
    CpuSet::from_bits(ONLINE.load(Ordering::Acquire))
}

/// Declares the CPU that calls to be up.
pub(crate) fn set_online() {
    ONLINE.fetch_or(CpuSet::only(cpu_index()).bits(), Ordering::Release);
}

/// Held while a handler runs: what it is counts as interrupt or NMI context.
///
/// Loads and stores instead of one atomic step: a handler that comes in between
/// leaves the word as it found it, and other CPUs do not write it.
#[derive(Debug)]
pub(crate) struct IrqLevel {
    before: u32,
}

impl IrqLevel {
    /// Enters the handler of a maskable interrupt.
    pub(crate) fn irq() -> Self {
        Self::enter(Context::Irq)
    }

    /// Enters the handler of an NMI or a machine check.
    pub(crate) fn nmi() -> Self {
        Self::enter(Context::Nmi)
    }

    /// The context that was interrupted.
    pub(crate) fn interrupted(&self) -> Context {
        const ALL: [Context; 3] = [Context::Task, Context::Irq, Context::Nmi];
        ALL.get(self.before as usize)
            .copied()
            .unwrap_or(Context::Nmi)
    }

    fn enter(context: Context) -> Self {
        let word = &this().context;
        let before = word.load(Ordering::Relaxed);
        word.store(before.max(context as u32), Ordering::Relaxed);
        Self { before }
    }
}

impl Drop for IrqLevel {
    fn drop(&mut self) {
        this().context.store(self.before, Ordering::Relaxed);
    }
}
