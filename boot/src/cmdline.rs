//! The kernel command line (`-append`), copied.

use crate::error::{BootError, Report};
use crate::physical::PhysicalMemory;

/// Bytes of a command line that are kept.
pub(crate) const MAX: usize = 4096;

/// A copy of the command line: UTF-8, without the terminating zero.
#[derive(Debug)]
pub(crate) struct CommandLine {
    bytes: [u8; MAX],
    len: usize,
}

impl CommandLine {
    /// An empty command line.
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; MAX],
            len: 0,
        }
    }

    /// Copies the zero-terminated text at physical `address`, cut where it gets too long or is not
    /// UTF-8, which is reported.
    pub(crate) fn read(&mut self, memory: &impl PhysicalMemory, address: u64, report: &mut Report) {
        self.len = 0;
        loop {
            let mut byte = [0];
            let at = address.saturating_add(self.len as u64);
            if !memory.read(at, &mut byte) {
                self.len = 0;
                report.push(BootError::CommandLineUnreadable { address });
                return;
            }
            if byte == [0] {
                break;
            }
            if self.len == MAX {
                report.push(BootError::CommandLineTooLong { max: MAX });
                break;
            }
            self.bytes[self.len] = byte[0];
            self.len += 1;
        }
        if let Err(error) = core::str::from_utf8(&self.bytes[..self.len]) {
            let cut = self.len == MAX && error.error_len().is_none();
            self.len = error.valid_up_to();
            // A character that only the cut broke is no error of its own.
            if !cut {
                report.push(BootError::CommandLineNotUtf8 { at: self.len });
            }
        }
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        // `read` keeps nothing that is not UTF-8.
        core::str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::{CommandLine, MAX};
    use crate::error::{BootError, Report};
    use crate::physical::FakeMemory;

    fn read(bytes: &[u8]) -> (String, Vec<BootError>) {
        let mut memory = FakeMemory::default();
        memory.put(0x1000, bytes);
        let mut line = CommandLine::new();
        let mut report = Report::new();
        line.read(&memory, 0x1000, &mut report);
        (line.as_str().to_owned(), report.errors().to_vec())
    }

    #[test]
    fn ends_at_the_zero() {
        assert_eq!(read(b"a=b c\0d"), ("a=b c".to_owned(), vec![]));
        assert_eq!(read(b"\0"), (String::new(), vec![]));
    }

    #[test]
    fn without_a_zero_it_is_unreadable() {
        let (text, errors) = read(b"a=b");
        assert_eq!(text, "");
        assert_eq!(
            errors,
            [BootError::CommandLineUnreadable { address: 0x1000 }]
        );
    }

    #[test]
    fn wrong_utf8_is_cut() {
        let (text, errors) = read(b"ab\xffcd\0");
        assert_eq!(text, "ab");
        assert_eq!(errors, [BootError::CommandLineNotUtf8 { at: 2 }]);
        let (text, errors) = read(b"ab\xc3\0");
        assert_eq!(text, "ab");
        assert_eq!(errors, [BootError::CommandLineNotUtf8 { at: 2 }]);
    }

    #[test]
    fn the_longest_fits_and_one_more_is_cut() {
        let mut bytes = vec![b'x'; MAX];
        bytes.push(0);
        assert_eq!(read(&bytes), ("x".repeat(MAX), vec![]));
        bytes.insert(0, b'x');
        let (text, errors) = read(&bytes);
        assert_eq!(text, "x".repeat(MAX));
        assert_eq!(errors, [BootError::CommandLineTooLong { max: MAX }]);
    }

    #[test]
    fn a_cut_character_is_left_out() {
        let mut bytes = vec![b'x'; MAX - 1];
        bytes.extend("é\0".as_bytes());
        let (text, errors) = read(&bytes);
        assert_eq!(text, "x".repeat(MAX - 1));
        assert_eq!(errors, [BootError::CommandLineTooLong { max: MAX }]);
    }
}
