//! Noise on a line, by a seed.

/// Of so many bytes one is changed, dropped or doubled.
const RARELY: u64 = 20_000;

/// Bytes that pass as they are: those of the metadata, without which other records may be unreadable
/// than those that are hit. On a line that goes on, it comes again.
const AT_FIRST: usize = 80 * 1024;

/// What a line does to the bytes that pass over it.
#[derive(Debug)]
pub(super) struct Noise(Option<u64>);

impl Noise {
    /// None.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// That of a seed.
    pub(super) fn of(seed: u64) -> Self {
        Self(Some(seed | 1))
    }

    /// What becomes of these bytes.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut passed = Vec::with_capacity(bytes.len());
        let (first, rest) = bytes.split_at(bytes.len().min(AT_FIRST));
        passed.extend(first);
        for byte in rest {
            match self.next() {
                Some(chance) if chance % RARELY == 0 => match chance / RARELY % 3 {
                    0 => passed.push(byte ^ 1 << (chance / RARELY / 3 % 8)),
                    1 => {}
                    _ => passed.extend([*byte; 2]),
                },
                _ => passed.push(*byte),
            }
        }
        passed
    }

    /// A number that depends on the seed alone: xorshift64*.
    fn next(&mut self) -> Option<u64> {
        let state = self.0.as_mut()?;
        *state ^= *state >> 12;
        *state ^= *state << 25;
        *state ^= *state >> 27;
        Some(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16)
    }
}
