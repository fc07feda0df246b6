//! The archive of programs that the machine was started with: a tar file, as the boot code found it.

use spin::Once;
use tar_no_std::TarArchiveRef;

/// The archive; empty if there is none.
static ARCHIVE: Once<&'static [u8]> = Once::new();

/// Says where it is. Task context, once.
pub(crate) fn begin(archive: &'static [u8]) {
    ARCHIVE.call_once(|| archive);
}

/// The ELF file of a program; `None` if there is none of this name. Task context.
pub(super) fn find(name: &str) -> Option<&'static [u8]> {
    let bytes = ARCHIVE.get().copied()?;
    let archive = TarArchiveRef::new(bytes).ok()?;
    let mut entries = archive.entries();
    let entry = entries.find(|entry| entry.filename().as_str() == Ok(name))?;
    Some(entry.data())
}

/// Whether there are programs at all. Any context.
pub(crate) fn is_there() -> bool {
    ARCHIVE.get().is_some_and(|archive| !archive.is_empty())
}
