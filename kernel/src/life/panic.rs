//! The end of the kernel by its own fault: panics and exceptions.
//!
//! The CPU that fails logs what happened, as records like all others: the
//! message, the registers, a backtrace. Then it stops the other CPUs, has the
//! console print everything that was logged, sends what no port has got to the one that is kept
//! for it, and ends the machine as failed. The console comes first: it needs the least to work.
//!
//! - Two CPUs fail at once: both log, the first prints, the other stops like everybody.
//! - Failing while failing (the log is broken, or the console, or what is said of the failure): the
//!   fallback prints raw lines, of the first failure too, whose [words](Words) were kept. Then the
//!   CPU goes on with what is left to do, and leaves out what it has failed in: what was logged is
//!   printed and sent, whatever broke. Failing once more ends the machine.

mod words;

use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use relay::clients::profile;
use x86_64::instructions::interrupts;
use x86_64::registers::control::Cr2;

use crate::arch::frame::{self, PageFaultCause, TrapFrame};
use crate::arch::{backtrace, stop};
use crate::base::cpuset::MAX_CPUS;
use crate::cpu::{percpu, vector};
use crate::dev::{ExitCode, exit};
use crate::logs::operator::Panicked;
use crate::logs::{evlog, klog, registry, switches};
use crate::mem::stacks::{self, Stack};
use crate::out::{console, salvage, sent};
use words::Words;

/// In [`OWNER`]: no CPU has failed yet.
const NOBODY: usize = usize::MAX;

/// The CPU that prints the panic.
static OWNER: AtomicUsize = AtomicUsize::new(NOBODY);

/// What each CPU failed with first.
static FIRST: [Words; MAX_CPUS] = [const { Words::new() }; MAX_CPUS];

/// Where Rust's panics arrive.
#[cfg(target_os = "none")]
#[panic_handler]
fn on_panic(info: &core::panic::PanicInfo<'_>) -> ! {
    begin(format_args!("{info}"));
    let message = info.message();
    let cpu = percpu::cpu_index();
    match info.location() {
        Some(location) => relay::error!("cpu {cpu} panicked at {location}: {message}"),
        None => relay::error!("cpu {cpu} panicked: {message}"),
    }
    log_backtrace(None, &backtrace::here());
    end()
}

/// Where exceptions arrive that nothing can be done about. In the context of the code that
/// caused them.
pub(crate) fn exception(frame: &TrapFrame) -> ! {
    let cr2 = Cr2::read_raw();
    let cpu = percpu::cpu_index();
    let report = Report { frame, cr2, cpu };
    begin(format_args!("{report}"));
    relay::error!("{report}");
    log_registers(frame);
    log_backtrace(Some(frame.rip), &backtrace::of(frame.registers()));
    end()
}

/// An exception, in a sentence.
struct Report<'a> {
    frame: &'a TrapFrame,
    cr2: u64,
    cpu: usize,
}

impl Report<'_> {
    /// The stack that was used up, if that is what happened: the stack pointer or
    /// the address that faulted lies in a stack's guard.
    fn overflown(&self) -> Option<Stack> {
        let is_double_fault = self.frame.vector == u64::from(vector::DOUBLE_FAULT);
        let is_page_fault = self.frame.vector == u64::from(vector::PAGE_FAULT);
        if !is_double_fault && !is_page_fault {
            return None;
        }
        stacks::guarded_by(self.cr2)
            .or_else(|| stacks::guarded_by(self.frame.rsp).filter(|_| is_double_fault))
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TrapFrame {
            vector,
            error,
            rip,
            rsp,
            ..
        } = *self.frame;
        let name = frame::name(vector);
        let Self { cr2, cpu, .. } = *self;
        if let Some(stack) = self.overflown() {
            return write!(
                f,
                "kernel stack overflow on cpu {cpu}: {name} (vector {vector}) at {rip:#x}, \
                 rsp {rsp:#x}, cr2 {cr2:#x}, below the {stack} ({:#x} to {:#x})",
                stack.bottom, stack.top
            );
        }
        write!(
            f,
            "cpu {cpu}: {name} (vector {vector}) at {rip:#x}, error code {error:#x}"
        )?;
        if vector == u64::from(vector::PAGE_FAULT) {
            write!(f, " ({}), cr2 {cr2:#x}", PageFaultCause(error))?;
        }
        Ok(())
    }
}

