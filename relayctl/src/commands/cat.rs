//! `relayctl cat`: the records of a capture, merged by time.

use std::fmt::Write as _;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::filter::{CpuSet, Filter, parse_level, parse_seconds};
use super::merge::{Merge, Next, Shown, seconds};
use super::source::{Source, SourceError};
use crate::capture::OpenError;
use crate::console::{Line, Severity, printable};
use crate::decode::{Value, json_fields, text_fields};
use crate::exit::Exit;
use crate::render::Renderer;
use crate::term::{ColorChoice, say};

/// The channel whose records are shown as the console shows them.
const KLOG: &str = "klog";

/// The options of `cat`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct CatArgs {
    /// A capture, a raw file, or - for standard input; the newest capture if not given
    pub capture: Option<PathBuf>,

    /// Only this channel; may be given again
    #[arg(long = "channel", value_name = "NAME")]
    pub channels: Vec<String>,

    /// Only these CPUs, such as 0,2-4
    #[arg(long, value_name = "LIST")]
    pub cpu: Option<CpuSet>,

    /// Only records at least so grave: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    pub level: Option<Severity>,

    /// Only records from this time on, in seconds after power-on
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub since: Option<Duration>,

    /// Only records up to this time, in seconds after power-on
    #[arg(long, value_name = "S", value_parser = parse_seconds)]
    pub until: Option<Duration>,

    /// One JSON object a line; losses go to stderr
    #[arg(long)]
    pub json: bool,

    /// When to use colour
    #[arg(long, value_enum, default_value_t)]
    pub color: ColorChoice,

    /// Show packets, ticks, and data in full
    #[arg(short, long)]
    pub verbose: bool,
}

/// Why the records could not be shown to the end.
#[derive(Debug)]
enum CatError {
    /// There is nothing to read.
    Source(SourceError),
    /// A file of the capture cannot be read.
    Open(OpenError),
    /// The output cannot be written.
    Output(io::Error),
}

impl From<OpenError> for CatError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

/// Does `relayctl cat`.
pub fn cat(args: &CatArgs) -> Exit {
    match try_cat(args) {
        Ok(()) => Exit::Good,
        // Whoever has read enough has read enough.
        Err(CatError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Good,
        Err(CatError::Output(error)) => {
            say(format!("cannot write the records: {error}"));
            Exit::Infrastructure
        }
        Err(CatError::Source(error)) => {
            say(error.to_string());
            Exit::Infrastructure
        }
        Err(CatError::Open(error)) => {
            say(error.to_string());
            Exit::Infrastructure
        }
    }
}

/// Shows the records.
fn try_cat(args: &CatArgs) -> Result<(), CatError> {
    let source = Source::open(args.capture.as_deref()).map_err(CatError::Source)?;
    let stored = &source.stored;
    for name in &args.channels {
        let mut channels = stored.schema.channels.iter();
        if !channels.any(|channel| channel.name == *name) {
            say(format!("there is no channel '{name}' in this capture"));
        }
    }
    for problem in &stored.problems {
        say(problem);
    }
    let filter = Filter {
        channels: args.channels.clone(),
        cpus: args.cpu.clone(),
        level: args.level,
        since: args.since,
        until: args.until,
    };
    let stdout = io::stdout();
    let colour = args.color.for_stream(&stdout) && !args.json;
    let is_terminal = stdout.is_terminal();
    let mut out = BufWriter::with_capacity(1 << 16, stdout.lock());
    let mut renderer = colour.then(|| Renderer::new(true, None));
    let (mut json, mut text) = (Vec::new(), String::new());
    let mut merge = Merge::new(stored, &filter)?;
    merge.each(|next| {
        let written = match next {
            Next::Record(shown, values) if args.json => {
                json.clear();
                push_json(&mut json, &shown, values);
                out.write_all(&json)
            }
            Next::Note(note) if args.json => {
                // There is nobody to tell about a stderr that cannot be written.
                let _ = writeln!(io::stderr(), "{note}");
                Ok(())
            }
            next => {
                text.clear();
                match next {
                    Next::Record(shown, values) => {
                        push_text(&mut text, &shown, values, args.verbose);
                    }
                    Next::Note(note) => {
                        text.push_str(&printable(note.as_bytes()));
                        text.push('\n');
                    }
                }
                match &mut renderer {
                    None => out.write_all(text.as_bytes()),
                    Some(renderer) => text.lines().try_for_each(|line| {
                        out.write_all(renderer.show(line, &Line::parse(line)).as_bytes())
                    }),
                }
            }
        };
        let flushed = written.and_then(|()| match is_terminal {
            true => out.flush(),
            false => Ok(()),
        });
        flushed.map_err(CatError::Output)
    })?;
    out.flush().map_err(CatError::Output)
}

/// Appends a record as a line of JSON.
fn push_json(out: &mut Vec<u8>, shown: &Shown<'_>, values: &[Value<'_>]) {
    let (record, event) = (&shown.record, shown.record.event);
    // Writing to a `Vec` cannot fail. The channel's name needs no escapes.
    let _ = write!(
        out,
        "{{\"ts_ns\":{},\"ticks\":{},\"cpu\":{},\"channel\":\"{}\",\"event\":",
        shown.ns, record.stamp.ticks, shown.cpu, shown.channel.name
    );
    let _ = serde_json::to_writer(&mut *out, &event.name);
    let context = record.stamp.context.name();
    let _ = write!(
        out,
        ",\"number\":{},\"packet\":{},\"context\":\"{context}\",\"severity\":",
        record.number, shown.packet
    );
    let _ = match shown.severity {
        Some(severity) => write!(out, "\"{}\"", severity.name()),
        None => write!(out, "null"),
    };
    if let Some(message) = message(shown, values) {
        let _ = write!(out, ",\"msg\":");
        let _ = serde_json::to_writer(&mut *out, String::from_utf8_lossy(message).as_ref());
    }
    let _ = write!(out, ",\"fields\":");
    json_fields(out, &event.fields, values);
    out.extend_from_slice(b"}\n");
}

