//! The block `env`: what a trace says about where it comes from.

use super::quoted::Quoted;
use core::fmt;

/// One entry of the block `env`. Any context.
///
/// Its name must be a name of TSDL that nothing else there has: those that begin with `relay_`,
/// `channel_`, `usage_`, `mode_` or `taken_`, and `cpus`, are relay's own.
///
/// ```
/// use relay::ctf::metadata::{Env, EnvValue};
///
/// let env = Env { name: "board", value: EnvValue::Text("rev \"B\"") };
/// assert_eq!(env.to_string(), "    board = \"rev \\\"B\\\"\";\n");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Env<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it says.
    pub value: EnvValue<'a>,
}

/// What an entry of the block `env` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvValue<'a> {
    /// A number.
    Number(i64),
    /// A text; any.
    Text(&'a str),
}

/// As it stands in the block: a line of its own.
impl fmt::Display for Env<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name;
        match self.value {
            EnvValue::Number(number) => writeln!(f, "    {name} = {number};"),
            EnvValue::Text(text) => writeln!(f, "    {name} = \"{}\";", Quoted(text)),
        }
    }
}

/// A kernel whose trace viewers shall open as that of a kernel.
///
/// They know kernels by what LTTng's kernel tracer says of Linux. Trace Compass has its views of a
/// kernel (resources, control flow, CPU usage) for traces whose `domain` is `kernel`, and takes
/// the names of events from `tracer_name` and its version. Only kernels whose events have
/// [those](https://lttng.org/docs/) names and fields should say so.
///
/// ```
/// use relay::ctf::metadata::{EnvValue, Kernel};
///
/// const KERNEL: Kernel<'_> = Kernel {
///     hostname: "board-7",
///     sysname: "ours",
///     release: "1.2.0",
///     version: "built for tests",
///     trace_name: "boot",
/// };
/// let env = KERNEL.env();
/// let of = |name| env.iter().find(|env| env.name == name).map(|env| env.value);
/// assert_eq!(of("domain"), Some(EnvValue::Text("kernel")));
/// assert_eq!(of("sysname"), Some(EnvValue::Text("ours")));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kernel<'a> {
    /// What the machine is called. babeltrace2 shows it in each line.
    pub hostname: &'a str,
    /// What the kernel is called, such as `Linux` for Linux.
    pub sysname: &'a str,
    /// Which release of it runs.
    pub release: &'a str,
    /// Which build of that.
    pub version: &'a str,
    /// What the trace is called.
    pub trace_name: &'a str,
}

impl<'a> Kernel<'a> {
    /// The entries, for [`Trace::env`](super::Trace::env). Any context.
    #[must_use]
    pub const fn env(&self) -> [Env<'a>; 11] {
        const fn text<'t>(name: &'t str, text: &'t str) -> Env<'t> {
            Env {
                name,
                value: EnvValue::Text(text),
            }
        }
        const fn number(name: &str, number: i64) -> Env<'_> {
            Env {
                name,
                value: EnvValue::Number(number),
            }
        }
        [
            text("hostname", self.hostname),
            text("domain", "kernel"),
            text("sysname", self.sysname),
            text("kernel_release", self.release),
            text("kernel_version", self.version),
            // Not who wrote it, but whose names of events and fields these are: readers ask for
            // nothing else.
            text("tracer_name", "lttng-modules"),
            number("tracer_major", 2),
            // Trace Compass has the names of today from 9 on. Below 11, babeltrace2 takes the
            // ends of packets for wrong, as they were there, and puts others in their places.
            number("tracer_minor", 11),
            number("tracer_patchlevel", 0),
            text("trace_buffering_scheme", "global"),
            text("trace_name", self.trace_name),
        ]
    }
}
