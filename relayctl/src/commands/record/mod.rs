//! `relayctl record`: a capture of a machine that somebody else started.

mod origin;
mod tty;

use std::io::{self, Write};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use clap::Args;
use relay_decode::capture::{Capture, CaptureError, EitherPort, LinePort};
use relay_decode::console::{LineSplitter, RawLine};
use relay_decode::escape::printable;
use relay_machine::control::{Desk, Wire};
use serde_json::json;

use super::captures::{CaptureArgs, arguments, unix_ms, versions};
use super::ctl::desk;
use crate::exit::Exit;
use crate::signals;
use crate::terminal::{self, Aside, say, unlocked};
pub(crate) use origin::Origin;
use origin::{Event, QUEUE, read_again, read_once};

/// The options of `record`. It ends with 0 if what came is in the capture and can be read, with 1
/// if nothing came that can, something of it was left out or contradicts the rest.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecordArgs {
    /// Where packets come from: unix:PATH, tcp:HOST:PORT, tty:PATH or tty:PATH:BAUD, a file, or -
    /// for standard input
    ///
    /// A terminal device, tty:PATH, is a serial line: packets come in frames, and text of others
    /// between them is shown. Its rate is 115200 baud unless BAUD says otherwise. From elsewhere
    /// what comes first tells whether it is a line, or packets back to back.
    #[arg(long, value_name = "FROM")]
    pub(crate) from: Origin,

    /// Go on at the end of a file until Ctrl-C, and begin again if it is replaced or cut
    #[arg(long, conflicts_with = "reattach")]
    pub(crate) follow: bool,

    /// Wait for a socket or a terminal that is not there, and open it again when it ends, until
    /// Ctrl-C
    ///
    /// A machine that is reset, or started again, becomes a further boot of the same capture. What
    /// the machine sent while nobody was attached is missing, and the capture says so.
    #[arg(long)]
    pub(crate) reattach: bool,

    /// Where the capture and how large it may get
    #[command(flatten)]
    pub(crate) capture: CaptureArgs,
}

/// Does `relayctl record`.
pub(crate) fn record(args: &RecordArgs) -> Exit {
    match try_record(args) {
        Ok(exit) => exit,
        Err((exit, what)) => {
            say(what);
            exit
        }
    }
}

/// Records until the source ends or a signal comes.
fn try_record(args: &RecordArgs) -> Result<Exit, (Exit, String)> {
    let from = &args.from;
    let fail = |what: String| (Exit::Infrastructure, what);
    let failed = |error: CaptureError| (Exit::from(&error), error.to_string());
    if args.reattach && !from.comes_back() {
        return Err((
            Exit::Usage,
            format!(
                "{from}: only a socket or a terminal, unix:PATH, tcp:HOST:PORT or tty:PATH, can be \
                 opened again"
            ),
        ));
    }
    if args.follow && !from.is_plain_file() {
        return Err((Exit::Usage, format!("{from}: only a file can be followed")));
    }
    let input = match args.reattach || args.follow {
        true => None,
        false => Some(
            from.open()
                .map_err(|error| fail(format!("{from}: {error}")))?,
        ),
    };
    // What comes is taken, whether somebody reads stderr or not.
    terminal::talk_aside();
    let kind = from.kind(args.follow);
    let capture = Capture::create(&args.capture.options(kind)).map_err(failed)?;
    let folder = capture.folder().to_owned();
    let (started, began) = (unix_ms(), Instant::now());
    let (sender, events) = mpsc::sync_channel(QUEUE);
    let on_signal = sender.clone();
    signals::on_end(move || drop(on_signal.send(Event::Signal)))
        .map_err(|error| fail(format!("cannot listen for signals: {error}")))?;
    let origin = from.clone();
    // Not joined: a source that has nothing to say is not waited for at the end.
    thread::spawn(move || match input {
        Some(input) => {
            if let Some(end) = read_once(&origin, input, &sender) {
                let _ = sender.send(Event::End(end));
            }
        }
        None => read_again(&origin, &sender),
    });
    let mut text = Text::start().map_err(|error| fail(format!("stdout: {error}")))?;
    // Who may ask the machine, while it is recorded over a line.
    let desk = from.can_be_written().then(|| desk(&folder)).flatten();
    let mut ask = Ask::new(desk.as_ref().map(Desk::wire));
    let mut input = Input::new(&capture, from, &ask);
    let mut result = "end";
    for event in &events {
        match event {
            Event::Output(output) => ask.output = Some(output),
            Event::Bytes(bytes) => {
                input.push(&bytes, |bytes| text.take(bytes));
                if input.is_line() {
                    ask.begin();
                }
            }
            Event::Break(end) => {
                ask.end();
                let end = end
                    .err()
                    .map_or("it ended".to_owned(), |end| end.to_string());
                say(format!(
                    "{from}: {end}; waiting until it can be opened again"
                ));
                // What is cut off has no more to come.
                let ended = std::mem::replace(&mut input, Input::new(&capture, from, &ask));
                ended.finish(|bytes| text.take(bytes));
            }
            Event::End(Ok(())) => break,
            Event::End(Err(error)) => {
                say(format!("{from}: {error}"));
                result = "error";
                break;
            }
            Event::Signal => {
                result = "interrupted";
                break;
            }
        }
    }
    drop(desk);
    input.finish(|bytes| text.take(bytes));
    capture.settle();
    let totals = capture.totals();
    let exit = match result {
        "error" => Exit::Infrastructure,
        _ if totals.is_sound() => Exit::Good,
        _ => Exit::Failed,
    };
    let wall_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let info = json!({
        "command": "record",
        "versions": versions(),
        "arguments": arguments(),
        "from": from.to_string(),
        "started_unix_ms": started,
        "wall_ms": wall_ms,
        "result": result,
        "exit": exit.code(),
    });
    // First the capture: whoever reads the text may take its time.
    let finished = capture.finish(info);
    let mut is_hurried = result == "interrupted";
    text.end(|| {
        is_hurried |= matches!(events.try_recv(), Ok(Event::Signal));
        is_hurried
    });
    let totals = finished.map_err(failed)?;
    let near = terminal::near(&folder);
    say(match totals.came() {
        0 => format!("{from}: nothing came"),
        _ => format!(
            "{}: {}{} packets, {} bytes, {} bytes of fragments",
            near.display(),
            match totals.boots {
                0 | 1 => String::new(),
                boots => format!("{boots} boots, "),
            },
            totals.packets,
            totals.bytes,
            totals.fragments
        ),
    });
    if !totals.line.is_empty() {
        say(totals.line.to_string());
    }
    totals.strays.sentences().for_each(say);
    if !totals.has_metadata && totals.strays.is_empty() && totals.came() > 0 {
        say("nothing that came can be read: there is no whole packet in it");
    }
    Ok(exit)
}

