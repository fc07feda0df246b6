//! The HPET's main counter as a clock to measure by.

use super::measure::Reference;
use crate::arch::hpet::Hpet;

impl Reference for Hpet {
    fn hz(&self) -> u64 {
        self.hz
    }

    fn mask(&self) -> u64 {
        self.mask
    }

    fn count(&self) -> u64 {
        self.counter()
    }
}
