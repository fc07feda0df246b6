//! Where physical memory is mapped.

use core::sync::atomic::{AtomicU64, Ordering};

/// The virtual address of physical address 0.
static OFFSET: AtomicU64 = AtomicU64::new(0);

/// Physical memory is mapped at `offset`. Once, before anything else here.
pub(super) fn begin(offset: u64) {
    OFFSET.store(offset, Ordering::Relaxed);
}

/// Where a physical address can be read and written. Good for all RAM but the kernel's own code and
/// constants, which can only be read, and for everything below 4 GiB, which is what the boot code
/// maps.
///
/// The pointer is only as good as the address: what lies there is the caller's to know.
pub(crate) fn physical(address: u64) -> *mut u8 {
    OFFSET.load(Ordering::Relaxed).wrapping_add(address) as *mut u8
}
