//! The local APIC in xAPIC mode (Intel SDM Vol. 3A, chapter 11).
//!
//! Every CPU finds its own local APIC at the same address. The interrupt command
//! register takes two writes, so it is only used with interrupts off, and never
//! in an NMI: an NMI that used it between the two writes would send the
//! interrupted sender's command elsewhere. (A panic may: it does not return.)

use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use relay::event::Hex;
use volatile::{VolatilePtr, map_field};
use x86_64::instructions::interrupts::without_interrupts;
use x86_64::registers::model_specific::{ApicBase, ApicBaseFlags};

use super::events::{
    HrtimerCancel, HrtimerExpireEntry, HrtimerExpireExit, HrtimerStart, TimerMode,
};
use super::handlers;
use crate::cpu::{clock, percpu, vector};
use crate::logs::trace;
use crate::mem;

/// Timer interrupts per second on every CPU.
///
/// Each one switches partly filled sub-buffers that have waited long enough, so
/// this bounds how stale a quiet log can be: 10 ms is below what a reader
/// notices. It also bounds how long a CPU can oversleep if an NMI comes exactly
/// between its last look and its `hlt`. More would cost: 32 CPUs emulated on two
/// cores take 3200 interrupts a second as it is.
pub(crate) const TIMER_HZ: u64 = 100;

/// A register: 32 bits at a 16-byte boundary.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(16))]
struct Register {
    value: u32,
}

/// The register block (table 11-1).
#[repr(C)]
struct Registers {
    _reserved_00: [Register; 2],
    id: Register,
    version: Register,
    _reserved_04: [Register; 4],
    task_priority: Register,
    _reserved_09: [Register; 2],
    end_of_interrupt: Register,
    _reserved_0c: [Register; 3],
    spurious_vector: Register,
    _in_service: [Register; 8],
    _trigger_mode: [Register; 8],
    _request: [Register; 8],
    error_status: Register,
    _reserved_29: [Register; 7],
    command_low: Register,
    command_high: Register,
    lvt_timer: Register,
    _lvt_thermal: Register,
    lvt_performance: Register,
    lvt_lint0: Register,
    lvt_lint1: Register,
    lvt_error: Register,
    initial_count: Register,
    current_count: Register,
    _reserved_3a: [Register; 4],
    divide: Register,
    _reserved_3f: Register,
}

const _: () = {
    assert!(core::mem::offset_of!(Registers, end_of_interrupt) == 0xb0);
    assert!(core::mem::offset_of!(Registers, error_status) == 0x280);
    assert!(core::mem::offset_of!(Registers, command_low) == 0x300);
    assert!(core::mem::offset_of!(Registers, lvt_performance) == 0x340);
    assert!(core::mem::offset_of!(Registers, divide) == 0x3e0);
    assert!(size_of::<Registers>() == 0x400);
};

/// Spurious interrupt vector register: the APIC is enabled (figure 11-23).
const SOFTWARE_ENABLE: u32 = 1 << 8;
/// Local vector table: the source is masked (figure 11-8).
const MASKED: u32 = 1 << 16;
/// Local vector table and command register: deliver as NMI.
const DELIVER_NMI: u32 = 0b100 << 8;
/// Local vector table, timer: periodic.
const PERIODIC: u32 = 1 << 17;
/// Divide configuration register: divide by 16 (figure 11-10).
const DIVIDE_BY_16: u32 = 0b0011;
/// Command register: deliver as INIT (figure 11-12).
const DELIVER_INIT: u32 = 0b101 << 8;
/// Command register: deliver as start-up.
const DELIVER_STARTUP: u32 = 0b110 << 8;
/// Command register: the level is "assert", as all but INIT de-assert want.
const ASSERT: u32 = 1 << 14;
/// Command register: the last command is still being delivered.
const PENDING: u32 = 1 << 12;

/// How often [`send`] looks whether the last command has left before it goes on
/// regardless. Delivery takes microseconds; a command that never leaves must
/// not hang a panic.
const PENDING_LOOKS: u32 = 100_000;

/// Where the registers are mapped; 0 before [`map`].
static BASE: AtomicU64 = AtomicU64::new(0);
/// Timer counts (after division) per timer interrupt; 0 before it is known.
static COUNTS_PER_TICK: AtomicU32 = AtomicU32::new(0);

/// Why there is no usable local APIC.
#[derive(Debug)]
pub(crate) enum ApicError {
    /// The firmware switched it off or to x2APIC mode.
    Mode {
        /// IA32_APIC_BASE.
        base: u64,
    },
    /// Its registers could not be mapped.
    Map(mem::MemoryError),
}

