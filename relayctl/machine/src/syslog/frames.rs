//! Cuts what a guest says into messages: octet counting, RFC 6587, 3.4.1.
//!
//! A frame is `LEN SP MSG`, and each `MSG` is one of RFC 5424, so that a frame begins like
//! `123 <14>1 `. What does not is no frame: then bytes are passed over up to the next place where
//! one begins, and all of them are counted. A length that lies is found out by where it ends.

use std::fmt;

/// The longest message that is taken, in bytes.
pub const MAX_MESSAGE: usize = 64 * 1024;

/// The longest beginning of a frame: five digits, a space, and `<191>1 `.
const MAX_HEAD: usize = 5 + 1 + 7;

/// Why some bytes are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// There is no length where one should be.
    NoLength,
    /// A length is longer than [`MAX_MESSAGE`], or too short for what follows it.
    Length,
    /// What follows a length does not begin as RFC 5424 has it.
    NoPriority,
    /// The end came in the middle of a frame.
    Cut,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLength => f.write_str("no length, as in '123 <14>1 '"),
            Self::Length => write!(f, "a length that is not from 6 to {MAX_MESSAGE}"),
            Self::NoPriority => f.write_str("a length without '<PRIORITY>1 ' behind it"),
            Self::Cut => f.write_str("the end, in the middle of a message"),
        }
    }
}

/// The first place where something was no frame, and how much there is of that in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// What was wrong first.
    pub first: FrameError,
    /// Where that began, in bytes from the beginning.
    pub at: u64,
    /// How many places there are.
    pub count: u64,
    /// The bytes that were passed over there, and at the end.
    pub passed_over: u64,
}

/// What the first bytes of a frame say.
enum Head {
    /// It may become one.
    Open,
    /// So many bytes belong to the message; it begins there.
    Whole { length: usize, begin: usize },
    /// It will not.
    Wrong(FrameError),
}

/// Reads the beginning of a frame.
fn read(head: &[u8]) -> Head {
    let digits = head.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = head[..digits].iter().try_fold(0_usize, |number, digit| {
        let number = number * 10 + usize::from(digit - b'0');
        (number > 0 && number <= MAX_MESSAGE).then_some(number)
    });
    let Some(length) = number else {
        return Head::Wrong(FrameError::Length);
    };
    match head.get(digits) {
        None => return Head::Open,
        Some(b' ') if digits > 0 => {}
        Some(_) => return Head::Wrong(FrameError::NoLength),
    }
    let begin = digits + 1;
    let message = &head[begin..];
    if message.first().is_some_and(|byte| *byte != b'<') {
        return Head::Wrong(FrameError::NoPriority);
    }
    let priority = message.get(1..).unwrap_or_default();
    let digits = priority.iter().take_while(|byte| byte.is_ascii_digit());
    let digits = digits.count();
    let (priority, rest) = priority.split_at(digits);
    let is_priority = match priority {
        [b'0', _, ..] => false,
        [b'1', tens, ones] => (*tens, *ones) <= (b'9', b'1'),
        priority => priority.len() < 3,
    };
    let is_version = b">1 ".starts_with(rest) && (digits > 0 || rest.is_empty());
    if !is_priority || !is_version {
        return Head::Wrong(FrameError::NoPriority);
    }
    match rest.len() {
        3 if message.len() > length => Head::Wrong(FrameError::Length),
        3 => Head::Whole { length, begin },
        _ => Head::Open,
    }
}

/// Cuts a stream into messages. It keeps one message at most.
#[derive(Debug, Default)]
pub struct Frames {
    /// What may be the beginning of a frame.
    head: Vec<u8>,
    /// What has come of a message,
    message: Vec<u8>,
    /// how long it will be, 0 outside of one,
    length: usize,
    /// and how long the length before it was.
    begin: usize,
    /// The bytes of what is done with: frames, and what was none.
    taken: u64,
    /// Whether a frame is looked for that begins anywhere.
    is_lost: bool,
    /// Whether the byte before was a digit: what follows would be the end of a number.
    is_behind_digit: bool,
    /// What was no frame.
    faults: Option<Faults>,
}

