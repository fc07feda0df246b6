//! Where messages go.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Who gets messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// `HOST:PORT`: a datagram for each message.
    Udp(String),
    /// `HOST:PORT`: a stream with octet counting.
    Tcp(String),
    /// A socket of this machine: of datagrams, as `/dev/log` is, or a stream with octet counting.
    Unix(PathBuf),
    /// A file, to which a line for each message is appended.
    File(PathBuf),
}

impl FromStr for Destination {
    type Err = String;

    /// Reads `udp:HOST:PORT`, `tcp:HOST:PORT`, `unix:PATH` or a file's path.
    ///
    /// # Errors
    ///
    /// When it is none of them; what would be right.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong =
            || "udp:HOST:PORT, tcp:HOST:PORT, unix:PATH, or a file would be right".to_owned();
        let address = |address: &str| match address.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok_and(|n| n > 0) => {
                Ok(address.to_owned())
            }
            _ => Err(wrong()),
        };
        match text.split_once(':') {
            _ if text.is_empty() => Err(wrong()),
            Some(("unix", "")) => Err(wrong()),
            Some(("unix", path)) => Ok(Self::Unix(path.into())),
            Some(("udp", to)) => address(to).map(Self::Udp),
            Some(("tcp", to)) => address(to).map(Self::Tcp),
            _ => Ok(Self::File(text.into())),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Udp(address) => write!(f, "udp:{address}"),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_read_as_they_are_shown() {
        for text in [
            "udp:localhost:514",
            "tcp:[::1]:601",
            "tcp:10.0.0.1:5514",
            "unix:/dev/log",
            "unix:a:b",
            "syslog.txt",
            "/tmp/a:b",
        ] {
            let read: Destination = text.parse().expect("it is right");
            assert_eq!(read.to_string(), text);
            assert_eq!(
                matches!(read, Destination::File(_)),
                !text.contains("p:") && !text.contains("x:")
            );
        }
        for text in [
            "",
            "unix:",
            "udp:",
            "udp:host",
            "tcp::1",
            "tcp:host:0",
            "tcp:host:65536",
        ] {
            let read: Result<Destination, _> = text.parse();
            assert!(read.is_err(), "{text}");
        }
    }
}
