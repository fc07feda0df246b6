//! Programs beside a scenario: the first of them, init, is started before it begins, and its end is
//! waited for when it is over; then all memory that programs had is back.
//!
//! When a scenario is over, the streams that programs [take](TAKEN) are closed: so who reads them to
//! their end ends. The scenario `init` does nothing but wait for init's end, which comes first there.

use alloc::format;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};

use relay::fs::Mount;
use relay_abi::Ended;

use super::{close, idle};
use crate::base::cmdline::Options;
use crate::base::cpuset::CpuSet;
use crate::base::settings::{DRAIN, DRAIN_USER, PROGRAMS, TAKEN};
use crate::cpu::clock::Timeout;
use crate::cpu::lock::IrqMutex;
use crate::cpu::patience::Patience;
use crate::cpu::percpu;
use crate::logs::{registry, user};
use crate::mem::{self, heap};
use crate::out::syslog_port;
use crate::out::takeover;
use crate::sched;
use crate::user::process::Process;
use crate::user::{archive, start, syslog};

/// Programs that show something: one says hello, one reads the kernel's log, one lists all channels.
const SOME: &str = "hello;dmesg,2;tracectl";

/// What runs beside all programs, as init is told: see its plan.
const SERVICES: &str = "+draind;";

/// The same where there is a port for syslog.
const WITH_SYSLOG: &str = "+logd;+draind,klog,evlog,user;";

/// The scenario that is there for programs: the heap is as it was when it is over.
const ALONE: &str = "init";

/// How long programs may go on when the scenario is over, while nothing of what they take or write
/// moves.
const PATIENCE_MS: u64 = 20_000;

/// How long the stacks of threads that have ended may take to be left.
const LEAVE_MS: u64 = 1_000;

/// How long other CPUs may take to have what they need for good.
const JOIN_MS: u64 = 5_000;

/// How long a program may take until it drains.
const TAKE_OVER_MS: u64 = 10_000;

/// The CPUs that have it, a bit each.
static JOINED: AtomicU32 = AtomicU32::new(0);

/// The first program, from its start until it is known to have ended.
static INIT: IrqMutex<Option<Arc<Process>>> = IrqMutex::new(None);

/// Programs that were started beside a scenario.
#[derive(Debug)]
pub(crate) struct Programs {
    before: Memory,
    /// The scenario leaves the heap as it was.
    is_alone: bool,
}

/// Programs are not started; why was logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotStarted;

/// This CPU, which is not CPU 0, has what it needs for good. Task context.
pub(crate) fn join() {
    JOINED.fetch_or(CpuSet::only(percpu::cpu_index()).bits(), Ordering::Release);
}

/// Starts the programs that the options name, if they name any, and counts the memory before. Task
/// context on CPU 0, when all CPUs are up.
///
/// # Errors
/// [`NotStarted`].
pub(crate) fn begin(options: &Options<'_>) -> Result<Option<Programs>, NotStarted> {
    let is_alone = options.scenario == ALONE;
    let drain = options.given(&DRAIN);
    let given = options.text(&PROGRAMS);
    let given = given.or((drain == Some(DRAIN_USER)).then_some(""));
    let Some(programs) = given.or(is_alone.then_some(SOME)) else {
        return match options.value(&TAKEN) {
            None => Ok(None),
            Some(_) => {
                relay::error!("channels are taken, and there are no programs that could take them");
                Err(NotStarted)
            }
        };
    };
    if !archive::is_there() {
        relay::error!("there are no programs: the machine was started without their archive");
        return Err(NotStarted);
    }
    // What the first program needs for good is there before anything is counted: page tables of the
    // kernel's, room in lists.
    let warm_up = start_init("")?;
    idle::until(|| warm_up.ended() != Ended::Not);
    if !tell_end(&warm_up) {
        return Err(NotStarted);
    }
    drop(warm_up);
    // So is what other CPUs take as they come up.
    let patience = Timeout::after_ms(JOIN_MS);
    let others = percpu::online().without(CpuSet::only(percpu::cpu_index()));
    let joined = || CpuSet::from_bits(JOINED.load(Ordering::Acquire));
    idle::until(|| others.without(joined()).is_empty() || patience.expired());
    sched::reap();
    let before = Memory::now();
    let services = match drain.is_none_or(|drain| drain == DRAIN_USER) {
        true if syslog_port::is_there() => WITH_SYSLOG,
        true => SERVICES,
        false => "",
    };
    // Beside a scenario services go on until it is over.
    let stay = if is_alone { "" } else { "stay;" };
    *INIT.lock() = Some(start_init(&format!("{services}{stay}{programs}"))?);
    Ok(Some(Programs { before, is_alone }))
}

