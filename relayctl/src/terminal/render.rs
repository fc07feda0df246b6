//! Turns console lines into what the user sees.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Color, Effects, Style};

use relay_decode::console::{Line, Record, backtrace_frame, instruction_pointer, program_frame};
use relay_decode::escape::printable;
use relay_decode::merge::Note;
use relay_format::Severity;

use super::lazy::LazySymbols;
use crate::symbols::{Address, Programs};

/// The style of everything about a record that is not its message.
pub(crate) const META: Style = Style::new().effects(Effects::DIMMED);
/// The style of the console's notices.
const NOTICE: Style = colour(AnsiColor::Cyan).effects(Effects::ITALIC);
/// The style of notices about records that were lost or not committed.
const LOSS: Style = colour(AnsiColor::Yellow).effects(Effects::BOLD);
/// The style of the kernel's last resort.
const FALLBACK: Style = colour(AnsiColor::BrightWhite)
    .bg_color(Some(Color::Ansi(AnsiColor::Red)))
    .effects(Effects::BOLD);
/// The style of what was looked up in the ELF file.
const SYMBOL: Style = colour(AnsiColor::Magenta);
/// One colour per CPU, again from the first after the last.
const CPUS: [AnsiColor; 8] = [
    AnsiColor::Green,
    AnsiColor::Blue,
    AnsiColor::Magenta,
    AnsiColor::Cyan,
    AnsiColor::BrightGreen,
    AnsiColor::BrightBlue,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightCyan,
];

/// A style of one foreground colour.
const fn colour(colour: AnsiColor) -> Style {
    Style::new().fg_color(Some(Color::Ansi(colour)))
}

/// The style of a record's message and severity.
pub(crate) fn severity_style(severity: Severity) -> Style {
    match severity {
        Severity::Emerg | Severity::Alert | Severity::Crit | Severity::Error => {
            colour(AnsiColor::Red).effects(Effects::BOLD)
        }
        Severity::Warn => colour(AnsiColor::Yellow),
        Severity::Notice => Style::new().effects(Effects::BOLD),
        Severity::Info => Style::new(),
        Severity::Debug => colour(AnsiColor::Blue),
        Severity::Trace => META,
    }
}

/// The style of what a capture says beside its records.
pub(crate) fn note_style(note: &Note) -> Style {
    match note.is_loss() {
        true => LOSS,
        false => NOTICE,
    }
}

/// The style of a CPU's number.
pub(crate) fn cpu_style(cpu: u32) -> Style {
    colour(CPUS[cpu as usize % CPUS.len()])
}

/// Shows lines: plain text with backtraces resolved, in colour if wanted.
///
/// Without colour a line that is not part of a backtrace is shown exactly as
/// it came.
#[derive(Debug)]
pub(crate) struct Renderer {
    /// Whether to use colour.
    colour: bool,
    /// What addresses are looked up in.
    symbols: Option<LazySymbols>,
    /// What addresses of programs are looked up in.
    programs: Programs,
    /// Where the CPU was that showed its registers last.
    instruction: Option<u64>,
}

impl Renderer {
    /// Creates a renderer.
    #[must_use]
    pub(crate) fn new(colour: bool, symbols: Option<LazySymbols>) -> Self {
        Self {
            colour,
            symbols,
            programs: Programs::of(None),
            instruction: None,
        }
    }

    /// Gives names to addresses of these programs, too.
    #[must_use]
    pub(crate) fn with_programs(self, programs: Programs) -> Self {
        Self { programs, ..self }
    }

    /// Shows one line: `line` is what [`Line::parse`] made of `text`.
    /// The result ends with a line end.
    #[must_use]
    pub(crate) fn show(&mut self, text: &str, line: &Line<'_>) -> String {
        let mut shown = String::with_capacity(text.len() + 64);
        match line {
            Line::Record(record) if self.colour => record_in_colour(&mut shown, text, record),
            Line::Record(_) => shown.push_str(text),
            Line::Continuation(_) | Line::Text(_) => self.styled(&mut shown, META, text),
            Line::Lost(_)
            | Line::Skipped(_)
            | Line::NoRing(_)
            | Line::Uncommitted { .. }
            | Line::Cut => self.styled(&mut shown, LOSS, text),
            Line::End(end) if end.lost > 0 => self.styled(&mut shown, LOSS, text),
            Line::End(_) | Line::NotClosed { .. } | Line::Notice(_) => {
                self.styled(&mut shown, NOTICE, text);
            }
            Line::Fallback(_) => self.styled(&mut shown, FALLBACK, text),
        }
        if let Line::Record(Record { message: text, .. })
        | Line::Continuation(text)
        | Line::Fallback(text) = line
        {
            self.instruction = instruction_pointer(text).or(self.instruction);
            self.resolve(&mut shown, text);
        }
        shown.push('\n');
        shown
    }

    /// Shows what a capture says beside its records. The result ends with a line end.
    #[must_use]
    pub(crate) fn note(&self, note: &Note) -> String {
        let mut shown = String::new();
        let text = note.to_string();
        self.styled(&mut shown, note_style(note), &printable(text.as_bytes()));
        shown.push('\n');
        shown
    }

    /// Appends the function and source line if `message` is a backtrace's line;
    /// functions inlined there come first, each in front of the one it is inlined into.
    fn resolve(&self, shown: &mut String, message: &str) {
        let frames = match (backtrace_frame(message), &self.symbols) {
            (Some((number, address)), Some(symbols)) => {
                // The trace of an exception begins with the instruction that failed.
                let is_first = number == 0 && self.instruction == Some(address);
                symbols.frames(place(is_first, address))
            }
            (Some(_), None) => return,
            (None, _) => match program_frame(message) {
                // It always begins so.
                Some((program, number, address)) => {
                    self.programs.frames(program, place(number == 0, address))
                }
                None => return,
            },
        };
        if frames.is_empty() {
            return;
        }
        let frames: Vec<_> = frames.iter().map(ToString::to_string).collect();
        shown.push(' ');
        self.styled(shown, SYMBOL, &frames.join(" < "));
    }

