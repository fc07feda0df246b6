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
    default: Preset::Else(SOME),
};

/// Programs that show something: one says hello, one reads the kernel's log, one lists all channels.
const SOME: &str = "hello;dmesg,2;tracectl";

/// How long the stacks of threads that have ended may take to be left.
const PATIENCE_MS: u64 = 1_000;

fn boot_cpu(options: &Options<'static>) -> Verdict {
    let programs = options.text(&PROGRAMS).unwrap_or(SOME);
    if !archive::is_there() {
        relay::error!("there are no programs: the machine was started without their archive");
        return Verdict::Fail;
    }
    // What the first program needs for good is there before anything is counted: page tables of the
    // kernel's, room in lists.
    if !ends_well("") {
        return Verdict::Fail;
    }
    sched::reap();
    let before = Memory::now();
    let is_good = ends_well(programs);
    match is_good & before.is_back() {
        true => Verdict::Pass,
        false => Verdict::Fail,
    }
}

/// Runs the first program to its end, with these arguments; whether that was a good one.
fn ends_well(arguments: &str) -> bool {
    let init = match start::first("init", arguments) {
        Ok(init) => init,
        Err(error) => {
            relay::error!("init is not started: {error}");
            return false;
        }
    };
    idle::until(|| init.ended() != Ended::Not);
    let (pid, ended) = (init.pid(), init.ended());
    match ended {
        Ended::Exited(0) => relay::info!("init[{pid}] has ended"),
        _ => relay::error!("init[{pid}] has ended badly: {ended:?}"),
    }
    ended == Ended::Exited(0)
}

/// How much memory programs could have.
#[derive(Debug, Clone, Copy)]
struct Memory {
    /// Frames that are free.
    frames: u64,
    /// Bytes of the heap in use.
    used: usize,
}

impl Memory {
    fn now() -> Self {
        Self {
            frames: mem::free_frames(),
            used: heap::used(),
        }
    }

    /// Whether all of it is back; says how much is there.
    fn is_back(self) -> bool {
        let patience = Timeout::after_ms(PATIENCE_MS);
        let is_back = |now: Self| now.frames >= self.frames && now.used <= self.used;
        idle::until(|| {
            sched::reap();
            is_back(Self::now()) || patience.expired()
        });
        let (now, Self { frames, used }) = (Self::now(), self);
        relay::info!(
            "before programs {frames} frames were free, {} are now; the heap had {used} bytes in use, {} now",
            now.frames,
            now.used
        );
        if !is_back(now) {
            relay::error!("programs have ended, and not all of their memory is back");
        }
        is_back(now)
    }
}
