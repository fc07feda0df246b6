//! The kernel that a capture comes from.

use serde_json::{Value, json};

/// What of a kernel's ELF file is loaded to run, told from others by a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// How many bytes there are.
    pub bytes: u64,
    /// The CRC-32C over each segment: its address and its length, in eight bytes each, and its
    /// bytes.
    pub crc: u32,
}

impl Image {
    /// As `run.json` has it.
    #[must_use]
    pub fn json(self) -> Value {
        let Self { bytes, crc } = self;
        json!({ "bytes": bytes, "crc32c": format!("{crc:08x}") })
    }

    /// What `run.json` has.
    fn of(told: &Value) -> Option<Self> {
        let is_sum = |crc: &&str| crc.len() == 8 && crc.bytes().all(|c| c.is_ascii_hexdigit());
        let crc = told["crc32c"].as_str().filter(is_sum)?;
        Some(Self {
            bytes: told["bytes"].as_u64()?,
            crc: u32::from_str_radix(crc, 16).ok()?,
        })
    }
}

/// The kernel that a capture comes from, by what its maker wrote about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// Where its ELF file was.
    pub path: Option<String>,
    /// What was loaded of it. Captures of earlier versions do not tell.
    pub image: Option<Image>,
}

impl Kernel {
    /// What `run.json` says, if it says something.
    pub(super) fn of(run: &Value) -> Self {
        Self {
            path: run["kernel"].as_str().map(str::to_owned),
            image: Image::of(&run["kernel_image"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_read_as_it_was_written() {
        let image = Image {
            bytes: 70_000,
            crc: 0x00ab_cdef,
        };
        let run = json!({ "kernel": "/k", "kernel_image": image.json() });
        let kernel = Kernel::of(&run);
        assert_eq!(
            (kernel.path.as_deref(), kernel.image),
            (Some("/k"), Some(image))
        );
        for wrong in [
            json!(null),
            json!({ "bytes": 1 }),
            json!({ "bytes": -1, "crc32c": "00000000" }),
            json!({ "bytes": 1, "crc32c": "+0000000" }),
            json!({ "bytes": 1, "crc32c": "0" }),
        ] {
            let found = Kernel::of(&json!({ "kernel": 7, "kernel_image": wrong }));
            assert_eq!(found, Kernel::default(), "{wrong}");
        }
    }
}
