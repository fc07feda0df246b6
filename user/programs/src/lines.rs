//! Records of klog, as `dmesg` gets them: whole records, one after the other, without their packets.
//!
//! Two kinds of records are in klog. Lines that were formatted when they were logged have all that is
//! needed. Of statements only the arguments are there: their text is in the kernel's metadata, and
//! their length, too. So the bytes can be followed as long as there are lines; behind a statement
//! nobody here knows where the next record begins.

use relay_format::stamp::{self, Stamp};
use relay_format::{Severity, filler};

/// A line that was formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its time: the lower 40 bits.
    pub time: u64,
    /// How important it is.
    pub severity: Severity,
    /// The module that logged it.
    pub module: &'a str,
    /// What it says.
    pub message: &'a str,
}

/// Bytes of what is in front of a line's texts: severity, line, three lengths.
const HEAD: usize = 11;

/// The id of a line.
const LINE: u16 = 1;

/// The lengths of the texts of a line behind its stamp: module, file, message.
fn lengths(body: &[u8]) -> Option<[usize; 3]> {
    let head = body.first_chunk::<HEAD>()?;
    let length = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
    Some([length(5), length(7), length(9)])
}

/// The length of a line behind its stamp; `None` if it is cut off.
#[must_use]
pub fn length(body: &[u8]) -> Option<usize> {
    let length = HEAD + lengths(body)?.iter().sum::<usize>();
    (length <= body.len()).then_some(length)
}

/// What comes next in the bytes of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// A line, and the bytes behind it.
    Line(Line<'a>, &'a [u8]),
    /// A filler, and the bytes behind it.
    Filler(&'a [u8]),
    /// A statement: its time, its id, and the bytes behind its stamp, of which nobody knows how many
    /// are its own.
    Statement(u64, u16, &'a [u8]),
    /// Nothing, or something that is cut off.
    End,
}

/// What comes next in the bytes of records.
#[must_use]
pub fn next(bytes: &[u8]) -> Next<'_> {
    try_next(bytes).unwrap_or(Next::End)
}

fn try_next(bytes: &[u8]) -> Option<Next<'_>> {
    let (head, body) = bytes.split_first_chunk::<{ stamp::SIZE }>()?;
    let stamp = Stamp::from_bytes(*head);
    let id = stamp.id();
    if id >= stamp::EVENTS {
        return Some(Next::Filler(body.get(filler::length(id, body)?..)?));
    }
    if id != LINE {
        return Some(Next::Statement(stamp.time(), id, body));
    }
    let [module, file, message] = lengths(body)?;
    let texts = body.get(HEAD..)?;
    let text = |from: usize, length: usize| {
        let bytes = texts.get(from..from + length)?;
        Some(core::str::from_utf8(bytes).unwrap_or("?"))
    };
    let line = Line {
        time: stamp.time(),
        severity: Severity::from_number(body[0]).unwrap_or(Severity::Info),
        module: text(0, module)?,
        message: text(module + file, message)?,
    };
    Some(Next::Line(line, texts.get(module + file + message..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use relay_format::Context;

    fn line(time: u64, module: &str, message: &str) -> Vec<u8> {
        let mut bytes = Stamp::new(1, Context::Task, time).to_bytes().to_vec();
        bytes.push(Severity::Warn as u8);
        bytes.extend(77_u32.to_le_bytes());
        for length in [module.len(), 4, message.len()] {
            bytes.extend((length as u16).to_le_bytes());
        }
        for text in [module, "file", message] {
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    #[test]
    fn lines_are_found_one_after_the_other() {
        let mut bytes = line(5, "kernel::mem", "all is well");
        let mut filled = [0; 8];
        filler::fill(&mut filled, Context::Task, 6);
        bytes.extend(filled);
        bytes.extend(line(7, "", ""));
        bytes.extend(Stamp::new(20, Context::Irq, 8).to_bytes());
        bytes.extend([1, 2, 3]);
        let Next::Line(first, rest) = next(&bytes) else {
            panic!("it is a line");
        };
        let wanted = Line {
            time: 5,
            severity: Severity::Warn,
            module: "kernel::mem",
            message: "all is well",
        };
        assert_eq!(first, wanted);
        let Next::Filler(rest) = next(rest) else {
            panic!("it is a filler");
        };
        let Next::Line(second, rest) = next(rest) else {
            panic!("it is a line");
        };
        assert_eq!((second.time, second.message), (7, ""));
        assert_eq!(next(rest), Next::Statement(8, 20, &[1, 2, 3]));
    }

    #[test]
    fn what_is_cut_off_ends() {
        let bytes = line(5, "kernel::mem", "all is well");
        assert_eq!(
            length(&bytes[stamp::SIZE..]),
            Some(bytes.len() - stamp::SIZE)
        );
        for end in 0..bytes.len() {
            assert_eq!(next(&bytes[..end]), Next::End, "{end} bytes");
        }
    }
}
