//! Numbers for the parts of a system that events are about, and for kinds of events, which agree
//! across machines without a list that somebody keeps: those of evlog (POSIX 1003.25's draft).
//!
//! ```
//! use relay_format::facility;
//!
//! assert_eq!(facility::code("kern"), Some(0));
//! assert_eq!(facility::code("disk"), facility::code("DISK"));
//! ```

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};

/// The longest name, in bytes.
pub const MAX_NAME: usize = 64;

/// The names that have syslog's codes, in their order (RFC 5424, section 6.2.1, by the names of
/// `syslog.h`), and evlog's own.
const SYSLOG: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "logmgmt", "", "", "", "local0", "local1", "local2", "local3", "local4", "local5",
    "local6", "local7",
];

/// The bits of syslog's codes that the severity has there.
const SEVERITY_BITS: u32 = 3;

const CRC: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);

/// The code of a facility: syslog's, of a name that syslog has (its number times eight); of
/// others the CRC-32, that of zlib, of the [canonical] name.
///
/// `None` if the name is empty or longer than [`MAX_NAME`], or if its CRC-32 is a code that syslog
/// may have: another name is needed then.
#[must_use]
pub const fn code(name: &str) -> Option<u32> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.len() > MAX_NAME {
        return None;
    }
    let canonical = canonical(name);
    let (canonical, _) = canonical.split_at(bytes.len());
    let mut number = 0;
    while number < SYSLOG.len() {
        if is_same(SYSLOG[number].as_bytes(), canonical) {
            return Some((number as u32) << SEVERITY_BITS);
        }
        number += 1;
    }
    match CRC.checksum(canonical) {
        ..=0xFF | u32::MAX => None,
        code => Some(code),
    }
}

/// A name of at most [`MAX_NAME`] bytes as facilities are compared, with zeros behind: upper-case
/// letters as lower-case ones, a blank as `_`, and what is neither letter, digit, `.`, `_` nor
/// outside of ASCII as `.`. What is longer is cut.
#[must_use]
pub const fn canonical(name: &str) -> [u8; MAX_NAME] {
    let bytes = name.as_bytes();
    let mut canonical = [0; MAX_NAME];
    let mut at = 0;
    while at < bytes.len() && at < MAX_NAME {
        canonical[at] = match bytes[at] {
            byte @ b'A'..=b'Z' => byte.to_ascii_lowercase(),
            byte @ (b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | 0x80..) => byte,
            b' ' => b'_',
            _ => b'.',
        };
        at += 1;
    }
    canonical
}

/// The type of an event that nobody has given one: the CRC-32 of its name, the sentence that it
/// has, and the file that it is in, with a zero byte behind each.
#[must_use]
pub fn type_of(name: &str, text: &str, file: &str) -> u32 {
    let mut crc = CRC.digest();
    for part in [name, text, file] {
        crc.update(part.as_bytes());
        crc.update(&[0]);
    }
    crc.finalize()
}

const fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syslogs_names_have_syslogs_codes() {
        for (name, wanted) in [
            ("kern", 0),
            ("USER", 8),
            ("mail", 16),
            ("Daemon", 24),
            ("auth", 32),
            ("syslog", 40),
            ("authpriv", 80),
            ("ftp", 88),
            ("LOGMGMT", 96),
            ("local0", 128),
            ("local7", 184),
        ] {
            assert_eq!(code(name), Some(wanted), "{name}");
        }
    }

    /// The numbers are those of Python's `binascii.crc32` of the canonical name.
    #[test]
    fn other_names_have_the_crc_of_their_canonical_form() {
        for (name, wanted) in KNOWN {
            assert_eq!(code(name), Some(wanted), "{name}");
        }
    }

    #[test]
    fn what_makes_no_wantedis_refused() {
        assert_eq!(code(""), None);
        let long = [b'x'; MAX_NAME + 1];
        let long = core::str::from_utf8(&long).expect("it is ASCII");
        assert_eq!(code(long), None);
        assert!(code(&long[1..]).is_some());
        // Their CRC-32 is what syslog's numbers look like, or none of evlog's.
        for name in TAKEN {
            assert_eq!(code(name), None, "{name}");
        }
    }

    #[test]
    fn a_type_is_that_of_the_place() {
        assert_eq!(
            type_of("disk_full", "{disk} is full", "kernel/src/disk.rs"),
            TYPE
        );
        let of = |name, text, file| type_of(name, text, file);
        assert_ne!(of("ab", "c", "d"), of("a", "bc", "d"));
        assert_ne!(of("a", "b", "cd"), of("a", "bc", "d"));
    }

    const KNOWN: [(&str, u32); 8] = [
        ("disk", 0x0C74_DD02),
        ("DISK", 0x0C74_DD02),
        ("Bob's Volume Manager", 0x238B_2033),
        ("virtio-net", 0x6790_626D),
        ("gr\u{f6}\u{df}e", 0x5BD3_A989),
        ("a.b_c", 0x8056_1FDA),
        ("mem", 0x94C7_0366),
        ("scenario", 0x3E45_C8D8),
    ];
    const TAKEN: [&str; 4] = ["a9jdwnx", "g5ubdc0", "r31bz2o", "f8ma0xh"];
    const TYPE: u32 = 0xE573_DBE5;

    const _: () = assert!(code("disk").is_some(), "it is a constant");
}
