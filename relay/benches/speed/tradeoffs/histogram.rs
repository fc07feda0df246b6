//! Counts by magnitude, for percentiles of any number of values in little memory.

/// Each power of two has so many steps: 3 % at the most between neighbours.
const STEPS: u64 = 32;

/// How often which value came.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; 64 * STEPS as usize],
            total: 0,
        }
    }

    /// Counts `value`.
    #[inline]
    pub(crate) fn add(&mut self, value: u64) {
        self.counts[Self::bucket(value)] += 1;
        self.total += 1;
    }

    /// The value that `share` of all values (0 to 1) do not exceed; 0 if there is none.
    pub(crate) fn percentile(&self, share: f64) -> u64 {
        let wanted = (self.total as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if *count != 0 && seen >= wanted {
                return Self::value(bucket);
            }
        }
        0
    }

    fn bucket(value: u64) -> usize {
        if value < STEPS {
            return value as usize;
        }
        let shift = value.ilog2() - STEPS.ilog2();
        (u64::from(shift) * STEPS + (value >> shift)) as usize
    }

    fn value(bucket: usize) -> u64 {
        let bucket = bucket as u64;
        if bucket < 2 * STEPS {
            return bucket;
        }
        let shift = bucket / STEPS - 1;
        (bucket - shift * STEPS) << shift
    }
}
