//! Frames in bytes that come one after the other, among whatever else comes.
//!
//! ```
//! use relay_format::frame;
//! use relay_format::frames::Frames;
//!
//! let mut line = [0; frame::max_size(5)];
//! let size = frame::write([&b"hello"[..]], &mut line)?;
//! let mut frames = Frames::<64>::new();
//! let mut found = 0;
//! for byte in b"noise".iter().chain(&line[..size]) {
//!     if let Some(contents) = frames.push(*byte) {
//!         assert_eq!(contents, b"hello");
//!         found += 1;
//!     }
//! }
//! assert_eq!((found, frames.noise()), (1, 1));
//! # Ok::<(), frame::NoRoom>(())
//! ```

use core::mem;

use crate::frame::{self, DELIMITER};

/// Finds frames of at most `N` bytes between their delimiters. What is none is counted, and passed
/// over: the next delimiter puts it in step again, whatever has come before.
///
/// It keeps `N` bytes, allocates nothing, and looks at each byte a bounded number of times. Any
/// context, whoever has it.
#[derive(Clone, Debug)]
pub struct Frames<const N: usize> {
    held: [u8; N],
    length: usize,
    /// There was no room for more of the piece that is coming: it is no frame.
    is_over: bool,
    noise: u64,
}

impl<const N: usize> Default for Frames<N> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> Frames<N> {
    /// Nothing has come.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            held: [0; N],
            length: 0,
            is_over: false,
            noise: 0,
        }
    }

    /// Takes the next byte. If a sound frame ends with it: what the frame holds, without its
    /// checksum.
    pub fn push(&mut self, byte: u8) -> Option<&[u8]> {
        if byte != DELIMITER {
            match self.held.get_mut(self.length) {
                Some(place) => {
                    *place = byte;
                    self.length += 1;
                }
                None if !self.is_over => {
                    self.is_over = true;
                    self.noise += 1;
                }
                None => {}
            }
            return None;
        }
        let Self { held, noise, .. } = self;
        let length = mem::take(&mut self.length);
        // What was too long was counted; two delimiters in a row are as good as one.
        if mem::take(&mut self.is_over) || length == 0 {
            return None;
        }
        match frame::read(held.get_mut(..length)?) {
            Ok(contents) => Some(contents),
            Err(_) => {
                *noise += 1;
                None
            }
        }
    }

    /// How many pieces between delimiters were no frame.
    #[must_use]
    pub fn noise(&self) -> u64 {
        self.noise
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn framed(contents: &[u8]) -> Vec<u8> {
        let mut line = vec![0; frame::max_size(contents.len())];
        let size = frame::write([contents], &mut line).unwrap();
        line.truncate(size);
        line
    }

    fn found(frames: &mut Frames<64>, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for byte in bytes {
            all.extend(frames.push(*byte).map(<[u8]>::to_vec));
        }
        all
    }

    #[test]
    fn frames_are_found_behind_anything() {
        let mut state = 1_u64;
        let mut frames = Frames::<64>::new();
        let mut sent = 0_u64;
        for round in 0..2000_u64 {
            let mut noise = Vec::new();
            for _ in 0..round % 150 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                noise.push((state >> 56) as u8);
            }
            assert_eq!(found(&mut frames, &noise), Vec::<Vec<u8>>::new());
            let contents = &noise[..noise.len().min(40)];
            assert_eq!(found(&mut frames, &framed(contents)), [contents]);
            sent += 1;
        }
        assert!(frames.noise() > sent / 2, "{} of {sent}", frames.noise());
    }

    #[test]
    fn what_is_too_long_is_one_piece_of_noise() {
        let mut frames = Frames::<64>::new();
        assert!(found(&mut frames, &[1; 10_000]).is_empty());
        assert_eq!(frames.noise(), 1);
        assert!(found(&mut frames, &[0]).is_empty());
        assert_eq!(frames.noise(), 1);
        // As long as it can be, and a byte longer.
        assert_eq!(found(&mut frames, &framed(&[7; 59])), [[7; 59]]);
        assert!(found(&mut frames, &framed(&[7; 60])).is_empty());
        assert_eq!(frames.noise(), 2);
        assert_eq!(found(&mut frames, &framed(b"x")), [b"x"]);
    }
}
