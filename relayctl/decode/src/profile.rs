//! The samples of a profiler, as its records have them.
//!
//! A record of the class [`SAMPLE`] says where a CPU was when it was interrupted, and how it had
//! come there. One of the class [`SOURCE`] says what interrupts the CPUs, and how often.
//! `docs/PROFILE.md` tells of both.

use std::fmt;

use relay_format::Context;

use crate::records::{Event, Value};
use crate::tsdl::Type;

/// The channel of the profiler.
pub const CHANNEL: &str = "profile";

/// The class of samples.
pub const SAMPLE: &str = "profile_sample";

/// The class of what says where samples come from.
pub const SOURCE: &str = "profile_source";

/// The most return addresses that a sample has: where there are so many, more may be missing.
pub const MAX_STACK: usize = 32;

/// What a record of the profiler says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Where a CPU was.
    Sample(Sample),
    /// What interrupts the CPUs from now on.
    Source(Source),
}

/// Where a CPU was when it was interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The instruction that it would have done next.
    pub ip: u64,
    /// The context that was interrupted; `None` if it is none that is known.
    pub from: Option<Context>,
    /// The thread that ran.
    pub thread: i32,
    /// The process of the thread; 0 is the kernel. Earlier kernels do not tell: they had no other.
    pub process: i32,
    /// What the thread is called; of a program the program's name, cut if it is long. Empty if that
    /// is not told.
    pub name: String,
    /// The return addresses, the innermost first, without `ip`: those of the kernel, then those of the
    /// program.
    pub stack: Vec<u64>,
}

/// What interrupts the CPUs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name, such as `hpet`.
    pub name: String,
    /// How often each CPU should be interrupted, in Hz.
    pub hertz: u32,
}

/// A record of the profiler that is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The class.
    pub class: &'static str,
    /// The field that is missing, or is of another type.
    pub field: &'static str,
    /// What would be right.
    pub wanted: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            class,
            field,
            wanted,
        } = self;
        write!(f, "{class}: its field '{field}' should be {wanted}")
    }
}

impl std::error::Error for Fault {}

/// What a record says, if it is one of the profiler's: its channel should be [`CHANNEL`].
///
/// # Errors
///
/// When its class has not the fields that it should have.
pub fn told(event: &Event, values: &[Value<'_>]) -> Result<Option<Told>, Fault> {
    match event.name.as_str() {
        SAMPLE => sample(event, values).map(|sample| Some(Told::Sample(sample))),
        SOURCE => source(event, values).map(|source| Some(Told::Source(source))),
        _ => Ok(None),
    }
}

/// Reads a sample.
fn sample(event: &Event, values: &[Value<'_>]) -> Result<Sample, Fault> {
    let fault = |field, wanted| Fault {
        class: SAMPLE,
        field,
        wanted,
    };
    let value = |field| event.field(field).and_then(|at| values.get(at));
    let address = "an integer without sign";
    let ip = value("ip").and_then(Value::as_unsigned);
    let from = value("from").and_then(Value::as_integer);
    let thread = value("tid").and_then(Value::as_integer);
    let process = value("pid").and_then(Value::as_integer);
    let name = match value("comm") {
        Some(Value::Text(name)) => {
            let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
            String::from_utf8_lossy(name).into_owned()
        }
        _ => String::new(),
    };
    let stack = match value("stack") {
        Some(Value::List(stack)) => stack.iter().map(Value::as_unsigned).collect(),
        _ => None,
    };
    Ok(Sample {
        ip: ip.ok_or(fault("ip", address))?,
        from: context(
            event,
            from.ok_or(fault("from", "an enumeration of contexts"))?,
        ),
        thread: thread
            .and_then(|thread| i32::try_from(thread).ok())
            .ok_or(fault("tid", "an integer of 32 bits"))?,
        process: i32::try_from(process.unwrap_or(0))
            .map_err(|_| fault("pid", "an integer of 32 bits"))?,
        name,
        stack: stack.ok_or(fault("stack", "a sequence of integers without sign"))?,
    })
}

/// The context that a value of the field `from` names.
fn context(event: &Event, value: i128) -> Option<Context> {
    let field = &event.fields.fields[event.field("from")?];
    let Type::Enum(of) = &field.kind else {
        return None;
    };
    let name = of.label(value)?;
    let mut all = Context::ALL.into_iter();
    all.find(|it| it.name().eq_ignore_ascii_case(name))
}

/// Reads what says where samples come from.
fn source(event: &Event, values: &[Value<'_>]) -> Result<Source, Fault> {
    let fault = |field, wanted| Fault {
        class: SOURCE,
        field,
        wanted,
    };
    let value = |field| event.field(field).and_then(|at| values.get(at));
    let name = match value("source") {
        Some(Value::Text(name)) => String::from_utf8_lossy(name).into_owned(),
        _ => return Err(fault("source", "a text")),
    };
    let hertz = value("hertz").and_then(Value::as_unsigned);
    let hertz = hertz.and_then(|hertz| u32::try_from(hertz).ok());
    Ok(Source {
        name,
        hertz: hertz.ok_or(fault("hertz", "an integer of 32 bits without sign"))?,
    })
}
