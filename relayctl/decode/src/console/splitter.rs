//! Cuts a stream of console bytes into lines, in bounded memory.

/// The longest line that is kept, in bytes. What a longer line has beyond that
/// is dropped and counted in [`RawLine::dropped`].
pub const MAX_LINE: usize = 64 * 1024;

/// One line as it came, without its line end (`\n`, or `\r\n`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawLine<'a> {
    /// The bytes of the line, at most [`MAX_LINE`].
    pub bytes: &'a [u8],
    /// Bytes of this line that were dropped because it was too long.
    pub dropped: u64,
    /// Whether the line had its line end; only the last line of a stream may lack it.
    pub ended: bool,
}

/// Collects chunks of bytes and hands out whole lines.
///
/// Holds at most [`MAX_LINE`] bytes, whatever comes in.
#[derive(Debug, Default)]
pub struct LineSplitter {
    /// The begin of the line whose end has not come yet.
    pending: Vec<u8>,
    /// Bytes of the pending line that did not fit.
    dropped: u64,
}

impl LineSplitter {
    /// Creates a splitter that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the stream and calls `on_line` for every line
    /// that they end.
    pub fn push(&mut self, chunk: &[u8], mut on_line: impl FnMut(RawLine<'_>)) {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            self.keep(&rest[..end]);
            self.hand_out(true, &mut on_line);
            rest = &rest[end + 1..];
        }
        self.keep(rest);
    }

    /// Says that the stream has ended: hands out the last line if it has no line end.
    pub fn finish(&mut self, mut on_line: impl FnMut(RawLine<'_>)) {
        if !self.pending.is_empty() || self.dropped > 0 {
            self.hand_out(false, &mut on_line);
        }
    }

    /// Appends to the pending line as much as fits.
    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_LINE - self.pending.len();
        let (kept, dropped) = bytes.split_at(bytes.len().min(room));
        self.pending.extend_from_slice(kept);
        self.dropped = self.dropped.saturating_add(dropped.len() as u64);
    }

    /// Hands out the pending line and starts the next.
    fn hand_out(&mut self, ended: bool, on_line: &mut impl FnMut(RawLine<'_>)) {
        let bytes = match self.pending.as_slice() {
            [line @ .., b'\r'] if ended && self.dropped == 0 => line,
            line => line,
        };
        on_line(RawLine {
            bytes,
            dropped: self.dropped,
            ended,
        });
        self.pending.clear();
        self.dropped = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A line as the tests compare it: its bytes, what was dropped, whether it ended.
    type Owned = (Vec<u8>, u64, bool);

    fn split(chunks: &[&[u8]]) -> Vec<Owned> {
        let mut lines = Vec::new();
        let mut splitter = LineSplitter::new();
        let mut take = |l: RawLine<'_>| lines.push((l.bytes.to_vec(), l.dropped, l.ended));
        for chunk in chunks {
            splitter.push(chunk, &mut take);
        }
        splitter.finish(&mut take);
        lines
    }

    #[test]
    fn lines_are_joined_over_chunks() {
        let lines = split(&[b"one\ntw", b"o\r", b"\n\nlast"]);
        let expected: [(&[u8], u64, bool); 4] = [
            (b"one", 0, true),
            (b"two", 0, true),
            (b"", 0, true),
            (b"last", 0, false),
        ];
        let lines: Vec<_> = lines
            .iter()
            .map(|(b, d, e)| (b.as_slice(), *d, *e))
            .collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_is_whole() {
        let mut text = vec![b'x'; MAX_LINE + 10];
        text.extend_from_slice(b"\nnext\n");
        let lines = split(&[&text]);
        assert_eq!(lines[0], (vec![b'x'; MAX_LINE], 10, true));
        assert_eq!(lines[1], (b"next".to_vec(), 0, true));
    }

    proptest! {
        /// How the bytes are chunked makes no difference, and no byte goes unnoticed.
        #[test]
        fn chunking_makes_no_difference(
            chunks in prop::collection::vec(prop::collection::vec(
                prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..40), 0..20)
        ) {
            let slices: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let whole = chunks.concat();
            let lines = split(&slices);
            prop_assert_eq!(&lines, &split(&[&whole]));
            let ends = lines.iter().filter(|(_, _, ended)| *ended).count();
            prop_assert_eq!(ends, whole.iter().filter(|b| **b == b'\n').count());
        }

        /// Memory stays bounded without a single line end.
        #[test]
        fn memory_is_bounded(size in 0usize..20_000, times in 1usize..30) {
            let mut splitter = LineSplitter::new();
            let chunk = vec![b'x'; size];
            for _ in 0..times {
                splitter.push(&chunk, |_| panic!("no line has ended"));
                prop_assert!(splitter.pending.len() <= MAX_LINE);
            }
            let kept = splitter.pending.len() as u64;
            prop_assert_eq!(kept + splitter.dropped, (size * times) as u64);
        }
    }
}
