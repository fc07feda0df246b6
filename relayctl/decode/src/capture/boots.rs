//! How the boots of a capture are named: by number where they lie, by UUID in their packets.

use std::fmt;
use std::path::{Path, PathBuf};

/// The most boots of one capture.
pub const MAX_BOOTS: u32 = 1000;

/// What the folders of further boots begin with; their number follows.
const BOOT: &str = "boot.";

/// The UUID of a boot, as metadata has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uuid(pub [u8; 16]);

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, byte) in self.0.iter().enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// The folder of a boot within that of its capture.
pub(super) fn folder_name(number: u32) -> PathBuf {
    match number {
        0 | 1 => PathBuf::new(),
        _ => PathBuf::from(format!("{BOOT}{number}")),
    }
}

/// The number of the further boot whose folder has this name.
pub(super) fn number_of(name: &str) -> Option<u32> {
    let digits = name.strip_prefix(BOOT)?;
    let number = digits.parse().ok().filter(|number| *number > 1)?;
    // As it is written, and in no other way.
    (number <= MAX_BOOTS && folder_name(number) == Path::new(name)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_boot_tells_its_number() {
        assert_eq!(folder_name(1), Path::new(""));
        for number in [2, 10, 999, MAX_BOOTS] {
            let name = folder_name(number);
            assert_eq!(name.to_str().and_then(number_of), Some(number));
        }
        for wrong in [
            "boot.0",
            "boot.1",
            "boot.02",
            "boot.+2",
            "boot.1001",
            "boot.",
            "boot.2x",
            "boot",
        ] {
            assert_eq!(number_of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_uuid_is_shown_as_the_metadata_has_it() {
        let uuid = std::array::from_fn(|at| at as u8 * 0x11);
        assert_eq!(
            Uuid(uuid).to_string(),
            "00112233-4455-6677-8899-aabbccddeeff"
        );
    }
}
