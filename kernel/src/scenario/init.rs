//! `init`: the first program is started, and starts others; the machine ends when it does.

use super::definition::{Scenario, Verdict};
use crate::arch::user::Walls;
use crate::arch::walls;
use crate::base::cmdline::Options;
use crate::base::settings::{About, Preset, SECONDS, Setting};
use crate::cpu::clock::Timeout;
use crate::life::programs;

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "init",
        about: "starts the program init, which starts others, and ends when it does",
        settings: &[UNTIL],
    },
    boot_cpu,
    other_cpu: |_| _ = has_walls(),
    on_timer: |_| {},
    on_ipi: |_| {},
    on_nmi: |_| {},
};

/// When programs that take channels see these end.
const UNTIL: Setting = Setting {
    about: "after which channels that are taken end, and soon programs must",
    default: Preset::Else("when init ends"),
    ..SECONDS
};

/// Programs are started before any scenario begins, and what becomes of them is told when it is over.
fn boot_cpu(options: &Options<'static>) -> Verdict {
    if !has_walls() {
        return Verdict::Fail;
    }
    let seconds = options.value(&UNTIL);
    programs::wait(seconds.map(|seconds| Timeout::after_ms(seconds * 1000)));
    Verdict::Pass
}

/// Tries the walls between programs and the kernel on this CPU, and tells; whether they stand.
fn has_walls() -> bool {
    match walls::check() {
        Ok(Walls { smep, smap, umip }) => {
            relay::debug!("the walls of ring 3 stand: smep {smep}, smap {smap}, umip {umip}");
            true
        }
        Err(error) => {
            relay::error!("the walls of ring 3: {error}");
            false
        }
    }
}
