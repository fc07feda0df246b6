//! The kernel's configuration, as `bootloader_api::entry_point!` leaves it in the image.

use bootloader_api::config::{ApiVersion, BootloaderConfig, Mapping};

use crate::error::{BootError, Report};

/// Bytes of the unique identifier with which a serialised configuration begins; the version
/// follows (major, minor, patch, 16 bits each).
const UUID_LEN: usize = 16;

/// Reads the contents of the `.bootloader-config` section; the defaults if it is unreadable.
/// Reports that, another version of the interface, and requests that boot cannot honour.
/// `kernel_base` is the virtual address that the kernel is linked to.
pub(crate) fn read(section: &[u8], kernel_base: u64, report: &mut Report) -> BootloaderConfig {
    let config = match BootloaderConfig::deserialize(section) {
        Ok(config) => config,
        Err(reason) => {
            report.push(BootError::ConfigUnreadable { reason });
            return BootloaderConfig::new_default();
        }
    };
    check_version(section, report);
    check_requests(&config, kernel_base, report);
    config
}

/// Compares the version in the section (the structure does not show it) with boot's own.
fn check_version(section: &[u8], report: &mut Report) {
    let ours = ApiVersion::default();
    let boot = [
        ours.version_major(),
        ours.version_minor(),
        ours.version_patch(),
    ];
    let field = |index: usize| {
        let at = UUID_LEN + 2 * index;
        match section.get(at..at + 2) {
            Some(&[low, high]) => u16::from_le_bytes([low, high]),
            _ => 0,
        }
    };
    let kernel = [field(0), field(1), field(2)];
    if kernel != boot {
        report.push(BootError::ApiVersion { kernel, boot });
    }
}

/// Reports requests that boot does not honour. Those for addresses are checked when it places
/// things ([`crate::layout`]).
fn check_requests(config: &BootloaderConfig, kernel_base: u64, report: &mut Report) {
    if let Mapping::FixedAddress(requested) = config.mappings.kernel_base
        && requested != kernel_base
    {
        report.push(BootError::KernelBase {
            requested,
            actual: kernel_base,
        });
    }
    if config.mappings.aslr {
        report.push(BootError::AslrUnsupported);
    }
    #[expect(deprecated, reason = "a kernel may still ask for it here")]
    let frame_buffer = config.frame_buffer;
    if frame_buffer.minimum_framebuffer_height.is_some()
        || frame_buffer.minimum_framebuffer_width.is_some()
        || config.mappings.framebuffer != Mapping::Dynamic
    {
        report.push(BootError::NoFramebuffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u64 = 0xffff_ffff_8020_0000;

    fn reading(section: &[u8]) -> (BootloaderConfig, Vec<BootError>) {
        let mut report = Report::new();
        let config = read(section, BASE, &mut report);
        (config, report.errors().to_vec())
    }

    #[test]
    fn what_the_kernel_wrote_is_read() {
        let mut config = BootloaderConfig::new_default();
        config.kernel_stack_size = 123_456;
        config.mappings.physical_memory = Some(Mapping::FixedAddress(0xffff_9000_0000_0000));
        config.mappings.kernel_base = Mapping::FixedAddress(BASE);
        assert_eq!(reading(&config.serialize()), (config, vec![]));
    }

    #[test]
    fn garbage_is_fatal_and_gives_the_defaults() {
        let good = BootloaderConfig::new_default().serialize();
        let mut wrong_id = good;
        wrong_id[3] ^= 1;
        let mut wrong_value = good;
        wrong_value[67] = 9;
        for section in [&good[..0], &good[..132], &wrong_id, &wrong_value] {
            let (config, errors) = reading(section);
            assert_eq!(config, BootloaderConfig::new_default());
            assert!(matches!(errors[..], [error] if error.is_fatal()));
        }
    }

    #[test]
    fn another_version_is_fatal() {
        let mut section = BootloaderConfig::new_default().serialize();
        section[UUID_LEN] = 7;
        section[UUID_LEN + 1] = 1;
        let (_, errors) = reading(&section);
        let [BootError::ApiVersion { kernel, boot }] = errors[..] else {
            panic!("{errors:?}");
        };
        assert_eq!(kernel[0], 263);
        assert_eq!(kernel[1..], boot[1..]);
        assert!(errors[0].is_fatal());
    }

    #[test]
    fn requests_that_cannot_be_honoured_are_reported() {
        let mut config = BootloaderConfig::new_default();
        config.mappings.kernel_base = Mapping::FixedAddress(0x1000);
        config.mappings.aslr = true;
        config.mappings.framebuffer = Mapping::FixedAddress(0x2000);
        let (_, errors) = reading(&config.serialize());
        assert_eq!(
            errors,
            [
                BootError::KernelBase {
                    requested: 0x1000,
                    actual: BASE
                },
                BootError::AslrUnsupported,
                BootError::NoFramebuffer,
            ]
        );
    }
}
