//! Bring-up: from a CPU with a stack to a machine with all CPUs running.

use core::fmt;

use arrayvec::ArrayVec;
use bootloader_api::BootInfo;
use x86_64::instructions::interrupts;

use super::error::BringUpError;
use super::{idle, others, profiler, thread};
use crate::arch::handlers::{self, Handlers};
use crate::arch::sampling::Machine;
use crate::arch::{apic, calibrate, pic, smp, tables};
use crate::base::cmdline::{self, Options};
use crate::base::cpuset::CpuSet;
use crate::base::settings::{About, EVLOG, LOG, LOSE, TRACE, TRACE_SNAPSHOT, TSC_HZ};
use crate::cpu::{bell, clock, percpu, vector};
use crate::dev::{acpi, rtc};
use crate::logs::operator::{BootFinished, CpuMissing, SettingRefused};
use crate::logs::{evlog, registry, switches};
use crate::mem::{self, stacks};
use crate::out::{console, description, intake, pump, virtio, waker, ways};
use crate::user::archive;
use crate::user::file::wait;

/// When time begins, which CPU this is, where records go, what happens on a fault: before all else.
pub(crate) fn begin(traps: &'static Handlers) {
    clock::begin(boot::entry_ticks());
    percpu::install(0);
    registry::start_early();
    handlers::register(traps);
    tables::load_early();
}

/// What was asked for of `scenarios`, with complaints logged.
pub(crate) fn command_line(scenarios: &'static [About]) -> Options<'static> {
    let text = boot::command_line();
    relay::info!("command line: '{text}'");
    let mut refused = ArrayVec::<_, 8>::new();
    let mut options = cmdline::parse(text, scenarios, |complaint| {
        relay::error!("{complaint}");
        // Those that come first say what is wrong.
        let _ = refused.try_push(complaint);
    });
    evlog::start_early(&options);
    for complaint in &refused {
        refuse(complaint);
    }
    for setting in [&LOG, &TRACE, &TRACE_SNAPSHOT, &EVLOG] {
        let Some(text) = options.text(setting) else {
            continue;
        };
        if let Err(error) = switches::set(setting.key, text) {
            relay::error!("command line: {}={text}: {error}", setting.key);
            refuse(&format_args!("{}={text}: {error}", setting.key));
            options.complaints += 1;
        }
    }
    options
}

/// Tells the operators what of the command line was refused.
fn refuse(why: &dyn fmt::Display) {
    let why = evlog::text(why);
    evlog::emit(|| SettingRefused { why: &why });
}

/// From a CPU with a stack to a machine with all CPUs running and interrupts on. The other CPUs
/// call `entry` when they are up. Returns the CPUs that did not come up.
///
/// # Errors
/// What stopped it.
pub(crate) fn bring_up(
    info: &'static BootInfo,
    options: &Options<'static>,
    entry: fn() -> !,
) -> Result<CpuSet, BringUpError> {
    boot_report()?;

    // Memory, and proper stacks for this CPU's faults.
    let memory = mem::init(info)?;
    relay::info!("heap ready: {memory}");
    archive::begin(mem::ramdisk(info));
    tables::build(stacks::interrupt_for(0)?).load();

    // The machine: CPUs, interrupt controllers, clock.
    let mut platform = acpi::discover(info.rsdp_addr.into_option())?;
    pic::silence();
    apic::map(platform.processors.local_apic)?;
    apic::enable();
    percpu::set_apic_id(apic::id());
    platform.processors.put_first(apic::id());
    let calibration = calibrate::calibrate(platform.clocks, options.value(&TSC_HZ));

    if let Some(seconds) = rtc::seconds() {
        clock::set_wall(seconds);
    }

    // The log at its full size, and somebody who reads it.
    let cpus = platform.processors.ids().len();
    let ways = ways::choose(options);
    registry::carry(ways.carried(), options);
    registry::grow_log(cpus, options, ways.is_slow());
    match ways.has_console() {
        true => console::init(cpus),
        false => console::do_without(),
    }
    intake::start(cpus);
    idle::print();
    registry::start_others(cpus, options, ways.is_slow());
    registry::describe(cpus);
    description::keep();
    thread::begin();
    waker::set(wait::wake);
    ways.take(cpus);
    virtio::join();
    relay::info!("clock: {calibration}");
    relay::info!("cpus: {}", platform.processors);

    bell::set(smp::ring_own_bell);
    mem::send_shootdowns_by(|cpu| smp::interrupt(cpu, vector::SHOOTDOWN));

    // Interrupts, then the other CPUs: CPU 0 sleeps while it waits for them.
    percpu::set_online();
    apic::start_timer();
    interrupts::enable();
    let lose = options.value(&LOSE).map(|cpu| cpu as usize);
    let missing = others::start(platform.processors.ids(), lose, entry)?;
    if !missing.is_empty() {
        relay::error!("these CPUs did not come up, the rest go on: {missing}");
        missing.iter().for_each(pump::do_without_cpu);
        for cpu in missing.iter() {
            evlog::emit(|| CpuMissing { cpu: cpu as u32 });
        }
    }
    evlog::emit(|| BootFinished {
        cpus: percpu::online().iter().count() as u32,
        missing: missing.iter().count() as u32,
    });
    let machine = Machine {
        hpet: platform.clocks.hpet,
        io_apics: &platform.io_apics,
        has_all: platform.processors.are_all(percpu::online()),
    };
    profiler::start(options, &machine);
    Ok(missing)
}

/// Logs what went wrong on the way to the kernel.
///
/// # Errors
/// When the kernel should not go on after it.
fn boot_report() -> Result<(), BringUpError> {
    let report = boot::report();
    for error in report.errors() {
        if error.is_fatal() {
            relay::error!("boot: {error}");
        } else {
            relay::warn!("boot: {error}");
        }
    }
    if report.dropped() != 0 {
        relay::warn!("boot: {} more", report.dropped());
    }
    if report.is_fatal() {
        return Err(BringUpError::Boot);
    }
    Ok(())
}
