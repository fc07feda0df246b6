//! Where the kernel image lies.

use core::ops::Range;

/// The kernel image in memory: its sections in virtual addresses, whole pages, and the physical
/// memory behind them.
///
/// The pages of `text` are mapped readable and executable, those of `rodata` readable, those of
/// `data` (with the zero-initialised data) readable and writable; nothing is both writable and
/// executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelImage {
    /// Code.
    pub text: Range<u64>,
    /// Constants, the bootloader configuration, and what only the linker wrote to.
    pub rodata: Range<u64>,
    /// Initialised and zero-initialised variables.
    pub data: Range<u64>,
    /// The physical memory of all three, contiguous and in this order.
    pub physical: Range<u64>,
}

impl KernelImage {
    /// The virtual addresses of the whole image.
    #[must_use]
    pub const fn all(&self) -> Range<u64> {
        self.text.start..self.data.end
    }
}
