//! What a merge has to say beside the records: losses and damage, where they were found.

use std::fmt;

use relay_format::Losses;

use crate::pairs::Why;

/// Something about a stream that is no record of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// The channel.
    pub channel: String,
    /// The CPU.
    pub cpu: u32,
    /// What there is to say.
    pub what: What,
}

/// What there is to say about a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Records were lost, by reason.
    Lost(Losses, Span),
    /// Packets are not there.
    Missing {
        /// The first one's number, and the last one's.
        packets: (u64, u64),
        /// Records that were in them, or were overwritten there.
        records: u64,
        /// When.
        span: Span,
    },
    /// So many records were overwritten before they were read.
    Overwritten(u64, Span),
    /// What follows was made of what a stopped CPU left.
    Salvaged {
        /// The packet's number.
        packet: u64,
        /// Records that were under way.
        uncommitted: u64,
        /// Whether more of it is in doubt, and left out.
        is_cut: bool,
    },
    /// What follows of this stream came when later records had been shown: it belongs before this
    /// time, in nanoseconds after power-on.
    Late(u64),
    /// Something cannot be read.
    Damage(String),
    /// An entry that was shown before has no exit that is known.
    Unclosed {
        /// The name of its class.
        event: String,
        /// Its number in the stream.
        number: u64,
        /// When it was, in nanoseconds after the machine's start.
        ns: u64,
        /// Why.
        why: Why,
    },
}

/// From one time to another, in nanoseconds after the machine's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Not before this.
    pub from_ns: u64,
    /// Not after this.
    pub to_ns: u64,
}

impl Note {
    /// Whether records are not there, or cannot be read.
    #[must_use]
    pub fn is_loss(&self) -> bool {
        match self.what {
            What::Salvaged {
                uncommitted,
                is_cut,
                ..
            } => uncommitted > 0 || is_cut,
            What::Late(_) | What::Unclosed { .. } => false,
            _ => true,
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-- {} cpu {}: {}", self.channel, self.cpu, self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost(reasons, span) => {
                write!(f, "{} records lost {span} ({reasons})", reasons.total())
            }
            Self::Missing {
                packets: (first, last),
                records,
                span,
            } => write!(
                f,
                "packets {first} to {last} are missing: {records} records {span}"
            ),
            Self::Overwritten(records, span) => write!(f, "{records} records overwritten {span}"),
            Self::Salvaged {
                packet,
                uncommitted,
                is_cut,
            } => {
                write!(
                    f,
                    "packet {packet} was salvaged from a stopped CPU, {uncommitted} records \
                     uncommitted"
                )?;
                match is_cut {
                    true => f.write_str(", cut where it is in doubt"),
                    false => Ok(()),
                }
            }
            Self::Late(before_ns) => {
                let (before, before_us) = seconds(*before_ns);
                write!(
                    f,
                    "what follows came too late for its place, before {before}.{before_us:06}"
                )
            }
            Self::Damage(what) => f.write_str(what),
            Self::Unclosed {
                event,
                number,
                ns,
                why,
            } => {
                let (s, us) = seconds(*ns);
                write!(f, "{event} of record {number}, at {s}.{us:06}: ")?;
                match why {
                    Why::Gap(gap) => write!(f, "exit lost: {gap} behind it"),
                    why => write!(f, "no exit: {why}"),
                }
            }
        }
    }
}

/// A time as it is shown: seconds, and the microseconds behind the point.
fn seconds(ns: u64) -> (u64, u64) {
    (ns / 1_000_000_000, ns % 1_000_000_000 / 1000)
}

/// In seconds, to the microsecond.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((from, from_us), (to, to_us)) = (seconds(self.from_ns), seconds(self.to_ns));
        write!(f, "between {from}.{from_us:06} and {to}.{to_us:06}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_a_sentence() {
        let span = Span {
            from_ns: 1_500_000,
            to_ns: 2_000_001_999,
        };
        let text = |what| {
            let note = Note {
                channel: "klog".to_owned(),
                cpu: 3,
                what,
            };
            (note.to_string(), note.is_loss())
        };
        let lost = What::Lost(Losses([2, 0, 0, 0, 0, 1]), span);
        let sentence = "-- klog cpu 3: 3 records lost between 0.001500 and 2.000001 \
                        (full 2, discarded 1)";
        assert_eq!(text(lost), (sentence.to_owned(), true));
        let salvaged = |uncommitted, is_cut| What::Salvaged {
            packet: 7,
            uncommitted,
            is_cut,
        };
        let (whole, is_loss) = text(salvaged(0, false));
        assert!(whole.ends_with("stopped CPU, 0 records uncommitted") && !is_loss);
        let (cut, is_loss) = text(salvaged(0, true));
        assert!(cut.ends_with("uncommitted, cut where it is in doubt") && is_loss);
        assert!(text(salvaged(1, false)).1);
        let (late, is_loss) = text(What::Late(2_000_001_999));
        assert!(late.ends_with("too late for its place, before 2.000001") && !is_loss);
    }
}
