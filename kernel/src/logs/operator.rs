//! What the operators of this machine are told: the events of evlog. A type, once it was given,
//! stays: their programs know it by that.

use relay::event::Hex;

relay::event! {
    /// A CPU has failed, and with it the machine.
    #[event(
        channel = "evlog",
        facility = "kern",
        type = 1,
        severity = Emerg,
        text = "cpu {cpu} failed: {what}"
    )]
    pub(crate) struct Panicked<'a> {
        pub(crate) cpu: u32,
        pub(crate) what: &'a str,
    }

    /// A word of the command line was refused, or a switch that it sets.
    #[event(
        channel = "evlog",
        facility = "boot",
        type = 1,
        severity = Error,
        text = "the command line is wrong: {why}"
    )]
    pub(crate) struct SettingRefused<'a> {
        pub(crate) why: &'a str,
    }

    /// The machine is up.
    #[event(
        channel = "evlog",
        facility = "boot",
        type = 2,
        severity = Notice,
        text = "{cpus} CPUs are up, {missing} are missing"
    )]
    pub(crate) struct BootFinished {
        pub(crate) cpus: u32,
        pub(crate) missing: u32,
    }

    /// The machine has something that it cannot use.
    #[event(
        channel = "evlog",
        facility = "boot",
        type = 3,
        severity = Error,
        text = "this machine cannot use all that it has"
    )]
    pub(crate) struct Shortfall;

    /// A CPU did not start.
    #[event(
        channel = "evlog",
        facility = "cpu",
        type = 1,
        severity = Error,
        text = "cpu {cpu} did not start"
    )]
    pub(crate) struct CpuMissing {
        pub(crate) cpu: u32,
    }

    /// A CPU was asked to come to its end, and did not.
    #[event(
        channel = "evlog",
        facility = "cpu",
        type = 2,
        severity = Error,
        text = "cpu {cpu} did not close its streams"
    )]
    pub(crate) struct CpuNotClosed {
        pub(crate) cpu: u32,
    }

    /// There was no memory for a CPU's ring: what it writes there is lost.
    #[event(
        channel = "evlog",
        facility = "mem",
        type = 1,
        severity = Error,
        text = "cpu {cpu} has no ring for {ring}"
    )]
    pub(crate) struct RingMissing<'a> {
        pub(crate) cpu: u32,
        pub(crate) ring: &'a str,
    }

    /// The other side of a way out has gone: what is written waits.
    #[event(
        channel = "evlog",
        facility = "port",
        type = 1,
        severity = Warn,
        text = "{port}"
    )]
    pub(crate) struct PortClosed<'a> {
        pub(crate) port: &'a str,
    }

    /// The other side of a way out is there again.
    #[event(
        channel = "evlog",
        facility = "port",
        type = 2,
        severity = Notice,
        text = "{port}; it is open"
    )]
    pub(crate) struct PortOpened<'a> {
        pub(crate) port: &'a str,
    }

    /// A way out has taken nothing for a while, although the other side is there.
    #[event(
        channel = "evlog",
        facility = "port",
        type = 3,
        severity = Warn,
        text = "{port}; nothing moves"
    )]
    pub(crate) struct PortStalled<'a> {
        pub(crate) port: &'a str,
    }

    /// It takes something again.
    #[event(
        channel = "evlog",
        facility = "port",
        type = 4,
        severity = Notice,
        text = "{port}; it moves again"
    )]
    pub(crate) struct PortMoved<'a> {
        pub(crate) port: &'a str,
    }

    /// A way out will never send anything again.
    #[event(
        channel = "evlog",
        facility = "drain",
        type = 1,
        severity = Crit,
        text = "{port}; its drain gives up"
    )]
    pub(crate) struct DrainGaveUp<'a> {
        pub(crate) port: &'a str,
    }

    /// A way out was too slow for the log: packets of it go to the console alone.
    #[event(
        channel = "evlog",
        facility = "drain",
        type = 2,
        severity = Warn,
        text = "the log of cpu {cpu} does not wait for its port: {left_out} packets were left out"
    )]
    pub(crate) struct LogLeftOut {
        pub(crate) cpu: u32,
        pub(crate) left_out: u64,
    }

    /// How many packets the kernel, or programs of a name, have sent: towards the end of the machine.
    #[event(
        channel = "evlog",
        facility = "drain",
        type = 3,
        severity = Info,
        text = "{by} has sent {packets} packets"
    )]
    pub(crate) struct Drained<'a> {
        pub(crate) by: &'a str,
        pub(crate) packets: u64,
    }

    /// A service has died, and is started again.
    #[event(
        channel = "evlog",
        facility = "service",
        type = 1,
        severity = Warn,
        text = "{service} has died and is started again, {times} times by now"
    )]
    pub(crate) struct ServiceRestarted<'a> {
        pub(crate) service: &'a str,
        pub(crate) times: u64,
    }

    /// A service dies too often: it is left alone, and what it did is not done, or the kernel does it.
    #[event(
        channel = "evlog",
        facility = "service",
        type = 2,
        severity = Crit,
        text = "{service} dies too often: it is given up after {times} restarts"
    )]
    pub(crate) struct ServiceGivenUp<'a> {
        pub(crate) service: &'a str,
        pub(crate) times: u64,
    }

    /// A service could not pass records on.
    #[event(
        channel = "evlog",
        facility = "service",
        type = 3,
        severity = Warn,
        text = "{service} could not pass on {records} records"
    )]
    pub(crate) struct ServiceLost<'a> {
        pub(crate) service: &'a str,
        pub(crate) records: u64,
    }

    /// A serial port that should carry packets does not.
    #[event(
        channel = "evlog",
        facility = "line",
        type = 1,
        severity = Error,
        text = "{port}: {why}"
    )]
    pub(crate) struct LineFault<'a> {
        pub(crate) port: &'a str,
        pub(crate) why: &'a str,
    }

    /// The host has set a switch.
    #[event(
        channel = "evlog",
        facility = "control",
        type = 1,
        severity = Notice,
        text = "{name}={value}"
    )]
    pub(crate) struct SwitchSet<'a> {
        pub(crate) name: &'a str,
        pub(crate) value: &'a str,
    }

    /// A scenario begins.
    #[event(
        channel = "evlog",
        facility = "scenario",
        type = 1,
        severity = Notice,
        text = "scenario {name} begins"
    )]
    pub(crate) struct ScenarioBegun<'a> {
        pub(crate) name: &'a str,
    }

    /// A scenario has ended well.
    #[event(
        channel = "evlog",
        facility = "scenario",
        type = 2,
        severity = Notice,
        text = "scenario {name}: pass"
    )]
    pub(crate) struct ScenarioPassed<'a> {
        pub(crate) name: &'a str,
    }

    /// A scenario has failed, or something of the machine meanwhile.
    #[event(
        channel = "evlog",
        facility = "scenario",
        type = 3,
        severity = Error,
        text = "scenario {name}: FAIL"
    )]
    pub(crate) struct ScenarioFailed<'a> {
        pub(crate) name: &'a str,
    }

    /// A program was started.
    #[event(
        channel = "evlog",
        facility = "program",
        type = 1,
        severity = Info,
        text = "{program} was started, as process {process}"
    )]
    pub(crate) struct ProgramStarted<'a> {
        pub(crate) program: &'a str,
        pub(crate) process: i32,
    }

    /// A program has come to its end by itself. 0 means that all went well.
    #[event(
        channel = "evlog",
        facility = "program",
        type = 2,
        severity = Info,
        text = "{program}, process {process}, has ended with code {code}"
    )]
    pub(crate) struct ProgramEnded<'a> {
        pub(crate) program: &'a str,
        pub(crate) process: i32,
        pub(crate) code: u32,
    }

    /// A program did what a program cannot do: it was ended.
    #[event(
        channel = "evlog",
        facility = "program",
        type = 3,
        severity = Error,
        text = "{program}, process {process}, was ended: {fault} at {ip:#x}, address {address:#x}"
    )]
    pub(crate) struct ProgramFaulted<'a> {
        pub(crate) program: &'a str,
        pub(crate) process: i32,
        /// The thread that did it.
        pub(crate) tid: i32,
        /// The exception's number, and its name.
        pub(crate) vector: u32,
        pub(crate) fault: &'a str,
        pub(crate) error_code: Hex<u64>,
        /// What it used, if it is a page fault.
        pub(crate) address: Hex<u64>,
        pub(crate) ip: Hex<u64>,
        pub(crate) sp: Hex<u64>,
        pub(crate) flags: Hex<u64>,
        pub(crate) rax: Hex<u64>,
        pub(crate) rbx: Hex<u64>,
        pub(crate) rcx: Hex<u64>,
        pub(crate) rdx: Hex<u64>,
        pub(crate) rsi: Hex<u64>,
        pub(crate) rdi: Hex<u64>,
        pub(crate) rbp: Hex<u64>,
        pub(crate) r8: Hex<u64>,
        pub(crate) r9: Hex<u64>,
        pub(crate) r10: Hex<u64>,
        pub(crate) r11: Hex<u64>,
        pub(crate) r12: Hex<u64>,
        pub(crate) r13: Hex<u64>,
        pub(crate) r14: Hex<u64>,
        pub(crate) r15: Hex<u64>,
        /// Return addresses in the program, that of the innermost function first.
        pub(crate) backtrace: &'a [Hex<u64>],
    }

    /// Somebody has ended a program.
    #[event(
        channel = "evlog",
        facility = "program",
        type = 4,
        severity = Notice,
        text = "{program}, process {process}, was ended by process {by}"
    )]
    pub(crate) struct ProgramKilled<'a> {
        pub(crate) program: &'a str,
        pub(crate) process: i32,
        /// 0: the kernel has, because the machine comes to its end.
        pub(crate) by: i32,
    }
}