    /// Appends `text` in a style, if colour is wanted.
    fn styled(&self, shown: &mut String, style: Style, text: &str) {
        // Writing to a `String` cannot fail.
        let _ = if self.colour {
            write!(shown, "{style}{text}{style:#}")
        } else {
            write!(shown, "{text}")
        };
    }
}

/// The address of an instruction that failed, or one that a function returns to.
fn place(has_failed: bool, address: u64) -> Address {
    match has_failed {
        true => Address::Instruction(address),
        false => Address::Return(address),
    }
}

/// Appends a record with its parts in their colours; the text stays the same.
fn record_in_colour(shown: &mut String, text: &str, record: &Record<'_>) {
    let head = text.len() - record.message.len();
    let (head, message) = text.split_at(head);
    let style = severity_style(record.severity);
    let cpu = cpu_style(record.cpu);
    // "[stamp] cpu:number context severity module file:line: "
    let stamp = head.find(']').map_or(0, |at| at + 1);
    let id = head[stamp..]
        .find(|c: char| c.is_ascii_digit())
        .map_or(stamp, |at| stamp + at);
    let id_end = head[id..].find(' ').map_or(head.len(), |at| id + at);
    let word = record.severity.name();
    let severity = head[id_end..]
        .find(word)
        .map_or(head.len(), |at| id_end + at);
    let severity_end = (severity + word.len()).min(head.len());
    for (style, part) in [
        (META, &head[..id]),
        (cpu, &head[id..id_end]),
        (META, &head[id_end..severity]),
        (style, &head[severity..severity_end]),
        (META, &head[severity_end..]),
        (style, message),
    ] {
        // Writing to a `String` cannot fail.
        let _ = write!(shown, "{style}{part}{style:#}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RECORD: &str = "[    0.013514] 3:17 irq  ERROR kernel::scenario smoke.rs:41: 100% bad";

    /// Takes SGR sequences out again.
    fn plain(shown: &str) -> String {
        let mut text = String::new();
        let mut rest = shown;
        while let Some((before, after)) = rest.split_once('\x1b') {
            text += before;
            rest = after.split_once('m').map_or("", |(_, rest)| rest);
        }
        text + rest
    }

    #[test]
    fn without_colour_lines_stay_as_they_are() {
        let mut renderer = Renderer::new(false, None);
        for text in [RECORD, "-- note", "!! worse", "text", "            | more"] {
            assert_eq!(renderer.show(text, &Line::parse(text)), format!("{text}\n"));
        }
    }

    #[test]
    fn colour_shows_severity_and_cpu() {
        let shown = Renderer::new(true, None).show(RECORD, &Line::parse(RECORD));
        assert!(shown.contains("\x1b[1m\x1b[31mERROR\x1b[0m"), "{shown:?}");
        assert!(
            shown.contains("\x1b[1m\x1b[31m100% bad\x1b[0m"),
            "{shown:?}"
        );
        assert!(shown.contains("\x1b[36m3:17\x1b[0m"), "{shown:?}");
        let fallback = Renderer::new(true, None).show("!! x", &Line::parse("!! x"));
        assert!(fallback.starts_with("\x1b[1m"), "{fallback:?}");
    }

    #[test]
    fn backtraces_are_resolved() {
        let elf = std::env::current_exe().expect("a test has an executable");
        let symbols = LazySymbols::new(elf.clone(), "/".into());
        let main = {
            let bytes = std::fs::read(&elf).expect("it is readable");
            let file = object::File::parse(&*bytes).expect("it is an ELF file");
            use object::{Object, ObjectSymbol};
            let main = file
                .symbols()
                .find(|s| s.name() == Ok("main"))
                .expect("it has a main");
            main.address()
        };
        let begin = "[    0.013514] 0:1 task ERROR kernel::panic p.rs:1: ";
        let mut renderer = Renderer::new(false, Some(symbols));
        let mut show = |message: &str| {
            let text = format!("{begin}{message}");
            let shown = renderer.show(&text, &Line::parse(&text));
            shown
                .strip_prefix(&text)
                .expect("the text stays")
                .trim_end()
                .to_owned()
        };
        // A return address is behind its call.
        let first = format!("  #0 {main:#x}");
        assert!(show(&format!("  #0 {:#x}", main + 1)).contains(" main"));
        assert!(!show(&first).contains(" main"));
        // An instruction that failed is where the registers say.
        show(&format!("rip {main:#x} rsp 0x0"));
        assert!(show(&first).contains(" main"));
        assert!(!show(&first.replace("#0", "#1")).contains(" main"));
    }

    proptest! {
        /// Colour adds nothing but colour, whatever the guest says.
        #[test]
        fn colour_keeps_the_text(bytes in prop::collection::vec(any::<u8>(), 0..80), at in 0usize..80) {
            let mut renderer = Renderer::new(true, None);
            let mut noisy = RECORD.as_bytes().to_vec();
            noisy.splice(at.min(noisy.len())..at.min(noisy.len()), bytes.clone());
            for bytes in [bytes, noisy] {
                let text = printable(&bytes);
                prop_assert_eq!(plain(&renderer.show(&text, &Line::parse(&text))), format!("{text}\n"));
            }
        }
    }
}
