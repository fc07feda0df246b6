//! What the machine does after bring-up, chosen with `scenario=` on the command line; without that
//! `init`, or `smoke` where there are no programs.

mod clients;
mod cost;
mod definition;
mod drain;
mod emptied;
mod flood;
mod hang;
mod hot;
mod idle;
mod init;
mod panic;
mod part;
mod pattern;
mod pin;
mod recorder;
mod smoke;
mod stress;
mod types;

use spin::Once;

use definition::Scenario;

use crate::arch::frame::Interrupted;
use crate::arch::smp;
use crate::base::cmdline::Options;
use crate::base::cpuset::CpuSet;
use crate::base::describe::{Text, describe};
use crate::base::settings::About;
use crate::cpu::{clock, percpu};
use crate::life;
use crate::life::programs::{self, Programs};
use crate::logs::evlog;
use crate::logs::operator::{ScenarioBegun, ScenarioFailed, ScenarioPassed};
use crate::user::archive;

pub(crate) use definition::Verdict;

/// All scenarios.
static ALL: [&Scenario; 14] = [
    &init::SCENARIO,
    &smoke::SCENARIO,
    &idle::SCENARIO,
    &panic::SCENARIO,
    &hang::SCENARIO,
    &flood::SCENARIO,
    &stress::SCENARIO,
    &recorder::SCENARIO,
    &drain::SCENARIO,
    &cost::SCENARIO,
    &types::SCENARIO,
    &pattern::SCENARIO,
    &clients::SCENARIO,
    &hot::SCENARIO,
];

/// What the command line has to know of them.
pub(crate) static ABOUTS: [About; ALL.len()] = {
    let mut abouts = [smoke::SCENARIO.about; ALL.len()];
    let mut at = 0;
    while at < ALL.len() {
        abouts[at] = ALL[at].about;
        at += 1;
    }
    abouts
};

/// The same as text, for [`SETTINGS`].
const TEXT: Text<16384> = describe(&ABOUTS);

/// The same as JSON, for the host.
pub(crate) const SETTINGS: [u8; TEXT.len()] = TEXT.to_array();

/// What is being run, once the machine is up.
static RUNNING: Once<(&'static Scenario, Options<'static>)> = Once::new();

/// Settles what the machine does: where nothing was asked for and there are no programs, what needs
/// none. Task context, when memory is there.
pub(crate) fn settle(options: &mut Options<'static>) {
    if options.complaints != 0 || options.is_asked_for() || archive::is_there() {
        return;
    }
    let about = &smoke::SCENARIO.about;
    relay::info!(
        "the machine was started without programs: it runs scenario {}, not {}",
        about.name,
        options.scenario
    );
    options.choose(about);
}

/// Runs the scenario that the options name, on all CPUs, and says how it ended.
/// The end is logged by [`conclude`].
///
/// Once, in task context on CPU 0, when all CPUs are up.
pub(crate) fn run(options: &Options<'static>) -> Verdict {
    let mut all = ALL.iter();
    let named = all.find(|known| known.about.name == options.scenario);
    let Some(&scenario) = named.filter(|_| options.complaints == 0) else {
        relay::error!(
            "scenario {} is not started: the command line is wrong, see above",
            options.scenario
        );
        return Verdict::Fail;
    };
    let online = percpu::online();
    let About { name, about, .. } = scenario.about;
    let Ok(programs) = programs::begin(options) else {
        return Verdict::Fail;
    };
    relay::info!("scenario {name}: {about} (cpus {online})");
    evlog::emit(|| ScenarioBegun { name });
    RUNNING.call_once(|| (scenario, *options));
    smp::wake(online.without(CpuSet::only(percpu::cpu_index())));
    let (begin, halted) = (clock::ticks(), percpu::halted());
    let verdict = (scenario.boot_cpu)(options);
    let verdict = match programs.is_none_or(Programs::finish) {
        true => verdict,
        false => Verdict::Fail,
    };
    let took = clock::ticks().wrapping_sub(begin);
    let halted = percpu::halted().wrapping_sub(halted);
    relay::debug!(
        "cpu 0 was busy for {} of {took} ticks, {} of all since it began",
        took.saturating_sub(halted),
        clock::ticks().saturating_sub(percpu::halted())
    );
    verdict
}

/// Logs how the scenario ended: the last record of an orderly end.
pub(crate) fn conclude(options: &Options<'static>, verdict: Verdict) {
    let name = options.scenario;
    match verdict {
        Verdict::Pass => {
            relay::info!("scenario {name}: {verdict}");
            evlog::emit(|| ScenarioPassed { name });
        }
        Verdict::Fail => {
            relay::error!("scenario {name}: {verdict}");
            evlog::emit(|| ScenarioFailed { name });
        }
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
pub(crate) fn on_timer(interrupted: &Interrupted) {
    if let Some((scenario, _)) = RUNNING.get() {
        (scenario.on_timer)(interrupted);
    }
}

/// Called in every wake-up from another CPU.
pub(crate) fn on_wake(interrupted: &Interrupted) {
    if let Some((scenario, _)) = RUNNING.get() {
        (scenario.on_ipi)(interrupted);
    }
}

/// Called in every NMI.
pub(crate) fn on_nmi(interrupted: &Interrupted) {
    if percpu::is_closing() {
        return;
    }
    if let Some((scenario, _)) = RUNNING.get() {
        (scenario.on_nmi)(interrupted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::cmdline;

    #[test]
    fn names_are_distinct_and_the_default_is_among_them() {
        let mut names: Vec<_> = ALL.iter().map(|scenario| scenario.about.name).collect();
        assert_eq!(cmdline::parse("", &ABOUTS, |_| {}).scenario, "init");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }

    #[test]
    fn what_the_host_is_told_is_what_it_is_tested_with() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../relayctl/machine/tests/settings.json"
        );
        let text = str::from_utf8(&SETTINGS).expect("it is text");
        if std::env::var_os("RELAY_UPDATE_SETTINGS").is_some() {
            std::fs::write(path, text).expect("it can be written");
        }
        let sample = std::fs::read_to_string(path).expect("it can be read");
        assert!(
            text == sample,
            "{path} is another; RELAY_UPDATE_SETTINGS=1 cargo test -p kernel scenario writes\n{text}"
        );
    }
}
