//! The reference kernel of relay: brings up every CPU of a PC and runs a scenario.
//!
//! Its only output is relay. See `docs/ARCHITECTURE.md`. The floors, from the ground up; none
//! imports one that stands above it (`tests/tests/floors`):
//!
//! | floor | what |
//! |---|---|
//! | `base` | plain values: the command line and what it may say, sets of CPUs |
//! | `cpu` | this CPU: its number, its context, its clock; relay's `Platform` |
//! | `logs` | what is written: the channels of all clients |
//! | `mem` | frames, page tables, heap, stacks |
//! | `arch` | interrupt controllers, traps, the other CPUs |
//! | `dev` | firmware tables, PCI, virtio, the serial port, the way out |
//! | `sched` | threads, and which of them runs where |
//! | `user` | programs: what they ask of the kernel |
//! | `out` | console, pumps and sinks: what is written leaves the machine |
//! | `life` | bring-up, idling, the end in order, the end by a panic |
//! | `scenario` | what the machine does in between |

#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(
    not(target_os = "none"),
    expect(
        dead_code,
        reason = "on the host only the tests and the lints use the kernel"
    )
)]
#![deny(unsafe_code)]

extern crate alloc;

#[expect(unsafe_code, reason = "instructions, registers, descriptor tables")]
mod arch;
mod base;
#[expect(unsafe_code, reason = "registers, and the promise to relay")]
mod cpu;
#[expect(unsafe_code, reason = "firmware tables, ports, what devices read")]
mod dev;
mod life;
mod logs;
#[expect(unsafe_code, reason = "page tables and the allocator")]
mod mem;
mod out;
mod scenario;
mod sched;
mod user;

use bootloader_api::BootInfo;

use arch::frame::Interrupted;
use arch::handlers::Handlers;
use dev::ExitCode;
use life::{bring_up, panic, profiler, shut_down};
use logs::evlog;
use logs::operator::Shortfall;
use scenario::Verdict;

/// What the kernel asks of the boot code.
#[cfg(target_os = "none")]
static BOOTLOADER_CONFIG: bootloader_api::BootloaderConfig = {
    let mut config = bootloader_api::BootloaderConfig::new_default();
    config.kernel_stack_size = 64 * 1024;
    config.mappings.physical_memory = Some(bootloader_api::config::Mapping::Dynamic);
    config
};

#[cfg(target_os = "none")]
bootloader_api::entry_point!(kernel_main, config = &BOOTLOADER_CONFIG);

// What the command line may say, for whoever has the ELF file.
#[cfg(target_os = "none")]
boot::keep_in_elf!(".relay.settings", scenario::SETTINGS);

/// What is done in traps.
static TRAPS: Handlers = Handlers {
    timer: on_timer,
    wake: on_wake,
    nmi: on_nmi,
    page_fault: |frame| panic::exception(frame),
    exception: panic::exception,
    system_call: user::calls::call,
    user_fault: user::fault::on_fault,
    leave: sched::leave,
    preempt: sched::preempt,
};

/// Brings up the machine, runs the scenario, ends the machine.
fn kernel_main(info: &'static mut BootInfo) -> ! {
    bring_up::begin(&TRAPS);
    let mut options = bring_up::command_line(&scenario::ABOUTS);
    let missing = match bring_up::bring_up(info, &options, run_other_cpu) {
        Ok(missing) => missing,
        Err(error) => panic!("bring-up failed: {error}"),
    };
    scenario::settle(&mut options);
    let verdict = scenario::run(&options);
    profiler::stop();
    shut_down::finish_snapshot();
    let all_parked = shut_down::park_others();
    let lacks = base::shortfall::is_noted();
    if lacks {
        relay::error!("this machine cannot use all that it has: an error above says what and why");
        evlog::emit(|| Shortfall);
    }
    let verdict = match all_parked && missing.is_empty() && !lacks {
        true => verdict,
        false => Verdict::Fail,
    };
    scenario::conclude(&options, verdict);
    shut_down::shut_down(match verdict {
        Verdict::Pass => ExitCode::Pass,
        Verdict::Fail => ExitCode::Fail,
    })
}

/// What every CPU but CPU 0 does once it is up: its part in the scenario, then nothing.
fn run_other_cpu() -> ! {
    life::thread::begin();
    out::virtio::join();
    life::programs::join();
    scenario::take_part();
    life::idle::forever()
}

/// Every CPU's timer interrupt.
fn on_timer(interrupted: &Interrupted) {
    if profiler::on_timer(interrupted) {
        scenario::on_timer(interrupted);
        logs::registry::tick();
        out::virtio::hear();
        out::pump::poll();
        if cpu::percpu::cpu_index() == 0 {
            user::syslog::tick();
        }
        sched::tick();
    }
}

/// Every CPU's wake-ups.
fn on_wake(interrupted: &Interrupted) {
    user::file::wait::deliver();
    scenario::on_wake(interrupted);
}

/// Every CPU's NMIs.
fn on_nmi(interrupted: &Interrupted) {
    if profiler::on_nmi(interrupted) {
        scenario::on_nmi(interrupted);
    }
}

/// The host's build of the kernel is for tests and lints only.
#[cfg(not(target_os = "none"))]
fn main() {
    println!("This is a kernel: it runs on a bare machine, not here. To boot it in QEMU:");
    println!("    cargo run");
    println!("or, without the host program around it:");
    println!("    cargo run -p kernel --target x86_64-unknown-none");
}
