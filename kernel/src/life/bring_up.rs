//! Bring-up: from a CPU with a stack to a machine with all CPUs running.

use bootloader_api::BootInfo;
use x86_64::instructions::interrupts;

use super::error::BringUpError;
use super::{idle, others};
use crate::arch::handlers::{self, Handlers};
use crate::arch::{apic, calibrate, pic, tables};
use crate::base::cmdline::{self, Options};
use crate::cpu::{clock, percpu};
use crate::dev::acpi;
use crate::logs::registry;
use crate::mem::{self, stacks};
use crate::out::{console, intake, virtio};

/// When time begins, which CPU this is, where records go, what happens on a fault: before all else.
pub(crate) fn begin(traps: &'static Handlers) {
    clock::begin(boot::entry_ticks());
    percpu::install(0);
    registry::start_early();
    handlers::register(traps);
    tables::load_early();
}

/// What was asked for, with complaints logged.
pub(crate) fn command_line() -> Options<'static> {
    let text = boot::command_line();
    log::info!("command line: '{text}'");
    let options = cmdline::parse(text, |complaint| log::warn!("{complaint}"));
    log::set_max_level(options.level);
    options
}

/// From a CPU with a stack to a machine with all CPUs running and interrupts on. The other CPUs
/// call `entry` when they are up.
///
/// # Errors
/// What stopped it.
pub(crate) fn bring_up(
    info: &'static BootInfo,
    options: &Options<'static>,
    entry: fn() -> !,
) -> Result<(), BringUpError> {
    boot_report()?;

    // Memory, and proper stacks for this CPU's faults.
    let memory = mem::init(info)?;
    log::info!("heap ready: {memory}");
    tables::build(stacks::interrupt_for(0)?).load();

    // The machine: CPUs, interrupt controllers, clock.
    let mut platform = acpi::discover(info.rsdp_addr.into_option())?;
    pic::silence();
    apic::map(platform.processors.local_apic)?;
    apic::enable();
    percpu::set_apic_id(apic::id());
    platform.processors.put_first(apic::id());
    let calibration = calibrate::calibrate(platform.clocks, options.tsc_hz);

    // The log at its full size, and somebody who reads it.
    let cpus = platform.processors.ids().len();
    registry::grow_log(cpus);
    console::init(cpus);
    intake::start(cpus);
    idle::print();
    registry::start_others(cpus, options);
    registry::describe(cpus);
    virtio::init(cpus);
    virtio::join();
    log::info!("clock: {calibration}");
    log::info!("cpus: {}", platform.processors);

    // Interrupts, then the other CPUs: CPU 0 sleeps while it waits for them.
    percpu::set_online();
    apic::start_timer();
    interrupts::enable();
    let missing = others::start(platform.processors.ids(), options.lose, entry)?;
    if !missing.is_empty() {
        log::warn!("these CPUs did not come up, the rest go on: {missing}");
    }
    Ok(())
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
