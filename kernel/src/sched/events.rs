//! What the trace has of threads: who runs where, who wakes whom, who is born and dies. Names and
//! fields are those of LTTng's kernel tracer, so that its viewers know them.
//!
//! Threads have numbers, and processes too: that of a process is the number of its first thread. That
//! of every `swapper/N`, which is what a halted CPU runs, is 0: by that viewers know that it is idle.
//!
//! All of it may be called in any context, with interrupts off too, and is a load and a branch while
//! the event is off.

use core::ffi::CStr;

use relay::event::Hex;

use crate::arch::events::{HrtimerExpireEntry, HrtimerExpireExit, HrtimerStart, TimerMode};
pub(crate) use crate::cpu::running::{Comm, Task};
use crate::logs::trace;

/// What a thread is when its CPU leaves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// It could go on.
    Runnable = 0,
    /// It waits for something.
    Waiting = 1,
    /// It has ended.
    Gone = 0x40,
}

relay::event! {
    /// This CPU goes on with another thread.
    #[event(channel = "trace", name = "sched_switch", facility = "sched", enabled = false)]
    struct SchedSwitch {
        /// The name of the thread that it leaves.
        prev_comm: Comm,
        /// Its number.
        prev_tid: i32,
        /// Its priority: 20 is that of most.
        prev_prio: i32,
        /// 0: it could go on; 1: it waits for something; 64: it has ended.
        prev_state: i64,
        /// The name of the thread that runs from now on.
        next_comm: Comm,
        /// Its number.
        next_tid: i32,
        /// Its priority.
        next_prio: i32,
    }

    /// This CPU is about to halt, or was woken.
    #[event(channel = "trace", name = "power_cpu_idle", facility = "idle", enabled = false)]
    struct PowerCpuIdle {
        /// 1: it halts; 4294967295: it does not any more.
        state: u32,
        /// The CPU.
        cpu_id: u32,
    }

    /// Something that a thread waits for has come: whoever runs here wakes it.
    #[event(channel = "trace", name = "sched_waking", facility = "sched", enabled = false)]
    struct SchedWaking {
        /// The name of the thread that is woken.
        comm: Comm,
        /// Its number.
        tid: i32,
        /// Its priority.
        prio: i32,
        /// The CPU that it shall run on.
        target_cpu: i32,
    }

    /// A thread that was woken waits for its CPU now.
    #[event(channel = "trace", name = "sched_wakeup", facility = "sched", enabled = false)]
    struct SchedWakeup {
        /// Its name.
        comm: Comm,
        /// Its number.
        tid: i32,
        /// Its priority.
        prio: i32,
        /// The CPU that it waits for.
        target_cpu: i32,
    }

    /// A thread that has not run yet waits for its CPU now.
    #[event(channel = "trace", name = "sched_wakeup_new", facility = "sched", enabled = false)]
    struct SchedWakeupNew {
        /// Its name.
        comm: Comm,
        /// Its number.
        tid: i32,
        /// Its priority.
        prio: i32,
        /// The CPU that it waits for.
        target_cpu: i32,
    }

    /// A thread that does not run goes to another CPU.
    #[event(channel = "trace", name = "sched_migrate_task", facility = "sched", enabled = false)]
    struct SchedMigrateTask {
        /// Its name.
        comm: Comm,
        /// Its number.
        tid: i32,
        /// Its priority.
        prio: i32,
        /// The CPU that it comes from.
        orig_cpu: i32,
        /// The CPU that it goes to.
        dest_cpu: i32,
    }

    /// There is a new thread; a new process if it is the first of that.
    #[event(channel = "trace", name = "sched_process_fork", facility = "sched", enabled = false)]
    struct SchedProcessFork {
        /// The name of the thread that asked for it.
        parent_comm: Comm,
        /// Its number.
        parent_tid: i32,
        /// The number of its process.
        parent_pid: i32,
        /// Its namespace: there is one.
        parent_ns_inum: u32,
        /// The name of the new thread.
        child_comm: Comm,
        /// Its number.
        child_tid: i32,
        /// Its numbers, from the outermost namespace on.
        vtids: [i32; 1],
        /// The number of its process: its own if the process is new, too.
        child_pid: i32,
        /// Its namespace.
        child_ns_inum: u32,
    }

    /// A process goes on with a program.
    #[event(channel = "trace", name = "sched_process_exec", facility = "sched", enabled = false)]
    struct SchedProcessExec<'a> {
        /// The program's name in the archive.
        filename: &'a CStr,
        /// The number of the thread that begins it.
        tid: i32,
        /// Its number before: the same.
        old_tid: i32,
    }

    /// A thread ends.
    #[event(channel = "trace", name = "sched_process_exit", facility = "sched", enabled = false)]
    struct SchedProcessExit {
        /// Its name.
        comm: Comm,
        /// Its number.
        tid: i32,
        /// Its priority.
        prio: i32,
    }

    /// What was left of a thread is taken away.
    #[event(channel = "trace", name = "sched_process_free", facility = "sched", enabled = false)]
    struct SchedProcessFree {
        /// Its name.
        comm: Comm,
        /// Its number.
        tid: i32,
        /// Its priority.
        prio: i32,
    }

    /// A thread has another priority from now on.
    #[event(channel = "trace", name = "sched_pi_setprio", facility = "sched", enabled = false)]
    struct SchedPiSetprio {
        /// Its name.
        comm: Comm,
        /// Its number.
        tid: i32,
        /// Its priority before.
        oldprio: i32,
        /// Its priority from now on.
        newprio: i32,
    }

    /// What the machine runs is told from here on, thread by thread.
    #[event(channel = "trace", name = "lttng_statedump_start", facility = "sched", enabled = false)]
    struct StatedumpStart;

    /// That was all.
    #[event(channel = "trace", name = "lttng_statedump_end", facility = "sched", enabled = false)]
    struct StatedumpEnd;

    /// A thread, as it is now.
    #[event(
        channel = "trace",
        name = "lttng_statedump_process_state",
        facility = "sched",
        enabled = false
    )]
    struct StatedumpProcessState {
        /// Its number.
        tid: i32,
        /// The number of its process.
        pid: i32,
        /// The number of the process that has started that; 0: the kernel has.
        ppid: i32,
        /// Its name.
        name: Comm,
        /// 0: it is a program's; 1: it is the kernel's.
        r#type: i32,
        /// What it does, in what: 5, not told.
        mode: i32,
        /// Not told: 1.
        submode: i32,
        /// 2: it could run.
        status: i32,
        /// Its CPU.
        cpu: u32,
        /// Not told: 0.
        file_table_address: Hex<u64>,
    }
}

