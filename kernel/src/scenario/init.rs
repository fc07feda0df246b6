//! `init`: the first program is started, and starts others; the machine ends when it does.

use relay_abi::Ended;

use super::definition::{Scenario, Verdict};
use crate::base::cmdline::Options;
use crate::base::settings::{About, Preset, Setting, Takes};
use crate::cpu::clock::Timeout;
use crate::life::idle;
use crate::mem::{self, heap};
use crate::sched;
use crate::user::{archive, start};

pub(super) static SCENARIO: Scenario = Scenario {
    about: About {
        name: "init",
        about: "starts the program init, which starts others, and ends when it does",
        settings: &[PROGRAMS],
    },
    boot_cpu,
    other_cpu: |_| {},
    on_timer: |_| {},
    on_ipi: |_| {},
    on_nmi: |_| {},
};

/// What init is told.
const PROGRAMS: Setting = Setting {
    key: "programs",
    about: "programs that init starts, separated by ';', each with arguments behind ','",
    takes: Takes::Text("NAME[,ARGUMENT...][;...]"),
    default: Preset::Else("hello"),
};

/// How long the stacks of threads that have ended may take to be left.
const PATIENCE_MS: u64 = 1_000;

fn boot_cpu(options: &Options<'static>) -> Verdict {
    let programs = options.text(&PROGRAMS).unwrap_or("hello");
    if !archive::is_there() {
        relay::error!("there are no programs: the machine was started without their archive");
        return Verdict::Fail;
    }
    sched::reap();
    let (frames, used) = (mem::free_frames(), heap::used());
    let init = match start::first("init", programs) {
        Ok(init) => init,
        Err(error) => {
            relay::error!("init is not started: {error}");
            return Verdict::Fail;
        }
    };
    idle::until(|| init.ended() != Ended::Not);
    let ended = init.ended();
    let pid = init.pid();
    drop(init);
    let is_good = ended == Ended::Exited(0);
    match ended {
        Ended::Exited(0) => relay::info!("init[{pid}] has ended"),
        _ => relay::error!("init[{pid}] has ended badly: {ended:?}"),
    }
    match is_good && is_all_back(frames, used) {
        true => Verdict::Pass,
        false => Verdict::Fail,
    }
}

/// Whether all memory that programs had is back; says what is not.
fn is_all_back(frames: u64, used: usize) -> bool {
    let patience = Timeout::after_ms(PATIENCE_MS);
    let is_back = || {
        sched::reap();
        mem::free_frames() >= frames
    };
    idle::until(|| is_back() || patience.expired());
    let (now, used_now) = (mem::free_frames(), heap::used());
    relay::info!(
        "frames free {frames} before, {now} now; heap {used} bytes before, {used_now} now"
    );
    let is_good = now >= frames && used_now <= used;
    if !is_good {
        relay::error!("programs have ended, and not all of their memory is back");
    }
    is_good
}
