//! Numbers that depend on a seed alone.

use crate::base::cpuset::CpuSet;

/// A generator: xorshift64* (S. Vigna, "An experimental exploration of Marsaglia's xorshift
/// generators, scrambled", ACM TOMS 42(4), 2016).
#[derive(Debug, Clone, Copy)]
pub(in crate::scenario) struct Random(u64);

impl Random {
    /// One for each CPU and seed.
    pub(in crate::scenario) fn new(seed: u64, cpu: usize) -> Self {
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (cpu as u64 + 1) << 32;
        let mut random = Self(mixed | 1);
        // The first numbers of seeds that are alike are alike.
        for _ in 0..8 {
            random.next();
        }
        random
    }

    pub(in crate::scenario) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `limit`, which is small.
    pub(in crate::scenario) fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 32) % limit.max(1)
    }

    /// One of some CPUs; `None` if there are none.
    pub(in crate::scenario) fn one_of(&mut self, cpus: CpuSet) -> Option<usize> {
        let at = self.below(cpus.iter().count() as u64);
        cpus.iter().nth(at as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_cpu_have_their_own_numbers() {
        let first = |seed, cpu| Random::new(seed, cpu).next();
        assert_eq!(first(7, 3), first(7, 3));
        let mut all: Vec<_> = (0..50)
            .flat_map(|seed| (0..32).map(move |cpu| first(seed, cpu)))
            .collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 50 * 32);
    }

    #[test]
    fn every_cpu_is_chosen_at_times() {
        let mut random = Random::new(1, 0);
        let some = CpuSet::from_bits(0b1011_0100);
        let mut seen = CpuSet::from_bits(0);
        for _ in 0..200 {
            let one = random.one_of(some).expect("there are some");
            seen = CpuSet::from_bits(seen.bits() | CpuSet::only(one).bits());
        }
        assert_eq!(seen.bits(), some.bits());
        assert_eq!(random.one_of(CpuSet::from_bits(0)), None);
    }
}
