//! The measuring: rows take turns; of each the minimum and the median count.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Bytes of every ring, and of everything that stands in for one: more than the first cache, less
/// than the second.
pub(crate) const RING: usize = 128 * 1024;

/// How long the records of a cell are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// So many bytes each.
    Bytes(usize),
    /// 8 to 256 bytes, in no order.
    Mixed,
}

impl Size {
    /// All columns of the table.
    pub(crate) const ALL: [Self; 5] = [
        Self::Bytes(8),
        Self::Bytes(32),
        Self::Bytes(64),
        Self::Bytes(256),
        Self::Mixed,
    ];

    /// The column that ratios are made of.
    pub(crate) const REFERENCE: Self = Self::Bytes(32);

    /// The heading.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Bytes(bytes) => format!("{bytes} B"),
            Self::Mixed => "mixed".into(),
        }
    }

    /// The length at the most, in bytes.
    pub(crate) fn max(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Mixed => 256,
        }
    }

    /// Records of one batch: as many as fit into an empty ring with room to spare, not more than
    /// makes sense.
    pub(crate) fn records(self) -> usize {
        (RING * 3 / 4 / self.max()).min(4096)
    }
}

/// How often a batch is repeated whose second thread did not run.
const TRIES: usize = 5;

/// A column of a row.
pub(crate) struct Cell {
    pub(crate) size: Size,
    /// Records of a batch.
    pub(crate) records: usize,
    /// Writes that many; says how long that took, without what has to be done before and after.
    /// `None` if it was not what should be measured: the second thread did not run.
    batch: Box<dyn FnMut() -> Option<Duration>>,
    /// ns per record of each batch.
    samples: Vec<f64>,
}

impl Cell {
    pub(crate) fn new(size: Size, mut batch: impl FnMut() -> Duration + 'static) -> Self {
        Self::with_companion(size, move || Some(batch()))
    }

    /// A cell whose batches may fail.
    pub(crate) fn with_companion(
        size: Size,
        batch: impl FnMut() -> Option<Duration> + 'static,
    ) -> Self {
        Self {
            size,
            records: size.records(),
            batch: Box::new(batch),
            samples: Vec::new(),
        }
    }
}

/// A row: something that is measured.
pub(crate) struct Subject {
    /// Whose it is: `floor`, `relay`, or a peer's name.
    pub(crate) whose: &'static str,
    pub(crate) name: &'static str,
    /// What it does, or does not do, that the others do not or do.
    pub(crate) note: &'static str,
    pub(crate) cells: Vec<Cell>,
}

impl Subject {
    pub(crate) fn is_floor(&self) -> bool {
        self.whose == "floor"
    }

    /// What the filter looks at.
    pub(crate) fn full_name(&self) -> String {
        format!("{} {}", self.whose, self.name)
    }
}

/// Times `count` calls of `op`.
#[inline(always)]
pub(crate) fn time(count: usize, mut op: impl FnMut(usize)) -> Duration {
    let start = Instant::now();
    for i in 0..count {
        op(i);
    }
    start.elapsed()
}

/// Measures all subjects, `rounds` times in turn.
pub(crate) fn measure(subjects: &mut [Subject], rounds: u32) {
    let is_terminal = std::io::stderr().is_terminal();
    // Once for the code and the memory to be there.
    for round in 0..=rounds {
        for cell in subjects.iter_mut().flat_map(|subject| &mut subject.cells) {
            let took = (0..TRIES).find_map(|_| (cell.batch)());
            if let Some(took) = took.filter(|_| round != 0) {
                cell.samples
                    .push(took.as_nanos() as f64 / cell.records as f64);
            }
        }
        if is_terminal && (round % 10 == 0 || round == rounds) {
            eprint!("\rround {round} of {rounds} ");
            let _ = std::io::stderr().flush();
        }
    }
    if is_terminal {
        eprint!("\r\x1b[K");
    }
}

/// What came out for one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) size: Size,
    /// ns per record in the best batch.
    pub(crate) min: f64,
    /// ns per record in the median batch.
    pub(crate) median: f64,
}

/// What came out for a row.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) whose: &'static str,
    pub(crate) name: &'static str,
    pub(crate) note: &'static str,
    pub(crate) figures: Vec<Figures>,
}

impl Outcome {
    /// The figures for `size`, if it was measured.
    pub(crate) fn at(&self, size: Size) -> Option<Figures> {
        self.figures.iter().find(|at| at.size == size).copied()
    }
}

/// What came out.
pub(crate) fn results(subjects: &[Subject]) -> Vec<Outcome> {
    let figures = |cell: &Cell| {
        let mut samples = cell.samples.clone();
        samples.sort_by(f64::total_cmp);
        Some(Figures {
            size: cell.size,
            min: *samples.first()?,
            median: samples[samples.len() / 2],
        })
    };
    subjects
        .iter()
        .map(|subject| Outcome {
            whose: subject.whose,
            name: subject.name,
            note: subject.note,
            figures: subject.cells.iter().filter_map(figures).collect(),
        })
        .collect()
}