/// Whether anybody is told of threads that are woken. Any context.
#[inline]
pub(super) fn is_waking_told() -> bool {
    trace::is_on()
        && (<SchedWaking as relay::event::Event>::is_enabled()
            || <SchedWakeup as relay::event::Event>::is_enabled()
            || <SchedWakeupNew as relay::event::Event>::is_enabled()
            || <SchedMigrateTask as relay::event::Event>::is_enabled())
}

/// Whether anybody is told of switches. Any context.
#[inline]
pub(super) fn is_switch_told() -> bool {
    <SchedSwitch as relay::event::Event>::is_enabled()
}

/// This CPU leaves one thread, in this state, and goes on with another.
#[inline(always)]
pub(crate) fn switch(prev: &Task, next: &Task, state: Left) {
    trace::emit(|| SchedSwitch {
        prev_comm: prev.comm,
        prev_tid: prev.tid,
        prev_prio: prev.priority,
        prev_state: state as i64,
        next_comm: next.comm,
        next_tid: next.tid,
        next_prio: next.priority,
    });
}

/// This CPU is about to halt.
pub(crate) fn halts(cpu: usize) {
    trace::emit(|| PowerCpuIdle {
        state: 1,
        cpu_id: cpu as u32,
    });
}

/// This CPU is not halted any more.
pub(crate) fn awake(cpu: usize) {
    trace::emit(|| PowerCpuIdle {
        state: u32::MAX,
        cpu_id: cpu as u32,
    });
}

/// Whoever runs here wakes a thread, which shall run on `cpu`. On the waker's CPU.
#[inline(always)]
pub(crate) fn waking(task: &Task, cpu: usize) {
    trace::emit(|| SchedWaking {
        comm: task.comm,
        tid: task.tid,
        prio: task.priority,
        target_cpu: cpu as i32,
    });
}

/// A woken thread is in the run queue of `cpu` now.
#[inline(always)]
pub(crate) fn wakeup(task: &Task, cpu: usize) {
    trace::emit(|| SchedWakeup {
        comm: task.comm,
        tid: task.tid,
        prio: task.priority,
        target_cpu: cpu as i32,
    });
}

/// A new thread is in the run queue of `cpu` now.
#[inline(always)]
pub(crate) fn wakeup_new(task: &Task, cpu: usize) {
    trace::emit(|| SchedWakeupNew {
        comm: task.comm,
        tid: task.tid,
        prio: task.priority,
        target_cpu: cpu as i32,
    });
}

/// A thread that does not run goes from one CPU to another.
#[inline(always)]
pub(crate) fn migrate(task: &Task, from: usize, to: usize) {
    trace::emit(|| SchedMigrateTask {
        comm: task.comm,
        tid: task.tid,
        prio: task.priority,
        orig_cpu: from as i32,
        dest_cpu: to as i32,
    });
}