/// Logs the registers of the interrupted code.
fn log_registers(frame: &TrapFrame) {
    relay::error!(
        "rip {:#018x} rsp {:#018x} rflags {:#x} cs {:#x} ss {:#x}",
        frame.rip,
        frame.rsp,
        frame.rflags,
        frame.cs,
        frame.ss
    );
    let TrapFrame {
        rax,
        rbx,
        rcx,
        rdx,
        rsi,
        rdi,
        rbp,
        r8,
        ..
    } = *frame;
    relay::error!("rax {rax:#018x} rbx {rbx:#018x} rcx {rcx:#018x} rdx {rdx:#018x}");
    relay::error!("rsi {rsi:#018x} rdi {rdi:#018x} rbp {rbp:#018x} r8  {r8:#018x}");
    let TrapFrame {
        r9,
        r10,
        r11,
        r12,
        r13,
        r14,
        r15,
        ..
    } = *frame;
    relay::error!("r9  {r9:#018x} r10 {r10:#018x} r11 {r11:#018x} r12 {r12:#018x}");
    relay::error!("r13 {r13:#018x} r14 {r14:#018x} r15 {r15:#018x}");
}

/// Logs a backtrace, a record per frame: the instruction that failed, where there
/// is one, then the return addresses.
fn log_backtrace(instruction: Option<u64>, stack: &profile::Stack) {
    let callers = stack.frames().iter().map(|frame| frame.0);
    let frames = instruction.into_iter().chain(callers);
    for (number, address) in frames.enumerate() {
        relay::error!("  #{number} {address:#018x}");
    }
}

/// Begins a failure on this CPU, which never goes on with anything else.
/// Returns if it is the CPU's first; otherwise prints `what` raw, and ends the machine.
fn begin(what: fmt::Arguments<'_>) {
    interrupts::disable();
    if !percpu::is_installed() {
        // Even which CPU this is cannot be asked: the first lines of all.
        console::fallback(format_args!("panic before the first per-CPU block: {what}"));
        exit(ExitCode::Fail);
    }
    match percpu::this().panics.fetch_add(1, Ordering::Relaxed) {
        0 => {
            first().keep(what);
            // Whatever is switched off: people see the panic.
            switches::say_all_of(module_path!());
        }
        1 => fail_again(what),
        2 => fail_once_more(what),
        _ => exit(ExitCode::Fail),
    }
}

/// What the calling CPU failed with first.
fn first() -> &'static Words {
    &FIRST[percpu::cpu_index() % MAX_CPUS]
}

/// A failure while this CPU was reporting its first: the log or the console is broken, or it cannot
/// be said what failed.
fn fail_again(what: fmt::Arguments<'_>) -> ! {
    let cpu = percpu::cpu_index();
    let ends_it = is_mine_to_end();
    if ends_it {
        // So that nobody prints in between.
        stop::stop_others();
    }
    // What is known already comes first: to say what failed now may fail, too.
    first().with(|first| console::fallback(format_args!("cpu {cpu} failed: {first}")));
    console::fallback(format_args!(
        "cpu {cpu} failed while it was panicking: {what}"
    ));
    if !ends_it {
        // Another CPU is about to print everything, and ends the machine.
        stop::stop();
    }
    leave();
    exit(ExitCode::Fail)
}

/// A failure in what is done after a second one. Other CPUs have stopped, or another ends the
/// machine.
fn fail_once_more(what: fmt::Arguments<'_>) -> ! {
    let cpu = percpu::cpu_index();
    console::fallback(format_args!("cpu {cpu} failed once more: {what}"));
    if !is_mine_to_end() {
        stop::stop();
    }
    leave();
    exit(ExitCode::Fail)
}

/// Whether it is for this CPU to end the machine: no other has failed before.
fn is_mine_to_end() -> bool {
    let me = percpu::cpu_index();
    let claimed = OWNER.compare_exchange(NOBODY, me, Ordering::AcqRel, Ordering::Acquire);
    claimed.is_ok() || claimed == Err(me)
}

/// Ends a failure, and with it the machine, if this CPU is the first to get here.
fn end() -> ! {
    first().with(|what| {
        let cpu = percpu::cpu_index() as u32;
        evlog::emit(|| Panicked { cpu, what });
    });
    if !is_mine_to_end() {
        stop::stop();
    }
    let running = stop::stop_others();
    if !running.is_empty() {
        relay::error!(
            "these CPUs did not stop, so what they logged last may be missing: {running}"
        );
    }
    tell_without_log();
    leave();
    exit(ExitCode::Fail)
}

