//! Reading physical memory by copying, so that nothing here holds on to memory of the firmware.

/// Physical memory as far as boot can read it.
pub(crate) trait PhysicalMemory {
    /// Copies the bytes at physical `address` into `into`; false, with `into` unspecified, if not
    /// all of them can be read.
    #[must_use]
    fn read(&self, address: u64, into: &mut [u8]) -> bool;
}

/// Reads a little-endian number of `N` bytes at `at` in `bytes`; 0 if it is not all there.
pub(crate) fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut buffer = [0; 8];
    if let Some(field) = bytes.get(at..at.saturating_add(N)) {
        buffer[..N].copy_from_slice(field);
    }
    u64::from_le_bytes(buffer)
}

/// Memory for tests: some bytes at some address, nothing elsewhere.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct FakeMemory {
    pieces: Vec<(u64, Vec<u8>)>,
}

#[cfg(test)]
impl FakeMemory {
    /// Puts `bytes` at `address`.
    pub(crate) fn put(&mut self, address: u64, bytes: &[u8]) {
        self.pieces.push((address, bytes.to_vec()));
    }
}

#[cfg(test)]
impl PhysicalMemory for FakeMemory {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        self.pieces.iter().any(|(start, bytes)| {
            let Some(offset) = address.checked_sub(*start) else {
                return false;
            };
            let Ok(offset) = usize::try_from(offset) else {
                return false;
            };
            match bytes.get(offset..offset.saturating_add(into.len())) {
                Some(piece) => {
                    into.copy_from_slice(piece);
                    true
                }
                None => false,
            }
        })
    }
}