/// `parent` has made a thread; a process, too, if the thread has its number.
#[inline(always)]
pub(crate) fn fork(parent: &Task, child: &Task) {
    trace::emit(|| SchedProcessFork {
        parent_comm: parent.comm,
        parent_tid: parent.tid,
        parent_pid: parent.pid,
        parent_ns_inum: 0,
        child_comm: child.comm,
        child_tid: child.tid,
        vtids: [child.tid],
        child_pid: child.pid,
        child_ns_inum: 0,
    });
}

/// The first thread of a process begins the program of this name.
pub(crate) fn exec(program: &str, tid: i32) {
    let name = Name::of(program);
    trace::emit(|| SchedProcessExec {
        filename: name.text(),
        tid,
        old_tid: tid,
    });
}

/// A thread ends.
#[inline(always)]
pub(crate) fn exit(task: &Task) {
    trace::emit(|| SchedProcessExit {
        comm: task.comm,
        tid: task.tid,
        prio: task.priority,
    });
}

/// What was left of a thread is taken away: its number may be another's from now on.
#[inline(always)]
pub(crate) fn free(task: &Task) {
    trace::emit(|| SchedProcessFree {
        comm: task.comm,
        tid: task.tid,
        prio: task.priority,
    });
}

/// A thread, which still tells its old priority, has another one from now on.
#[inline(always)]
pub(crate) fn priority(task: &Task, new: i32) {
    trace::emit(|| SchedPiSetprio {
        comm: task.comm,
        tid: task.tid,
        oldprio: task.priority,
        newprio: new,
    });
}

/// A thread begins to sleep, until this time in nanoseconds since the machine's start. A sleep is a
/// timer that is called like its thread.
#[inline(always)]
pub(super) fn sleep(tid: i32, until_ns: impl FnOnce() -> u64) {
    trace::emit(|| {
        let until_ns = until_ns() as i64;
        HrtimerStart {
            hrtimer: sleeper(tid),
            function: Hex(0),
            expires: until_ns,
            softexpires: until_ns,
            mode: TimerMode::HRTIMER_MODE_ABS,
        }
    });
}

/// The time of a thread that sleeps has come: `wake` wakes it.
#[inline(always)]
pub(super) fn slept(tid: i32, now_ns: impl FnOnce() -> u64, wake: impl FnOnce()) {
    trace::emit(|| HrtimerExpireEntry {
        hrtimer: sleeper(tid),
        now: now_ns() as i64,
        function: Hex(0),
    });
    wake();
    trace::emit(|| HrtimerExpireExit {
        hrtimer: sleeper(tid),
    });
}

/// What the timer of a thread's sleep is called: no block of a CPU is there.
fn sleeper(tid: i32) -> Hex<u64> {
    Hex(u64::from(tid as u32))
}

/// The state of all threads is told from here on. With [`state`] and [`states_end`]: when the first
/// program starts, so that viewers know all that ran before.
pub(crate) fn states_begin() {
    trace::emit(|| StatedumpStart);
}

/// A thread that could run, as it is now: of a process that `parent` has started, 0 if the kernel has;
/// on a CPU.
pub(crate) fn state(task: &Task, parent: i32, cpu: usize) {
    trace::emit(|| StatedumpProcessState {
        tid: task.tid,
        pid: task.pid,
        ppid: parent,
        name: task.comm,
        r#type: i32::from(task.pid == 0),
        mode: 5,
        submode: 1,
        status: WAITS_FOR_CPU,
        cpu: cpu as u32,
        file_table_address: Hex(0),
    });
}

/// That were all.
pub(crate) fn states_end() {
    trace::emit(|| StatedumpEnd);
}

/// The status of a thread that could run, as LTTng tells it whether it does or not.
const WAITS_FOR_CPU: i32 = 2;

/// The most bytes of a program's name that are told.
const NAME: usize = 64;

/// A text with a zero byte behind it.
struct Name([u8; NAME + 1]);

impl Name {
    /// As much of a text as there is room for, up to its first zero byte or a character's end.
    fn of(text: &str) -> Self {
        let mut bytes = [0; NAME + 1];
        let text = &text.as_bytes()[..text.floor_char_boundary(NAME)];
        bytes[..text.len()].copy_from_slice(text);
        Self(bytes)
    }

    fn text(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_programs_end_with_a_zero_byte() {
        assert_eq!(Name::of("init").text(), c"init");
        assert_eq!(Name::of("a\0b").text(), c"a");
        assert_eq!(Name::of("").text(), c"");
        let long = "x".repeat(NAME - 1) + "\u{fc}y";
        assert_eq!(Name::of(&long).text().count_bytes(), NAME - 1);
    }

    #[test]
    fn states_are_what_viewers_know() {
        let states = [Left::Runnable, Left::Waiting, Left::Gone];
        assert_eq!(states.map(|state| state as i64), [0, 1, 64]);
    }
}
