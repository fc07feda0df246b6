//! The reference kernel of relay: brings up every CPU of a PC and runs a scenario.
//!
//! Its only output is relay. See `docs/ARCHITECTURE.md`.

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

#[expect(
    unsafe_code,
    reason = "instructions, registers and hardware structures"
)]
mod arch;
mod channels;
mod claims;
mod cmdline;
mod console;
mod cpuset;
#[expect(unsafe_code, reason = "firmware tables and ports")]
mod dev;
mod drain;
mod error;
mod idle;
mod klog;
#[expect(unsafe_code, reason = "page tables and the allocator")]
mod mem;
mod panic;
mod salvage;
mod scenario;
mod transport;

use bootloader_api::BootInfo;
use x86_64::instructions::interrupts;

use arch::{apic, clock, percpu, pic, smp, tables};
use cmdline::Options;
use dev::{ExitCode, acpi};
use error::BringUpError;
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

/// Brings up the machine, runs the scenario, ends the machine.
fn kernel_main(info: &'static mut BootInfo) -> ! {
    // Which CPU this is, where records go, what happens on a fault: before all else.
    percpu::install(0);
    klog::init();
    tables::load_early();
    let options = command_line();
    if let Err(error) = bring_up(info, &options) {
        panic!("bring-up failed: {error}");
    }
    let verdict = scenario::run(&options);
    shut_down(&options, verdict)
}

/// What was asked for, with complaints logged.
fn command_line() -> Options<'static> {
    let text = boot::command_line();
    log::info!("command line: '{text}'");
    let options = cmdline::parse(text, |complaint| log::warn!("{complaint}"));
    log::set_max_level(options.level);
    options
}

/// Logs what went wrong on the way to the kernel.
///
/// # Errors
/// When the kernel should not go on after it.
fn boot_report() -> Result<(), BringUpError> {
    let report = boot::report();
    for error in report.errors() {
        if error.is_fatal() {
            log::error!("boot: {error}");
        } else {
            log::warn!("boot: {error}");
        }
    }
    if report.dropped() != 0 {
        log::warn!("boot: {} more", report.dropped());
    }
    if report.is_fatal() {
        return Err(BringUpError::Boot);
    }
    Ok(())
}

/// From a CPU with a stack to a machine with all CPUs running and interrupts on.
fn bring_up(info: &'static BootInfo, options: &Options<'static>) -> Result<(), BringUpError> {
    boot_report()?;

    // Memory, and proper stacks for this CPU's faults.
    let memory = mem::init(info)?;
    log::info!("heap ready: {memory}");
    tables::build(mem::interrupt_stacks_for(0)?).load();

    // The machine: CPUs, interrupt controllers, clock.
    let mut platform = acpi::discover(info.rsdp_addr.into_option())?;
    pic::silence();
    apic::map(platform.processors.local_apic)?;
    apic::enable();
    percpu::set_apic_id(apic::id());
    platform.processors.put_first(apic::id());
    let calibration = clock::calibrate(platform.hpet, options.tsc_hz)?;

    // The log at its full size, and somebody who reads it.
    let cpus = platform.processors.ids().len();
    channels::grow_log(cpus);
    transport::keep(cpus);
    console::init();
    idle::print();
    channels::start_others(cpus, options);
    channels::describe(cpus);
    transport::init(cpus);
    transport::join();
    log::info!("clock: {calibration}");
    log::info!("cpus: {}", platform.processors);

    // Interrupts, then the other CPUs: CPU 0 sleeps while it waits for them.
    percpu::set_online();
    apic::start_timer();
    interrupts::enable();
    let missing = smp::start_others(platform.processors.ids(), options.lose)?;
    if !missing.is_empty() {
        log::warn!("these CPUs did not come up, the rest go on: {missing}");
    }
    Ok(())
}

/// Ends the machine in order: every stream is closed by its CPU and printed to its end.
fn shut_down(options: &Options<'static>, verdict: Verdict) -> ! {
    let awake = smp::park_others();
    let verdict = if awake.is_empty() {
        verdict
    } else {
        log::error!("these CPUs did not close their streams: {awake}");
        Verdict::Fail
    };
    scenario::conclude(options, verdict);
    channels::close_this_cpu();
    console::finish();
    transport::finish(core::hint::spin_loop);
    dev::exit(match verdict {
        Verdict::Pass => ExitCode::Pass,
        Verdict::Fail => ExitCode::Fail,
    })
}

/// The host's build of the kernel is for tests and lints only.
#[cfg(not(target_os = "none"))]
fn main() {
    println!("This is a kernel: it runs on a bare machine, not here. To boot it in QEMU:");
    println!("    cargo run");
    println!("or, without the host program around it:");
    println!("    cargo run -p kernel --target x86_64-unknown-none");
}