impl fmt::Display for ApicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mode { base } => write!(
                f,
                "the local APIC is off or in x2APIC mode (IA32_APIC_BASE = {base:#x}); \
                 want xAPIC mode"
            ),
            Self::Map(error) => write!(f, "cannot map the local APIC: {error}"),
        }
    }
}

/// This CPU's registers.
///
/// # Panics
/// Before [`map`].
fn registers() -> VolatilePtr<'static, Registers> {
    let base = NonNull::new(BASE.load(Ordering::Relaxed) as *mut Registers)
        .expect("the local APIC is used after it is mapped");
    // SAFETY: `map` mapped the register block there for ever. Each CPU reaches
    // its own registers at this address, so no other thread has access; handlers
    // on the same CPU do, and each access is one whole register.
    unsafe { VolatilePtr::new(base) }
}

/// A pointer to one register, by field name.
macro_rules! register {
    ($name:ident) => {{
        let registers = registers();
        map_field!(registers.$name.value)
    }};
}

/// Maps the local APIC's registers, at physical address `address`. Once, by the boot CPU.
///
/// # Errors
/// When the local APIC is not in xAPIC mode, or there is no memory for page tables.
pub(crate) fn map(address: u64) -> Result<(), ApicError> {
    let (frame, flags) = ApicBase::read();
    if !flags.contains(ApicBaseFlags::LAPIC_ENABLE) || flags.contains(ApicBaseFlags::X2APIC_ENABLE)
    {
        let base = frame.start_address().as_u64() | flags.bits();
        return Err(ApicError::Mode { base });
    }
    let base = mem::map_device(address, size_of::<Registers>() as u64).map_err(ApicError::Map)?;
    BASE.store(base, Ordering::Relaxed);
    Ok(())
}

/// Whether the registers are mapped.
pub(crate) fn is_mapped() -> bool {
    BASE.load(Ordering::Relaxed) != 0
}

/// The local APIC identifier of the CPU that calls.
pub(crate) fn id() -> u32 {
    register!(id).read() >> 24
}

/// Enables the local APIC of the CPU that calls, with nothing coming from it but
/// what is sent to it, and NMIs from its LINT1 pin (where PCs wire them).
pub(crate) fn enable() {
    register!(task_priority).write(0);
    register!(lvt_timer).write(MASKED);
    register!(lvt_performance).write(MASKED);
    register!(lvt_lint0).write(MASKED);
    register!(lvt_lint1).write(DELIVER_NMI);
    register!(lvt_error).write(u32::from(vector::APIC_ERROR));
    register!(spurious_vector).write(SOFTWARE_ENABLE | u32::from(vector::SPURIOUS));
    // Twice: the first write makes the register show what came before it.
    take_errors();
    take_errors();
}

/// The errors since the last call (figure 11-9).
pub(crate) fn take_errors() -> u32 {
    let register = register!(error_status);
    register.write(0);
    register.read()
}

/// Tells the local APIC that the handler is done with the interrupt in service.
pub(crate) fn end_of_interrupt() {
    register!(end_of_interrupt).write(0);
}

/// Lets the timer count down from its greatest value, without interrupts, to be
/// measured with [`timer_counts`].
pub(crate) fn start_measuring() {
    register!(lvt_timer).write(MASKED);
    register!(divide).write(DIVIDE_BY_16);
    register!(initial_count).write(u32::MAX);
}

/// Counts since [`start_measuring`].
pub(crate) fn timer_counts() -> u32 {
    u32::MAX - register!(current_count).read()
}

/// Remembers how fast the timer counts, for [`start_timer`] on every CPU.
pub(crate) fn set_timer_frequency(counts_per_second: u64) {
    let counts = (counts_per_second / TIMER_HZ).clamp(1, u64::from(u32::MAX));
    COUNTS_PER_TICK.store(counts as u32, Ordering::Relaxed);
}

/// Starts the periodic timer of the CPU that calls, [`TIMER_HZ`] times a second, or as many times
/// more often as [`set_beats`] has said.
///
/// # Panics
/// Before [`set_timer_frequency`].
pub(crate) fn start_timer() {
    // A timer interrupt in the middle might set another rate, of which half would stay.
    without_interrupts(|| set_beats(percpu::this().timer_beats.load(Ordering::Relaxed).max(1)));
}

/// The same, `beats` times as often. Interrupts are off.
///
/// # Panics
/// Before [`set_timer_frequency`].
pub(crate) fn set_beats(beats: u32) {
    let counts = COUNTS_PER_TICK.load(Ordering::Relaxed);
    assert_ne!(counts, 0, "the timer is started after it is measured");
    percpu::this().timer_beats.store(beats, Ordering::Relaxed);
    register!(divide).write(DIVIDE_BY_16);
    register!(lvt_timer).write(PERIODIC | u32::from(vector::TIMER));
    register!(initial_count).write((counts / beats).max(1));
    trace_start(1_000_000_000 / (TIMER_HZ * u64::from(beats)));
}