/// Prints what this CPU has failed with, if its log has ended before: nothing of it was logged.
fn tell_without_log() {
    let cpu = percpu::cpu_index();
    if klog::CHANNEL.is_closed(cpu) {
        first().with(|what| {
            console::fallback(format_args!(
                "cpu {cpu} failed behind the end of its log: {what}"
            ));
        });
    }
}

/// Has everything that was logged printed, then sent. A step that has failed is not begun again:
/// the next one follows. The other CPUs have stopped, and this one logs nothing any more.
fn leave() {
    static BEGUN: AtomicUsize = AtomicUsize::new(0);
    go_on(
        &BEGUN,
        &[console::panic_flush, tell_attempts, tell_sent, || {
            console::panic_note(format_args!("{}", salvage::send()));
        }],
    );
}

/// Tells what all CPUs have tried to write, by their own counts: the claims of a machine that ends
/// so.
fn tell_attempts() {
    for (cpu, path, tried) in registry::tried() {
        console::panic_note(format_args!("cpu {cpu}: {path} was tried {tried} times"));
    }
}

/// Tells which programs have drained the machine, and how much they have sent.
fn tell_sent() {
    for (by, packets) in sent::by_programs() {
        console::panic_note(format_args!("{by} has sent {packets} packets"));
    }
}

/// Takes the steps that were not `begun`, one after the other, each once whatever becomes of it.
fn go_on(begun: &AtomicUsize, steps: &[fn()]) {
    while let Some(step) = steps.get(begun.fetch_add(1, Ordering::Relaxed)) {
        step();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mem::stacks::StackKind;

    #[test]
    fn a_step_that_fails_is_left_out_and_the_others_are_taken_once() {
        static TAKEN: AtomicUsize = AtomicUsize::new(0);
        let steps: [fn(); 4] = [
            || _ = TAKEN.fetch_add(1, Ordering::Relaxed),
            || panic!("it is broken"),
            || panic!("it is broken, too"),
            || _ = TAKEN.fetch_add(1000, Ordering::Relaxed),
        ];
        let begun = AtomicUsize::new(0);
        let failed = || std::panic::catch_unwind(|| go_on(&begun, &steps)).is_err();
        assert_eq!(
            [failed(), failed(), failed(), failed()],
            [true, true, false, false]
        );
        assert_eq!(TAKEN.load(Ordering::Relaxed), 1001);
    }

    fn text(vector: u64, error: u64, rsp: u64, cr2: u64) -> String {
        let frame = TrapFrame {
            vector,
            error,
            rsp,
            rip: 0x1234,
            ..TrapFrame::default()
        };
        let cpu = 3;
        Report {
            frame: &frame,
            cr2,
            cpu,
        }
        .to_string()
    }

    #[test]
    fn exceptions_are_told_from_stack_overflows() {
        stacks::register(Stack {
            cpu: 5,
            kind: StackKind::Nmi,
            bottom: 0x70_0000,
            top: 0x71_0000,
            guard: 0x1000,
        });
        assert_eq!(
            text(14, 2, 0x70_8000, 0x10),
            "cpu 3: page fault (vector 14) at 0x1234, error code 0x2 \
             (write to an unmapped page), cr2 0x10"
        );
        assert_eq!(
            text(13, 0, 0x70_8000, 0x6f_fff8),
            "cpu 3: general protection fault (vector 13) at 0x1234, error code 0x0"
        );
        let overflow = "kernel stack overflow on cpu 3: double fault (vector 8) at 0x1234, \
             rsp 0x700000, cr2 0x6ffff8, below the NMI stack of cpu 5 (0x700000 to 0x710000)";
        assert_eq!(text(8, 0, 0x70_0000, 0x6f_fff8), overflow);
        // The guard is hit by the stack pointer alone, or by an access further down.
        assert!(text(8, 0, 0x6f_ff00, 0).starts_with("kernel stack overflow"));
        assert!(text(14, 2, 0x70_0100, 0x6f_f000).starts_with("kernel stack overflow"));
        assert!(!text(14, 2, 0x6f_ff00, 0).starts_with("kernel stack overflow"));
        assert!(!text(8, 0, 0x70_0000, 0x6e_fff8).starts_with("kernel stack overflow"));
    }
}
