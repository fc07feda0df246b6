//! What the program logs, to channel `user`: relay's macros and the `log` facade.
//!
//! The texts of relay's macros are put together here, in the program: the kernel, which describes
//! the records that leave the machine, knows nothing of a program's statements. The kernel stamps
//! what is written, and says which program and thread wrote it.

use core::fmt::{self, Write as _};

use relay::event::{Severity, Sink, Site, Values};
use relay::record::Fields;
use relay_abi::WRITE_BYTES;

use crate::files::FILES;
use crate::sys;

/// A text that is being put together: what is too long is cut, between two characters.
#[derive(Debug)]
pub struct Line {
    bytes: [u8; WRITE_BYTES],
    length: usize,
}

impl Line {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            bytes: [0; WRITE_BYTES],
            length: 0,
        }
    }

    /// What it says so far.
    #[must_use]
    pub fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = text.floor_char_boundary(WRITE_BYTES - self.length);
        let part = &text.as_bytes()[..end];
        self.bytes[self.length..self.length + end].copy_from_slice(part);
        self.length += end;
        match end == text.len() {
            true => Ok(()),
            // Who formats may stop.
            false => Err(fmt::Error),
        }
    }
}

/// Writes a text to channel `user`. What is refused there is counted there.
pub fn write(severity: Severity, message: fmt::Arguments<'_>) {
    let mut line = Line::new();
    // It fails where the text is cut.
    let _ = line.write_fmt(message);
    put(severity, &line);
}

fn put(severity: Severity, line: &Line) {
    // There is nobody to tell.
    let _ = sys::write(FILES, severity as u8, line.text());
}

/// Where the macros of relay and of `log` write.
struct User;

impl Sink for User {
    fn put(&self, event: u16, fields: &[u8]) {
        let Some(class) = relay::event::find(event) else {
            return;
        };
        let mut line = Line::new();
        // It fails where the text is cut.
        let _ = match Values::take(class.class.fields, &mut Fields::new(fields)) {
            Some(values) => values.write(&mut line, class.site.name()),
            None => line.write_str(class.site.name()),
        };
        put(class.site.severity(), &line);
    }

    fn room(&self) -> usize {
        WRITE_BYTES
    }

    fn say(&self, site: &Site, message: fmt::Arguments<'_>) {
        write(site.severity(), message);
    }
}

static SINK: User = User;
relay::sink!(SINK);

impl log::Log for User {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let severity = match record.level() {
            log::Level::Error => Severity::Error,
            log::Level::Warn => Severity::Warn,
            log::Level::Info => Severity::Info,
            log::Level::Debug => Severity::Debug,
            log::Level::Trace => Severity::Trace,
        };
        write(severity, *record.args());
    }

    fn flush(&self) {}
}

/// Puts the facade's macros to work, before the program begins.
pub(crate) fn begin() {
    log::set_max_level(log::LevelFilter::Info);
    // Fails only if there is a logger already, which can only be this one.
    let _ = log::set_logger(&SINK);
}

/// Says that the program has panicked, and where.
#[cfg(target_os = "none")]
pub(crate) fn panicked(info: &core::panic::PanicInfo<'_>) {
    write(Severity::Error, format_args!("{info}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_between_two_characters() {
        let mut line = Line::new();
        for _ in 0..WRITE_BYTES / 2 - 1 {
            line.write_str("ab").expect("there is room");
        }
        line.write_str("c").expect("there is room");
        assert!(line.write_str("ä").is_err());
        assert_eq!(line.text().len(), WRITE_BYTES - 1);
        assert!(line.write_str("d").is_ok());
        assert!(line.write_str("e").is_err());
        assert_eq!(line.text().len(), WRITE_BYTES);
        assert!(line.text().ends_with("abcd"));
    }
}
