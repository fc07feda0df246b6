//! Which boots of a capture a command is about.

use std::fmt;
use std::str::FromStr;

use relay_decode::capture::{BootFolder, Boots, Uuid};

/// Which boots are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Which {
    /// All, one after the other.
    #[default]
    All,
    /// The last one.
    Last,
    /// The one with this number, from 1.
    Number(u32),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match (text, text.parse()) {
            ("all", _) => Ok(Self::All),
            ("last", _) => Ok(Self::Last),
            (_, Ok(number)) if number > 0 => Ok(Self::Number(number)),
            _ => Err("a boot is a number from 1, all, or last".to_owned()),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Last => f.write_str("last"),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// A boot that is wanted, and not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoBoot {
    /// Its number.
    pub(crate) wanted: u32,
    /// The number of the last one that is there.
    pub(crate) last: u32,
}

impl fmt::Display for NoBoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, last } = self;
        match last {
            1 => write!(f, "there is no boot {wanted}: the capture has one boot"),
            _ => write!(
                f,
                "there is no boot {wanted}: the capture has boots 1 to {last}"
            ),
        }
    }
}

/// The boots that are wanted.
#[derive(Debug)]
pub(crate) struct Selection {
    /// They, by their numbers: one or more.
    pub(crate) boots: Vec<BootFolder>,
    /// How many there are in the capture.
    pub(crate) of: usize,
    /// What is wrong with the whole, if the whole is wanted.
    pub(crate) problems: Vec<String>,
}

/// What names a boot of so many, where there are several. One that cannot be read has no UUID.
pub(crate) fn title(of: usize, boot: &BootFolder, uuid: Option<Uuid>) -> Option<String> {
    let number = boot.number;
    let uuid = uuid.map_or(String::new(), |uuid| format!(": {uuid}"));
    (of > 1).then(|| format!("boot {number} of {of}{uuid}"))
}

impl Which {
    /// Picks the boots.
    ///
    /// # Errors
    ///
    /// When there is no such boot.
    pub(crate) fn of(self, boots: Boots) -> Result<Selection, NoBoot> {
        let Boots { mut all, problems } = boots;
        let of = all.len();
        let last = all.last().map_or(1, |boot| boot.number);
        match self {
            Self::All => {}
            Self::Last => drop(all.drain(..of.saturating_sub(1))),
            Self::Number(wanted) => {
                all.retain(|boot| boot.number == wanted);
                if all.is_empty() {
                    return Err(NoBoot { wanted, last });
                }
            }
        }
        Ok(Selection {
            boots: all,
            of,
            problems: match self {
                Self::All => problems,
                Self::Last | Self::Number(_) => Vec::new(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boots_are_picked_by_number_and_place() {
        let boots = |numbers: &[u32]| Boots {
            all: numbers
                .iter()
                .map(|number| BootFolder {
                    number: *number,
                    folder: number.to_string().into(),
                })
                .collect(),
            problems: vec!["stray".to_owned()],
        };
        let pick = |text: &str, numbers: &[u32]| {
            let picked = text.parse::<Which>().expect(text).of(boots(numbers));
            picked.map(|picked| {
                let numbers = picked.boots.iter().map(|boot| boot.number);
                (numbers.collect::<Vec<_>>(), picked.problems.len())
            })
        };
        assert_eq!(pick("all", &[1, 2, 4]), Ok((vec![1, 2, 4], 1)));
        assert_eq!(pick("last", &[1, 2, 4]), Ok((vec![4], 0)));
        assert_eq!(pick("last", &[1]), Ok((vec![1], 0)));
        assert_eq!(pick("2", &[1, 2, 4]), Ok((vec![2], 0)));
        let error = pick("3", &[1, 2, 4]).expect_err("there is none");
        assert_eq!(
            error.to_string(),
            "there is no boot 3: the capture has boots 1 to 4"
        );
        for wrong in ["", "0", "-1", "x", "All", "4294967296"] {
            assert!(wrong.parse::<Which>().is_err(), "{wrong}");
        }
        for which in ["all", "last", "7"] {
            assert_eq!(which.parse::<Which>().expect(which).to_string(), which);
        }
    }
}