/// Has the counter of cycles of the CPU that calls send it an NMI when it overflows; each NMI turns
/// that off again (Intel SDM Vol. 3A, 11.5.1). Any context.
pub(super) fn take_overflows() {
    register!(lvt_performance).write(DELIVER_NMI);
}

/// Turns that off. Any context.
pub(super) fn ignore_overflows() {
    register!(lvt_performance).write(MASKED);
}

/// How a timer that fires once is felt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// As the timer's interrupt.
    Interrupt,
    /// As an NMI. The manual gives the timer's entry no delivery mode (figure 11-8), and a real APIC
    /// may refuse it; QEMU's takes it.
    Nmi,
}

/// Has the timer of the CPU that calls fire once, in about so many nanoseconds, and then no more.
/// [`start_timer`] makes it periodic again.
///
/// Any context. If an interrupt calls it in the middle of another call, one of the two holds.
///
/// # Panics
/// Before [`set_timer_frequency`].
pub(crate) fn fire_once(nanos: u64, alarm: Alarm) {
    let counts = COUNTS_PER_TICK.load(Ordering::Relaxed);
    assert_ne!(counts, 0, "the timer is started after it is measured");
    let counts = u64::from(counts) * TIMER_HZ * nanos / 1_000_000_000;
    let entry = match alarm {
        Alarm::Interrupt => u32::from(vector::TIMER),
        Alarm::Nmi => DELIVER_NMI,
    };
    percpu::this().timer_beats.store(0, Ordering::Relaxed);
    register!(lvt_timer).write(entry);
    if alarm == Alarm::Nmi {
        // Behind the entry: an NMI that has taken this word for its own and set another alarm since
        // then has said how the timer is felt, too.
        percpu::this().ask_for_nmi();
    }
    trace_start(nanos);
    register!(initial_count).write(counts.clamp(1, u64::from(u32::MAX)) as u32);
}

/// Stops the timer of the CPU that calls.
pub(crate) fn stop_timer() {
    register!(lvt_timer).write(MASKED);
    register!(initial_count).write(0);
    trace::emit(|| HrtimerCancel { hrtimer: timer() });
}

/// The timer of the CPU that calls, as the trace names it.
fn timer() -> Hex<u64> {
    Hex(core::ptr::from_ref(percpu::this()) as u64)
}

/// Traces that the timer fires so many nanoseconds from now.
fn trace_start(nanos: u64) {
    trace::emit(|| {
        let expires = clock::nanos(clock::ticks()).saturating_add(nanos) as i64;
        HrtimerStart {
            hrtimer: timer(),
            function: Hex(handlers::registered().timer as usize as u64),
            expires,
            softexpires: expires,
            mode: TimerMode::HRTIMER_MODE_REL_PINNED,
        }
    });
}

/// Does what is to be done when the timer has fired; `function` is its address.
pub(super) fn expire(function: u64, act: impl FnOnce()) {
    trace::emit(|| HrtimerExpireEntry {
        hrtimer: timer(),
        now: clock::nanos(clock::ticks()) as i64,
        function: Hex(function),
    });
    act();
    trace::emit(|| HrtimerExpireExit { hrtimer: timer() });
}

/// What one CPU can send to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// An ordinary interrupt with this vector.
    Interrupt(u8),
    /// A non-maskable interrupt.
    Nmi,
    /// Reset into the wait for [`Command::Startup`].
    Init,
    /// Start in real mode at this page.
    Startup(u8),
}

impl Command {
    /// The low word of the command register.
    const fn bits(self) -> u32 {
        match self {
            Self::Interrupt(vector) => ASSERT | vector as u32,
            Self::Nmi => ASSERT | DELIVER_NMI,
            Self::Init => ASSERT | DELIVER_INIT,
            Self::Startup(page) => ASSERT | DELIVER_STARTUP | page as u32,
        }
    }
}

/// Sends a command to the CPU with this local APIC identifier (which may be this one's own).
///
/// Task and IRQ context; not in an NMI, unless the caller never returns.
pub(crate) fn send(target: u32, command: Command) {
    without_interrupts(|| {
        let low = register!(command_low);
        for _ in 0..PENDING_LOOKS {
            if low.read() & PENDING == 0 {
                break;
            }
            core::hint::spin_loop();
        }
        register!(command_high).write(target << 24);
        low.write(command.bits());
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_encoded_as_the_manual_says() {
        assert_eq!(Command::Interrupt(0x50).bits(), 0x4050);
        assert_eq!(Command::Nmi.bits(), 0x4400);
        assert_eq!(Command::Init.bits(), 0x4500);
        assert_eq!(Command::Startup(8).bits(), 0x4608);
    }
}
