//! What a packet holds that was not complete when its CPU stopped: a puzzle of what is known.
//!
//! Known are the commit word (how many bytes were committed), where the packet ends (mostly), and
//! what the records under way wanted to reserve. The solution says which bytes are whole records.

use super::local::DEPTH;

/// Uncommitted ranges of a packet: offset and length in bytes, in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Holes {
    pub(super) ranges: [(usize, usize); DEPTH],
    pub(super) count: usize,
}

impl Holes {
    fn push(&mut self, hole: &Candidate) {
        self.ranges[self.count] = (hole.offset, hole.len);
        self.count += 1;
    }

    fn pop(&mut self) {
        self.count -= 1;
        self.ranges[self.count] = (0, 0);
    }

    fn as_slice(&self) -> &[(usize, usize)] {
        &self.ranges[..self.count]
    }
}

/// A range that a record under way may have reserved.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Candidate {
    pub(super) offset: usize,
    pub(super) len: usize,
    /// It is reserved, and being cut: it has this length, if it is not `len` any more. 0 if it is
    /// not being cut.
    pub(super) kept: usize,
    /// Its bytes are stored.
    pub(super) is_written: bool,
    /// It is given up: a hole, but counted as lost, or about to be.
    pub(super) is_given_up: bool,
}

impl Candidate {
    /// What it may be, in one of two ways: reserved and not counted, as long as it is said to be,
    /// or else cut, or nothing.
    fn read(&self, is_whole: bool) -> Option<Self> {
        match (is_whole, self.kept) {
            (true, _) => Some(*self),
            (false, 0) => None,
            (false, kept) => Some(Self { len: kept, ..*self }),
        }
    }

    /// Whether it is a record that nobody has counted yet.
    fn is_uncommitted(&self) -> bool {
        !self.is_written && !self.is_given_up
    }
}

/// The candidates of one packet, by offset.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Candidates {
    items: [Candidate; DEPTH],
    pub(super) count: usize,
}

impl Candidates {
    pub(super) fn push(&mut self, candidate: Candidate) {
        if let Some(place) = self.items.get_mut(self.count) {
            *place = candidate;
            self.count += 1;
        }
    }

    pub(super) fn sort(&mut self) {
        self.items[..self.count].sort_unstable_by_key(|candidate| candidate.offset);
    }

    fn as_slice(&self) -> &[Candidate] {
        &self.items[..self.count]
    }
}

/// Where a packet ends, in bytes from its start.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// The write position stands in it, here.
    Open(u64),
    /// It was closed here; the rest may be committed, too.
    Closed(u64),
    /// Its closer stopped before it noted the end, let alone committed the rest.
    Unknown,
}

/// What there is in a packet that is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Where it ends.
    pub(super) end: u64,
    pub(super) holes: Holes,
    /// Records that are not written.
    pub(super) uncommitted: usize,
    /// Records that are written, but not counted.
    pub(super) uncounted: u64,
    pub(super) in_doubt: bool,
}

impl Reading {
    /// Lets the content end before the holes that it ends with: whether their places were taken
    /// makes no difference then.
    fn trim(&mut self) {
        while let Some(&(offset, len)) = self.holes.as_slice().last()
            && (offset + len) as u64 == self.end
        {
            self.end = offset as u64;
            self.holes.pop();
        }
    }

    /// Whether the same records are whole, with the same numbers.
    fn is_same_content(&self, other: &Self) -> bool {
        (self.end, self.holes, self.uncounted) == (other.end, other.holes, other.uncounted)
    }
}

/// What is known of a packet that is not complete, in bytes.
pub(super) struct Puzzle {
    pub(super) size: u64,
    pub(super) header: u64,
    pub(super) trailer: u64,
    pub(super) committed: u64,
    pub(super) end: End,
}