/// Where a program shall drain by what was asked for: waits until it does. False: it does not, which was
/// told. Task context on CPU 0.
pub(crate) fn wait_for_drain(options: &Options<'_>) -> bool {
    if options.given(&DRAIN) != Some(DRAIN_USER) {
        return true;
    }
    let patience = Timeout::after_ms(TAKE_OVER_MS);
    let is_taken = || takeover::is_taken_over("/flood");
    idle::until(|| is_taken() || patience.expired());
    if !is_taken() {
        relay::error!("no program has taken the streams over");
    }
    is_taken()
}

/// Waits until init has ended, or this long. Task context on CPU 0.
pub(crate) fn wait(limit: Option<Timeout>) {
    idle::until(|| has_ended() || limit.is_some_and(|limit| limit.expired()));
}

/// Whether init has ended, or was not started.
fn has_ended() -> bool {
    let init = INIT.lock();
    init.as_ref().is_none_or(|init| init.ended() != Ended::Not)
}

/// Starts init, with these arguments.
fn start_init(arguments: &str) -> Result<Arc<Process>, NotStarted> {
    start::first("init", arguments).map_err(|error| {
        relay::error!("init is not started: {error}");
        NotStarted
    })
}

/// Says how init has ended; whether that was well.
fn tell_end(init: &Process) -> bool {
    let (pid, ended) = (init.pid(), init.ended());
    match ended {
        Ended::Exited(0) => relay::info!("init[{pid}] has ended"),
        _ => relay::error!("init[{pid}] has ended badly: {ended:?}"),
    }
    ended == Ended::Exited(0)
}

/// A number that is another when programs have taken something, or written.
fn moved() -> u64 {
    let files = registry::taken().flat_map(Mount::files);
    let infos = files.filter_map(|file| file.info());
    let unread = infos.map(|info| info.unread + info.taken);
    unread.fold(user::CLIENT.tried(), u64::wrapping_add)
}

impl Programs {
    /// The scenario is over: what programs take is closed, and the end of init is waited for. Whether
    /// it was a good one, and all memory of programs is back. Task context on CPU 0.
    pub(crate) fn finish(self) -> bool {
        // Those that drain see that there is nothing more for them.
        takeover::take_back();
        close::ask_taken();
        let mut patience = Patience::after_ms(PATIENCE_MS, moved());
        idle::until(|| has_ended() || patience.is_over(moved()));
        let is_late = !has_ended();
        if is_late {
            relay::error!("the scenario is over, and programs go on: they are ended");
            sched::end_all();
            let patience = Timeout::after_ms(PATIENCE_MS);
            idle::until(|| has_ended() || patience.expired());
        }
        let Some(init) = INIT.lock().take() else {
            return false;
        };
        let is_good = tell_end(&init) && !is_late;
        drop(init);
        // Nobody tells it any more.
        if let Some(untold) = syslog::untold() {
            relay::info!(
                "syslog was not told of {untold} records at least, those of open packets not counted"
            );
        }
        is_good & self.before.is_back(self.is_alone)
    }
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

    /// Whether all of it is back, the heap if it is only programs that have used it; says how much is
    /// there.
    fn is_back(self, is_heap_theirs: bool) -> bool {
        let patience = Timeout::after_ms(LEAVE_MS);
        let is_back =
            |now: Self| now.frames >= self.frames && (now.used <= self.used || !is_heap_theirs);
        idle::until(|| {
            sched::reap();
            // Rings that programs have had replaced.
            registry::NAMES.files().for_each(|file| _ = file.reclaim());
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
