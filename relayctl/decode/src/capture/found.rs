//! The boots of a capture that is there: the first in the capture's folder, each further one in a
//! folder of the same form within it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::boots::{MAX_BOOTS, folder_name, number_of};
use super::folder::RUN;
use super::stored::{MAX_RUN, OpenError, read_bounded};
use super::strays::sentences_of;

/// A boot of a capture that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootFolder {
    /// Its number, from 1.
    pub number: u32,
    /// Where it lies: a folder like that of a capture with one boot.
    pub folder: PathBuf,
}

/// The boots of a capture that is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boots {
    /// Those that are there, by their numbers. The first is there in any case: it is the folder
    /// itself.
    pub all: Vec<BootFolder>,
    /// What is wrong with the whole: boots that are not there, packets of boots without metadata.
    pub problems: Vec<String>,
}

impl Boots {
    /// Looks for the boots of a capture.
    ///
    /// # Errors
    ///
    /// When its folder or its `run.json` is there and cannot be read.
    pub fn of(folder: &Path) -> Result<Self, OpenError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| OpenError::Io(path, error)
        };
        let mut numbers = vec![1];
        match fs::read_dir(folder) {
            Ok(entries) => {
                for entry in entries {
                    let entry = entry.map_err(io(folder))?;
                    let number = entry.file_name().to_str().and_then(number_of);
                    numbers.extend(number.filter(|_| entry.path().is_dir()));
                }
            }
            // Whoever opens the first boot says so.
            Err(_) => return Ok(Self::new(folder, &numbers, Vec::new())),
        }
        numbers.sort_unstable();
        let run = folder.join(RUN);
        let made = match read_bounded(&run, MAX_RUN) {
            Ok(text) => serde_json::from_slice::<Value>(&text).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Value::Null,
            Err(error) => return Err(io(&run)(error)),
        };
        let made = &made["capture"];
        let mut problems = sentences_of(&made["strays"]);
        if let Some(promised) = made["boots"].as_u64() {
            let promised = promised.clamp(1, MAX_BOOTS.into());
            let has = |number: u64| numbers.iter().any(|is| u64::from(*is) == number);
            for number in (1..=promised).filter(|number| !has(*number)) {
                problems.push(format!("boot {number}: its folder is gone"));
            }
            let more = numbers.iter().filter(|is| u64::from(**is) > promised);
            problems.extend(more.map(|number| {
                format!("boot {number}: {RUN} says that there are only {promised} boots")
            }));
        }
        Ok(Self::new(folder, &numbers, problems))
    }

    /// The boots with these numbers.
    fn new(folder: &Path, numbers: &[u32], problems: Vec<String>) -> Self {
        let place = |number: &u32| BootFolder {
            number: *number,
            folder: match number {
                1 => folder.to_owned(),
                _ => folder.join(folder_name(*number)),
            },
        };
        Self {
            all: numbers.iter().map(place).collect(),
            problems,
        }
    }
}