/// A text field of a record of the log.
fn text_field<'v>(shown: &Shown<'_>, values: &[Value<'v>], name: &str) -> Option<&'v [u8]> {
    match values.get(shown.record.event.field(name)?)? {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// The message of a record of the log.
fn message<'v>(shown: &Shown<'_>, values: &[Value<'v>]) -> Option<&'v [u8]> {
    match shown.channel.name == KLOG {
        true => text_field(shown, values, "message"),
        false => None,
    }
}

/// Appends a record as text: of the log as the console shows it, of others with
/// channel, event and fields.
fn push_text(out: &mut String, shown: &Shown<'_>, values: &[Value<'_>], verbose: bool) {
    let record = &shown.record;
    // Writing to a `String` cannot fail, here and below.
    let _ = write!(
        out,
        "[{}] {}:{} {:<4} {:<5} ",
        seconds(shown.ns),
        shown.cpu,
        record.number,
        record.stamp.context.name(),
        shown.severity.map_or("", upper)
    );
    if verbose {
        let _ = write!(
            out,
            "(packet {}, {} ticks) ",
            shown.packet, record.stamp.ticks
        );
    }
    let Some(message) = message(shown, values) else {
        let event = printable(record.event.name.as_bytes());
        let _ = write!(out, "{} {event}:", shown.channel.name);
        text_fields(out, &record.event.fields, values, verbose);
        out.push('\n');
        return;
    };
    let part = |name| printable(text_field(shown, values, name).unwrap_or_default());
    let number = record
        .event
        .field("line")
        .and_then(|at| values.get(at)?.as_unsigned());
    let _ = write!(
        out,
        "{} {}:{}: ",
        part("module"),
        part("file"),
        number.unwrap_or(0)
    );
    for (at, line) in message.split(|byte| *byte == b'\n').enumerate() {
        if at > 0 {
            out.push_str("            | ");
        }
        out.push_str(&printable(line));
        out.push('\n');
    }
}

/// A severity as the console shows it.
fn upper(severity: Severity) -> &'static str {
    ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"][severity as usize]
}
