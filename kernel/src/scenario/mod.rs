//! What the machine does after bring-up, chosen with `scenario=` on the command line.

mod cost;
mod definition;
mod drain;
mod flood;
mod hang;
mod idle;
mod panic;
mod pin;
mod smoke;

use core::fmt;

use spin::Once;

use definition::Scenario;

use crate::arch::smp;
use crate::base::cmdline::Options;
use crate::base::cpuset::CpuSet;
use crate::cpu::percpu;
use crate::life;

pub(crate) use definition::Verdict;

/// All scenarios.
static ALL: [&Scenario; 7] = [
    &smoke::SCENARIO,
    &idle::SCENARIO,
    &panic::SCENARIO,
    &hang::SCENARIO,
    &flood::SCENARIO,
    &drain::SCENARIO,
    &cost::SCENARIO,
];

/// What is being run, once the machine is up.
static RUNNING: Once<(&'static Scenario, Options<'static>)> = Once::new();

/// Runs the scenario that the options name, on all CPUs, and says how it ended.
/// The end is logged by [`conclude`].
///
/// Once, in task context on CPU 0, when all CPUs are up.
pub(crate) fn run(options: &Options<'static>) -> Verdict {
    let Some(&scenario) = ALL.iter().find(|known| known.name == options.scenario) else {
        log::error!(
            "command line: unknown scenario '{}'; known scenarios: {}",
            options.scenario,
            Names
        );
        return Verdict::Fail;
    };
    let online = percpu::online();
    log::info!(
        "scenario {}: {} (seed {}, cpus {online})",
        scenario.name,
        scenario.about,
        options.seed
    );
    RUNNING.call_once(|| (scenario, *options));
    smp::wake(online.without(CpuSet::only(percpu::cpu_index())));
    (scenario.boot_cpu)(options)
}

/// Logs how the scenario ended: the last record of an orderly end.
pub(crate) fn conclude(options: &Options<'static>, verdict: Verdict) {
    match verdict {
        Verdict::Pass => log::info!("scenario {}: {verdict}", options.scenario),
        Verdict::Fail => log::error!("scenario {}: {verdict}", options.scenario),
    }
}

/// The part of a CPU that is not CPU 0, from when the scenario is chosen on. Task context.
pub(crate) fn take_part() {
    life::idle::until(|| RUNNING.get().is_some());
    if let Some((scenario, options)) = RUNNING.get() {
        (scenario.other_cpu)(options);
    }
}

/// Called in every timer interrupt.
pub(crate) fn on_timer() {
    if let Some((scenario, _)) = RUNNING.get() {
        (scenario.on_timer)();
    }
}

/// Called in every wake-up from another CPU.
pub(crate) fn on_wake() {
    if let Some((scenario, _)) = RUNNING.get() {
        (scenario.on_ipi)();
    }
}

/// Called in every NMI.
pub(crate) fn on_nmi() {
    if let Some((scenario, _)) = RUNNING.get() {
        (scenario.on_nmi)();
    }
}

/// The names of all scenarios, for messages.
struct Names;

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, scenario) in ALL.iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(f, "{separator}{}", scenario.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_the_default_is_among_them() {
        let mut names: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
        assert!(names.contains(&Options::default().scenario));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert_eq!(
            Names.to_string(),
            "smoke, idle, panic, hang, flood, drain, cost"
        );
    }
}