impl Puzzle {
    /// Where the packet ends, what is uncommitted before that, and whether something was cut off.
    ///
    /// A record whose bytes are written is whole, whether its commit was counted or not. Any other
    /// candidate is a hole, unless its swap had not happened when the CPU stopped. The commit word
    /// tells: of all readings, the one that explains it must be the only one.
    pub(super) fn solve(&self, candidates: &Candidates) -> Reading {
        let candidates = candidates.as_slice();
        let mut only = None;
        for set in 0..1u32 << candidates.len() {
            // In the set: holes, and whole records whose commit was not counted. Not in it: what is
            // not reserved, or was cut.
            let mut holes = Holes::default();
            let (mut missing, mut uncounted, mut uncommitted) = (0, 0, 0);
            let mut exact_is_missing = false;
            for (i, candidate) in candidates.iter().enumerate() {
                let Some(candidate) = candidate.read(set >> i & 1 == 1) else {
                    continue;
                };
                missing += candidate.len as u64;
                uncommitted += usize::from(candidate.is_uncommitted());
                exact_is_missing |= (candidate.offset + candidate.len) as u64 == self.limit();
                if candidate.is_written {
                    uncounted += 1;
                } else {
                    holes.push(&candidate);
                }
            }
            let Some(end) = self.explain(missing, exact_is_missing, &holes, candidates) else {
                continue;
            };
            let mut reading = Reading {
                end: end.max(self.header),
                uncommitted,
                holes,
                uncounted,
                in_doubt: false,
            };
            reading.trim();
            match &mut only {
                None => only = Some(reading),
                Some(other) if other.is_same_content(&reading) => {
                    other.uncommitted = other.uncommitted.max(reading.uncommitted);
                }
                Some(_) => return self.cut(candidates),
            }
        }
        only.unwrap_or_else(|| self.cut(candidates))
    }

    /// In doubt: only what lies before the first record under way is certain.
    fn cut(&self, candidates: &[Candidate]) -> Reading {
        Reading {
            end: candidates
                .first()
                .map_or(self.header, |first| first.offset as u64),
            holes: Holes::default(),
            uncommitted: candidates
                .iter()
                .filter(|candidate| candidate.is_uncommitted())
                .count(),
            uncounted: 0,
            in_doubt: true,
        }
    }

    /// Where records end at the latest.
    fn limit(&self) -> u64 {
        self.size - self.trailer
    }

    /// Where the packet ends if `missing` bytes of records are reserved and not counted, one that
    /// ends at the limit among them or not, and `holes` are not written; `None` if that cannot be.
    fn explain(
        &self,
        missing: u64,
        exact_is_missing: bool,
        holes: &Holes,
        candidates: &[Candidate],
    ) -> Option<u64> {
        let ranges = holes.as_slice();
        let overlap = |offset: usize, len: usize, other: &Candidate| {
            other.is_written && offset < other.offset + other.len && other.offset < offset + len
        };
        let taken = |(offset, len): &(usize, usize)| {
            candidates.iter().any(|other| overlap(*offset, *len, other))
        };
        let collide = ranges
            .windows(2)
            .any(|pair| pair[0].0 + pair[0].1 > pair[1].0);
        if collide || ranges.iter().any(taken) {
            return None;
        }
        let whole = candidates.iter().filter(|candidate| candidate.is_written);
        let reaches = ranges
            .iter()
            .map(|(offset, len)| offset + len)
            .chain(whole.map(|candidate| candidate.offset + candidate.len))
            .max()
            .unwrap_or(0) as u64;
        // The opener commits the header right before it writes its record: if that is under way,
        // the header may be uncommitted, too.
        let header_open = ranges
            .first()
            .is_some_and(|(offset, _)| *offset as u64 == self.header);
        let headers: &[u64] = if header_open { &[0, self.header] } else { &[0] };
        for header in headers {
            let content = self.committed + missing + header;
            let end = match self.end {
                End::Open(end) => (content == end).then_some(end),
                // The record that fills a packet exactly also commits the rest of it ...
                End::Closed(end) if end == self.limit() => {
                    let rest = if exact_is_missing { 0 } else { self.trailer };
                    (content == end + rest).then_some(end)
                }
                // ... otherwise the closer does.
                End::Closed(end) => (content == end || content == self.size).then_some(end),
                End::Unknown => (content <= self.limit()).then_some(content),
            };
            if let Some(end) = end.filter(|end| reaches <= *end) {
                return Some(end);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
