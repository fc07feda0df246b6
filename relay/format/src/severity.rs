//! How important a record is.

/// How important a record is: syslog's eight severities (RFC 5424, section 6.2.1) with their
/// numbers, and one below them for every step. The smaller, the more important.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Severity {
    /// The system cannot be used.
    Emerg = 0,
    /// Somebody must act at once.
    Alert,
    /// A vital part failed.
    Crit,
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warn,
    /// Normal, but worth to be noticed.
    Notice,
    /// What the kernel does.
    Info,
    /// For whoever works on the kernel.
    Debug,
    /// Every step. syslog has no such severity: there it is debug.
    Trace,
}

impl Severity {
    /// All severities, the most important first: a severity's place is its number.
    pub const ALL: [Self; 9] = [
        Self::Emerg,
        Self::Alert,
        Self::Crit,
        Self::Error,
        Self::Warn,
        Self::Notice,
        Self::Info,
        Self::Debug,
        Self::Trace,
    ];

    /// The severity as one upper-case word of at most six letters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Emerg => "EMERG",
            Self::Alert => "ALERT",
            Self::Crit => "CRIT",
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }

    /// The severity with this number; `None` if there is none.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        if (number as usize) < Self::ALL.len() {
            Some(Self::ALL[number as usize])
        } else {
            None
        }
    }

    /// The severity with this [name](Self::name), in upper or lower case; also by the other words
    /// that syslog has for it: `panic`, `err`, `warning`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let others = [
            ("panic", Self::Emerg),
            ("err", Self::Error),
            ("warning", Self::Warn),
        ];
        let own = Self::ALL
            .into_iter()
            .map(|severity| (severity.name(), severity));
        own.chain(others)
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, severity)| severity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_syslog() {
        for (number, severity) in Severity::ALL.into_iter().enumerate() {
            assert_eq!(severity as usize, number);
            assert_eq!(Severity::from_number(number as u8), Some(severity));
            assert_eq!(Severity::from_name(severity.name()), Some(severity));
        }
        assert_eq!(Severity::from_number(9), None);
        assert_eq!((Severity::Error as u8, Severity::Debug as u8), (3, 7));
        assert_eq!(Severity::from_name("warning"), Some(Severity::Warn));
        assert_eq!(Severity::from_name("fatal"), None);
        assert!(Severity::Emerg < Severity::Trace);
    }
}