impl Frames {
    /// Begins a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes, and gives each message that is whole to `take`.
    pub fn push(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8])) {
        while let Some((&first, rest)) = bytes.split_first() {
            if self.length == 0 {
                self.begin(first);
                bytes = rest;
            } else {
                let missing = self.length - self.message.len();
                let (own, rest) = bytes.split_at(missing.min(bytes.len()));
                self.message.extend_from_slice(own);
                bytes = rest;
            }
            if self.length != 0 && self.message.len() == self.length {
                take(&self.message);
                self.taken += (self.begin + self.length) as u64;
                self.message.clear();
                self.length = 0;
            }
        }
    }

    /// Ends the stream: a message that is not whole is passed over.
    pub fn finish(&mut self) {
        let begin = if self.length > 0 { self.begin } else { 0 };
        let rest = self.head.len() + begin + self.message.len();
        if rest > 0 {
            self.pass_over(FrameError::Cut, rest);
        }
        self.head.clear();
        self.message.clear();
        self.length = 0;
        (self.is_lost, self.is_behind_digit) = (false, false);
    }

    /// What was no frame, if anything.
    #[must_use]
    pub fn faults(&self) -> Option<Faults> {
        self.faults
    }

    /// Takes a byte of the beginning of a frame.
    fn begin(&mut self, byte: u8) {
        self.head.push(byte);
        while !self.head.is_empty() {
            let head = match self.is_behind_digit && self.head[0].is_ascii_digit() {
                true => Head::Wrong(FrameError::Length),
                false => read(&self.head),
            };
            match head {
                Head::Open => {
                    debug_assert!(self.head.len() < MAX_HEAD);
                    return;
                }
                Head::Whole { length, begin } => {
                    self.message.extend_from_slice(&self.head[begin..]);
                    (self.length, self.begin) = (length, begin);
                    self.head.clear();
                    (self.is_lost, self.is_behind_digit) = (false, false);
                    return;
                }
                Head::Wrong(what) => {
                    self.pass_over(what, 1);
                    self.is_behind_digit = self.head.remove(0).is_ascii_digit();
                }
            }
        }
    }

    /// Passes over so many bytes, for this reason.
    fn pass_over(&mut self, what: FrameError, bytes: usize) {
        let faults = self.faults.get_or_insert(Faults {
            first: what,
            at: self.taken,
            count: 0,
            passed_over: 0,
        });
        faults.count += u64::from(!self.is_lost);
        faults.passed_over += bytes as u64;
        self.taken += bytes as u64;
        self.is_lost = true;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Cuts the pieces of a stream; the messages, and what was no frame.
    fn cut(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, Option<Faults>) {
        let mut frames = Frames::new();
        let mut messages = Vec::new();
        for piece in pieces {
            frames.push(piece, |message| messages.push(message.to_vec()));
            assert!(frames.head.capacity() <= 4 * MAX_HEAD);
            assert!(frames.message.capacity() <= 2 * MAX_MESSAGE);
        }
        frames.finish();
        (messages, frames.faults())
    }

    fn frame(message: &str) -> String {
        format!("{} {message}", message.len())
    }

    #[test]
    fn frames_are_cut_wherever_they_are_broken() {
        let messages = ["<0>1 ", "<14>1 - - - - - - 12 <x", "<191>1 \u{e4}\n\0"];
        let stream: String = messages.iter().map(|message| frame(message)).collect();
        let stream = stream.as_bytes();
        let wanted: Vec<_> = messages.map(|message| message.as_bytes().to_vec()).into();
        for at in 0..=stream.len() {
            let (one, other) = stream.split_at(at);
            assert_eq!(cut(&[one, other]), (wanted.clone(), None), "at {at}");
        }
        let single: Vec<_> = stream.chunks(1).collect();
        assert_eq!(cut(&single), (wanted, None));
    }

    #[test]
    fn what_is_no_frame_is_passed_over_to_the_next_one() {
        let good = frame("<14>1 good");
        for (bad, first) in [
            ("x", FrameError::NoLength),
            (" ", FrameError::NoLength),
            ("\n", FrameError::NoLength),
            ("0", FrameError::Length),
            ("0 <14>1 x", FrameError::Length),
            ("65537 <14>1 x", FrameError::Length),
            ("99999999999999999999999999 <14>1 x", FrameError::Length),
            ("5 <14>1 x", FrameError::Length),
            ("9 <14> x ", FrameError::NoPriority),
            ("9 <192>1 x", FrameError::NoPriority),
            ("9 <014>1 x", FrameError::NoPriority),
            ("9 <>1 x ", FrameError::NoPriority),
            ("9 <1>2 x ", FrameError::NoPriority),
            ("9 Nov 30 x ", FrameError::NoPriority),
        ] {
            let stream = format!("{good}{bad}{good}");
            let (messages, faults) = cut(&[stream.as_bytes()]);
            let faults = faults.unwrap_or_else(|| panic!("{bad:?} is none"));
            assert_eq!(faults.first, first, "{bad:?}");
            assert_eq!(faults.at, good.len() as u64, "{bad:?}");
            assert_eq!(faults.count, 1, "{bad:?}");
            // A digit that stands before a length makes it another one.
            let is_joined = bad.ends_with(|c: char| c.is_ascii_digit());
            assert_eq!(messages.len(), 2 - usize::from(is_joined), "{bad:?}");
        }
    }

    #[test]
    fn a_length_that_lies_costs_what_it_covers() {
        let good = frame("<14>1 good");
        let stream = format!("13 <14>1 lie{good}{good}{good}");
        let (messages, faults) = cut(&[stream.as_bytes()]);
        // It took the first bytes of the next frame.
        assert_eq!(messages.len(), 3);
        assert_eq!(messages[0], b"<14>1 lie10 <");
        let faults = faults.expect("that is noticed");
        assert_eq!((faults.at, faults.count, faults.passed_over), (16, 1, 9));
        assert_eq!(faults.first, FrameError::NoLength);
    }

    #[test]
    fn the_end_may_come_anywhere() {
        let stream = frame("<14>1 good");
        for at in 1..stream.len() {
            let (messages, faults) = cut(&[&stream.as_bytes()[..at]]);
            assert!(messages.is_empty());
            let faults = faults.expect("it is cut");
            assert_eq!((faults.first, faults.at), (FrameError::Cut, 0));
            assert_eq!((faults.count, faults.passed_over), (1, at as u64));
        }
    }

    /// Bytes that often look like frames.
    fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let text = "[0-9]{0,7}[ <>x]{0,2}[0-9]{0,4}[>1 ]{0,4}[ -~]{0,9}";
        let frames = (0_usize..200).prop_map(|long| frame(&format!("<7>1 {}", "y".repeat(long))));
        let piece = prop_oneof![
            text.prop_map(String::into_bytes),
            frames.prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..300),
        ];
        prop::collection::vec(piece, 0..20)
    }

    proptest! {
        /// Every byte is in a message, or in the length before it, or passed over; and it does not
        /// matter how the stream comes.
        #[test]
        fn every_byte_is_accounted_for(pieces in pieces()) {
            let parts: Vec<_> = pieces.iter().map(Vec::as_slice).collect();
            let whole = pieces.concat();
            let (messages, faults) = cut(&parts);
            prop_assert_eq!(&(messages.clone(), faults), &cut(&[&whole]));
            let framed = |message: &Vec<u8>| message.len() + message.len().to_string().len() + 1;
            let taken: usize = messages.iter().map(framed).sum();
            let passed_over = faults.map_or(0, |faults| faults.passed_over);
            prop_assert_eq!(taken as u64 + passed_over, whole.len() as u64);
        }
    }
}
