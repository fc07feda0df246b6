//! Memory that the device writes to.

use core::marker::PhantomData;
use core::ptr::NonNull;

use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE};

use crate::dev::virtio::queue::Flight;

/// A buffer of `SIZE` bytes that the device writes into.
pub(super) struct Incoming<const SIZE: usize>(Buffer);

/// One buffer of the pages.
pub(super) struct Buffer(pub(super) NonNull<u8>);

// SAFETY: memory can be accessed from any CPU, and who has the buffer has it alone.
unsafe impl Send for Buffer {}

// SAFETY: always the same bytes of the pages, which live until the device was reset; nobody
// touches them while the buffer is in flight.
unsafe impl<const SIZE: usize> Flight for Incoming<SIZE> {
    fn with_buffers<R>(
        &self,
        use_them: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> R,
    ) -> R {
        // SAFETY: the bytes are allocated, initialised, and in no other reference.
        let bytes = unsafe { core::slice::from_raw_parts_mut(self.0.0.as_ptr(), SIZE) };
        use_them(&[], &mut [bytes])
    }
}

impl<const SIZE: usize> Incoming<SIZE> {
    /// What the device has written, and what was there before. Not while it has the buffer.
    pub(super) fn copy(&self) -> [u8; SIZE] {
        let mut copy = [0; SIZE];
        self.with_buffers(|_, buffers| copy.copy_from_slice(buffers[0]));
        copy
    }
}

/// Memory that the device sees, cut into buffers of `SIZE` bytes. Not freed when dropped: see
/// [`free`](Self::free).
pub(super) struct Pages<H: Hal, const SIZE: usize> {
    physical: u64,
    start: NonNull<u8>,
    count: usize,
    _hal: PhantomData<fn() -> H>,
}

// SAFETY: as for `Buffer`.
unsafe impl<H: Hal, const SIZE: usize> Send for Pages<H, SIZE> {}

impl<H: Hal, const SIZE: usize> Pages<H, SIZE> {
    /// So many pages; `None` if there is no memory.
    pub(super) fn new(count: usize) -> Option<Self> {
        let (physical, start) = H::dma_alloc(count, BufferDirection::Both);
        (physical != 0).then_some(Self {
            physical,
            start,
            count,
            _hal: PhantomData,
        })
    }

    /// How many buffers there are.
    fn buffers(&self) -> usize {
        self.count * PAGE_SIZE / SIZE
    }

    /// One of the buffers. Nobody has it, or had it and has given it up.
    pub(super) fn buffer(&self, index: usize) -> Buffer {
        // SAFETY: the index is below the number of buffers, so it is within the pages.
        Buffer(unsafe { self.start.add(index % self.buffers() * SIZE) })
    }

    /// One of the buffers, for the device to write to, likewise.
    pub(super) fn incoming(&self, index: usize) -> Incoming<SIZE> {
        Incoming(self.buffer(index))
    }

    /// Frees the pages.
    ///
    /// # Safety
    /// The device was reset, and no buffer is used any more.
    pub(super) unsafe fn free(&mut self) {
        // SAFETY: from `dma_alloc`, and not freed before: who calls it uses nothing of it any more.
        unsafe { H::dma_dealloc(self.physical, self.start, self.count) };
    }
}