/// What the bytes become.
enum Input {
    /// Frames of a serial line.
    Line(LinePort),
    /// Those of a line, or packets: what comes first tells.
    Either(EitherPort),
}

/// How the machine is asked.
struct Ask {
    /// To who asks, if anybody may.
    wire: Option<Wire>,
    /// To the machine, until it is known that it is there and sends frames: from somebody else's
    /// port nobody wants requests.
    output: Option<Box<dyn Write + Send>>,
}

impl Ask {
    fn new(wire: Option<Wire>) -> Self {
        Self { wire, output: None }
    }

    /// The source is a line: it is asked from now on.
    fn begin(&mut self) {
        if let (Some(wire), Some(output)) = (&self.wire, self.output.take()) {
            wire.attach(output);
        }
    }

    /// The source has ended.
    fn end(&mut self) {
        self.output = None;
        if let Some(wire) = &self.wire {
            wire.detach();
        }
    }
}

impl Input {
    fn new(capture: &Capture, from: &Origin, ask: &Ask) -> Self {
        let answers = ask.wire.as_ref().map(Wire::answers);
        let mut this = match from.is_line() {
            true => Self::Line(capture.line(0)),
            false => Self::Either(capture.either(0)),
        };
        match (&mut this, answers) {
            (Self::Line(line), Some(answers)) => line.answer_to(answers),
            (Self::Either(either), Some(answers)) => either.answer_to(answers),
            (_, None) => {}
        }
        this
    }

    /// Whether it is known to be a line.
    fn is_line(&self) -> bool {
        match self {
            Self::Line(_) => true,
            Self::Either(either) => either.is_line(),
        }
    }

    fn push(&mut self, chunk: &[u8], text: impl FnMut(&[u8])) {
        match self {
            Self::Line(line) => line.push(chunk, text),
            Self::Either(either) => either.push(chunk, text),
        }
    }

    fn finish(self, text: impl FnMut(&[u8])) {
        match self {
            Self::Line(line) => line.finish(text),
            Self::Either(either) => either.finish(text),
        }
    }
}

/// Text that came over a line: shown line by line on stdout, for which nobody waits.
struct Text {
    splitter: LineSplitter,
    out: Aside,
}

impl Text {
    fn start() -> io::Result<Self> {
        Ok(Self {
            splitter: LineSplitter::new(),
            out: Aside::start(unlocked(&io::stdout())?)?,
        })
    }

    fn take(&mut self, bytes: &[u8]) {
        let Self { splitter, out } = self;
        splitter.push(bytes, |line| out.put(shown(&line)));
    }

    /// Shows what is left, and does not wait long for that if it is hurried.
    fn end(&mut self, is_hurried: impl FnMut() -> bool) {
        let Self { splitter, out } = self;
        splitter.finish(|line| out.put(shown(&line)));
        out.settle(is_hurried);
    }
}

/// A line as it is shown.
fn shown(line: &RawLine<'_>) -> String {
    let cut = match line.dropped {
        0 => String::new(),
        dropped => format!(" [cut: {dropped} more bytes]"),
    };
    format!("{}{cut}\n", printable(line.bytes))
}
