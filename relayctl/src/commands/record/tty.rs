//! A terminal device as a source: it gives the bytes of its line as they are.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::termios::{
    BaudRate, ControlFlags, SetArg, SpecialCharacterIndices, cfmakeraw, cfsetspeed, tcgetattr,
    tcsetattr,
};

/// The rates that Linux has names for, which every driver understands.
const RATES: [(u32, BaudRate); 22] = [
    (600, BaudRate::B600),
    (1200, BaudRate::B1200),
    (2400, BaudRate::B2400),
    (4800, BaudRate::B4800),
    (9600, BaudRate::B9600),
    (19_200, BaudRate::B19200),
    (38_400, BaudRate::B38400),
    (57_600, BaudRate::B57600),
    (115_200, BaudRate::B115200),
    (230_400, BaudRate::B230400),
    (460_800, BaudRate::B460800),
    (500_000, BaudRate::B500000),
    (576_000, BaudRate::B576000),
    (921_600, BaudRate::B921600),
    (1_000_000, BaudRate::B1000000),
    (1_152_000, BaudRate::B1152000),
    (1_500_000, BaudRate::B1500000),
    (2_000_000, BaudRate::B2000000),
    (2_500_000, BaudRate::B2500000),
    (3_000_000, BaudRate::B3000000),
    (3_500_000, BaudRate::B3500000),
    (4_000_000, BaudRate::B4000000),
];

/// The rate of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Baud {
    number: u32,
    rate: BaudRate,
}

impl Default for Baud {
    fn default() -> Self {
        Self {
            number: 115_200,
            rate: BaudRate::B115200,
        }
    }
}

impl FromStr for Baud {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.parse().ok();
        let found = RATES.iter().find(|(own, _)| Some(*own) == number);
        match found {
            Some((number, rate)) => Ok(Self {
                number: *number,
                rate: *rate,
            }),
            None => {
                let known = RATES.map(|(number, _)| number.to_string()).join(", ");
                Err(format!(
                    "{text} is no rate: one of {known} would be right, also behind a path that has \
                     colons"
                ))
            }
        }
    }
}

impl fmt::Display for Baud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

/// A terminal device that is open.
#[derive(Debug)]
pub(super) struct Tty {
    file: File,
    /// Whether it can be written to, too.
    is_written: bool,
}

impl Tty {
    /// What goes to its line; `None` if it cannot be written to.
    pub(super) fn output(&self) -> Option<Output> {
        let file = self.is_written.then(|| self.file.try_clone().ok());
        file.flatten().map(Output)
    }
}

/// What goes to the line, slowly: who polls an UART may look at it once in a hundredth of a second,
/// and what its FIFO of 16 bytes does not hold meanwhile is lost.
#[derive(Debug)]
pub(super) struct Output(File);

/// Bytes that are sent at once: if the other side is a little late, the next ones have room, too.
const AT_ONCE: usize = 8;

/// How long the next ones wait.
const TICK: Duration = Duration::from_millis(12);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(&bytes[..bytes.len().min(AT_ONCE)])?;
        thread::sleep(TICK);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Opens one: 8 bits, no parity, one stop bit, no flow control, no byte of any meaning.
pub(super) fn open(path: &Path, baud: Baud) -> io::Result<Tty> {
    // A modem that is not there would be waited for, and a terminal of ours must not become the one
    // that sends us signals.
    let flags = OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
    let open = |is_written: bool| {
        OpenOptions::new()
            .read(true)
            .write(is_written)
            .custom_flags(flags.bits())
            .open(path)
    };
    // Where it may only be read that is enough for a capture.
    let (file, is_written) = match open(true) {
        Ok(file) => (file, true),
        Err(_) => (open(false)?, false),
    };
    let mut settings = tcgetattr(&file).map_err(|errno| match errno {
        Errno::ENOTTY => io::Error::other("it is no terminal: leave out tty: in front of it"),
        errno => errno.into(),
    })?;
    cfmakeraw(&mut settings);
    settings.control_flags |= ControlFlags::CLOCAL | ControlFlags::CREAD;
    settings.control_flags -= ControlFlags::CSTOPB | ControlFlags::CRTSCTS;
    settings.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
    settings.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
    cfsetspeed(&mut settings, baud.rate)?;
    tcsetattr(&file, SetArg::TCSANOW, &settings)?;
    let flags = OFlag::from_bits_truncate(fcntl(&file, FcntlArg::F_GETFL)?);
    fcntl(&file, FcntlArg::F_SETFL(flags - OFlag::O_NONBLOCK))?;
    Ok(Tty { file, is_written })
}

impl Read for Tty {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.file.read(buffer) {
            // Its other end was closed, or it was pulled out.
            Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => Ok(0),
            read => read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_that_there_are() {
        assert_eq!("115200".parse(), Ok(Baud::default()));
        for (number, _) in RATES {
            let baud: Baud = number.to_string().parse().expect("it is one");
            assert_eq!(baud.to_string(), number.to_string());
        }
        for wrong in ["", "0", "-1", "115201", "9600n8", "99999999999999999999"] {
            let error = wrong.parse::<Baud>().expect_err(wrong);
            assert!(error.contains("57600, 115200, 230400"), "{error}");
        }
    }
}
