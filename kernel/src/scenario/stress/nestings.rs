//! How often something was interrupted, by what, and where in a write it was.
//!
//! Each CPU counts what comes to it, in the handler that it counts: a handler does not interrupt
//! its own kind, so plain loads and stores will do.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use relay::Context;

use super::channel;
use super::plan::Writer;
use crate::base::cpuset::{CpuSet, MAX_CPUS};
use crate::cpu::percpu;

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The CPU's timer interrupt.
    Timer,
    /// An interrupt that another CPU has sent.
    Ipi,
    /// An NMI that another CPU has sent.
    Nmi,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Timer, Self::Ipi, Self::Nmi];

    /// Who writes then.
    pub(super) const fn writer(self) -> Writer {
        match self {
            Self::Timer => Writer::Irq,
            Self::Ipi => Writer::Ipi,
            Self::Nmi => Writer::Nmi,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Timer => "timer",
            Self::Ipi => "ipi",
            Self::Nmi => "nmi",
        }
    }
}

/// Where in a write it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scenario) enum Place {
    /// Anywhere else.
    Elsewhere,
    /// Between the load of the position and its swap.
    Loaded,
    /// Between reserve and commit.
    Reserved,
    /// While a packet is closed or opened.
    Switch,
    /// While a packet is made readable.
    Delivery,
}

impl Place {
    const COUNT: usize = 5;

    /// How often the handlers of NMIs must have come there, in a kernel that can tell.
    const WANTED: [u64; Self::COUNT] = [0, 1000, 100, 100, 100];

    /// The places that relay's phases tell, by their numbers.
    const OF_PHASE: [Self; Self::COUNT] = [
        Self::Elsewhere,
        Self::Loaded,
        Self::Reserved,
        Self::Switch,
        Self::Delivery,
    ];

    /// Where this CPU is.
    pub(in crate::scenario) fn now() -> Self {
        let place = Self::OF_PHASE.get(channel::phase(percpu::cpu_index()));
        place.copied().unwrap_or(Self::Elsewhere)
    }
}

/// How many swaps must have failed, in a kernel that can tell.
const FAILED: u64 = 1000;

/// What came to one CPU: by kind, by whether an interrupt was interrupted, by place.
#[repr(align(128))]
pub(super) struct Nestings {
    counts: [[[AtomicU64; Place::COUNT]; 2]; 3],
    /// How often a complete packet was not delivered when its CPU had nothing under way.
    owed: AtomicU64,
}

static NESTINGS: [Nestings; MAX_CPUS] = [const {
    Nestings {
        counts: [const { [const { [const { AtomicU64::new(0) }; Place::COUNT] }; 2] }; 3],
        owed: AtomicU64::new(0),
    }
}; MAX_CPUS];

impl Nestings {
    pub(super) fn of(cpu: usize) -> &'static Self {
        &NESTINGS[cpu % MAX_CPUS]
    }

    /// Looks whether everything of the calling CPU that is complete is delivered. Task context.
    pub(super) fn look(&self) {
        if channel::owes_delivery() {
            self.owed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts one, and says how many of the kind came before. In its handler.
    pub(super) fn note(&self, kind: Kind, interrupted: Context) -> u64 {
        let counts = self.counts[kind as usize].as_flattened();
        let before = counts.iter().map(|count| count.load(Ordering::Relaxed));
        let before = before.sum();
        self.count(kind, interrupted, Place::now());
        before
    }

    fn count(&self, kind: Kind, interrupted: Context, place: Place) {
        let of = usize::from(interrupted != Context::Task);
        let count = &self.counts[kind as usize][of][place as usize];
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

/// The sums over some CPUs.
#[derive(Debug, Default)]
pub(super) struct Sums {
    counts: [[[u64; Place::COUNT]; 2]; 3],
    /// Swaps that failed.
    failed: u64,
    /// How often a complete packet was not delivered when its CPU had nothing under way.
    pub(super) owed: u64,
    /// There is one CPU: nobody sends it anything.
    is_alone: bool,
}

/// What came to all of these CPUs.
pub(super) fn all(cpus: CpuSet) -> Sums {
    let mut sums = Sums {
        is_alone: cpus.iter().count() == 1,
        ..Sums::default()
    };
    for cpu in cpus.iter() {
        let own = Nestings::of(cpu);
        sums.owed += own.owed.load(Ordering::Relaxed);
        let own = own.counts.as_flattened().as_flattened();
        let all = sums.counts.as_flattened_mut().as_flattened_mut();
        for (sum, count) in all.iter_mut().zip(own) {
            *sum += count.load(Ordering::Relaxed);
        }
        sums.failed += channel::failed_swaps(cpu);
    }
    sums
}

impl Sums {
    /// Whether NMIs came often enough where they matter; true if this kernel cannot tell.
    pub(super) fn are_enough(&self) -> bool {
        self.compare(|seen, wanted| seen >= wanted)
    }

    /// Whether none came at a place where they matter; false if this kernel cannot tell.
    pub(super) fn lack_some(&self) -> bool {
        !self.compare(|seen, wanted| seen > 0 || wanted == 0)
    }

    /// Whether `is_right` of what was seen and wanted, everywhere.
    fn compare(&self, is_right: impl Fn(u64, u64) -> bool) -> bool {
        let [of_task, of_irq] = &self.counts[Kind::Nmi as usize];
        let seen = of_task.iter().zip(of_irq).map(|(task, irq)| task + irq);
        let mut all = seen.zip(Place::WANTED).chain([(self.failed, FAILED)]);
        let can_tell = cfg!(feature = "stress") && !self.is_alone;
        !can_tell || all.all(|(seen, wanted)| is_right(seen, wanted))
    }

    /// Gives `tell` what there is to say, line by line.
    pub(super) fn lines(&self, mut tell: impl FnMut(fmt::Arguments<'_>)) {
        for kind in Kind::ALL {
            for (of, name) in ["task", "irq"].into_iter().enumerate() {
                let counts = self.counts[kind as usize][of];
                let [_, loaded, reserved, switch, delivery] = counts;
                let all: u64 = counts.iter().sum();
                if all != 0 {
                    tell(format_args!(
                        "{} in {name}: {all}, of these {loaded} between load and swap, {reserved} \
                         between reserve and commit, {switch} in a switch, {delivery} in delivery",
                        kind.name(),
                    ));
                }
            }
        }
        match cfg!(feature = "stress") {
            true => tell(format_args!("{} swaps failed", self.failed)),
            false => tell(format_args!(
                "where in a write they came is told by a kernel with the feature stress"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_those_of_all_cpus() {
        // CPUs that no other test uses.
        let cpus = CpuSet::from_bits(0b11 << 20);
        for cpu in cpus.iter() {
            let own = Nestings::of(cpu);
            own.count(Kind::Nmi, Context::Task, Place::Loaded);
            own.count(Kind::Nmi, Context::Irq, Place::Switch);
            own.count(Kind::Timer, Context::Task, Place::Elsewhere);
        }
        let sums = all(cpus);
        let mut lines = Vec::new();
        sums.lines(|line| lines.push(line.to_string()));
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert!(lines[0].starts_with("timer in task: 2, of these 0 between load and swap"));
        assert!(
            lines[1].starts_with("nmi in task: 2, of these 2 between load and swap, 0 between")
        );
        assert!(lines[2].contains("nmi in irq: 2, ") && lines[2].contains(" 2 in a switch,"));
        assert_eq!(sums.are_enough(), !cfg!(feature = "stress"));
        assert_eq!(sums.lack_some(), cfg!(feature = "stress"));
    }
}
