//! Walks of stacks that are as they should be, and of hostile ones.

use super::*;
use std::collections::HashMap;
use std::vec::Vec;

/// Words at addresses, and how often they were asked for.
#[derive(Default)]
struct Words {
    words: HashMap<u64, u64>,
    asked: Vec<u64>,
    /// A return address into an interrupt's entry, and what that has interrupted.
    entry: Option<(u64, Registers)>,
    /// Instructions at which a function has no frame, and its return address.
    edges: HashMap<u64, u64>,
}

impl Words {
    /// Frames: where each lies, the caller's frame pointer, the return address.
    fn new(frames: &[(u64, u64, u64)]) -> Self {
        let words = frames.iter();
        let words = words.flat_map(|(at, caller, address)| [(*at, *caller), (at + 8, *address)]);
        Self {
            words: words.collect(),
            ..Self::default()
        }
    }
}

impl Memory for Words {
    fn word(&mut self, address: u64) -> Option<u64> {
        self.asked.push(address);
        self.words.get(&address).copied()
    }

    fn frameless(&mut self, at: &Registers) -> Option<u64> {
        self.edges.get(&at.ip).copied()
    }

    fn interrupted(&mut self, _frame: u64, address: u64) -> Option<Registers> {
        let (entry, registers) = self.entry?;
        (entry == address).then_some(registers)
    }
}

fn trace(start: u64, frames: &[(u64, u64, u64)]) -> Vec<u64> {
    super::frames(&mut Words::new(frames), start).collect()
}

fn registers(ip: u64, fp: u64) -> Registers {
    Registers { ip, sp: fp, fp }
}

#[test]
fn frames_are_followed_to_the_end_of_the_stack() {
    let frames = [(16, 32, 100), (32, 64, 200), (64, 0, 300)];
    assert_eq!(trace(16, &frames), [100, 200, 300]);
    assert_eq!(trace(64, &frames), [300]);
}

#[test]
fn a_corrupt_frame_pointer_ends_the_walk() {
    assert_eq!(trace(1, &[]), []);
    assert_eq!(trace(0, &[]), []);
    // A loop, at once and in two steps; going down; where nothing is; a return address of 0.
    assert_eq!(trace(16, &[(16, 16, 100)]), [100]);
    assert_eq!(trace(32, &[(32, 16, 100), (16, 32, 200)]), [100]);
    assert_eq!(trace(16, &[(16, 0xdea8, 100)]), [100]);
    assert_eq!(trace(16, &[(16, 32, 0), (32, 64, 200)]), []);
    // Of the second word alone there is none.
    let mut half = Words::default();
    half.words.insert(16, 32);
    assert_eq!(frames(&mut half, 16).next(), None);
}

#[test]
fn what_is_not_aligned_or_beyond_all_addresses_is_not_asked_for() {
    for pointer in [1, 7, 0xffff_ffff_ffff_ffff, 0x8000_0000_0000_0004] {
        let mut words = Words::new(&[(pointer, u64::MAX, 100)].map(|(at, ..)| (at & !15, 0, 1)));
        assert_eq!(frames(&mut words, pointer).next(), None, "{pointer:#x}");
        assert!(words.asked.is_empty(), "{pointer:#x}");
    }
    // The last word that there is: its neighbour would be at address 0.
    let mut words = Words::default();
    words.words.insert(u64::MAX - 7, 1);
    assert_eq!(frames(&mut words, u64::MAX - 7).next(), None);
    assert_eq!(words.asked, [u64::MAX - 7]);
    assert_eq!(trace(16, &[(16, 33, 100), (33, 64, 200)]), [100]);
}

#[test]
fn a_walk_has_a_bound() {
    let endless: Vec<_> = (1..1000).map(|n| (n * 16, n * 16 + 16, n)).collect();
    let walked = trace(16, &endless);
    assert_eq!(walked, (1..=MAX_FRAMES as u64).collect::<Vec<_>>());
    // Words that are asked for: two a frame.
    let mut words = Words::new(&endless);
    assert_eq!(frames(&mut words, 16).count(), MAX_FRAMES);
    assert_eq!(words.asked.len(), 2 * MAX_FRAMES);
    // An interrupt that seems to have interrupted its own handler, for ever.
    let mut words = Words::new(&[(16, 0, 100)]);
    words.entry = Some((100, registers(7, 16)));
    assert_eq!(frames(&mut words, 16).count(), MAX_FRAMES);
    // All words are alike.
    struct Same(u64);
    impl Memory for Same {
        fn word(&mut self, _address: u64) -> Option<u64> {
            Some(self.0)
        }
    }
    for word in [0, 1, 8, 16, u64::MAX, u64::MAX - 7, 1 << 63] {
        assert!(frames(&mut Same(word), 8).count() <= MAX_FRAMES);
    }
}

#[test]
fn random_memory_is_walked_without_harm() {
    /// Each word is any number, most are near.
    struct Noise(u64, usize);
    impl Memory for Noise {
        fn word(&mut self, address: u64) -> Option<u64> {
            assert!(address.is_multiple_of(8));
            self.1 += 1;
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            match self.0 % 4 {
                0 => Some(self.0),
                1 => None,
                _ => Some(address.wrapping_add((self.0 % 1024) & !7)),
            }
        }

        fn interrupted(&mut self, frame: u64, address: u64) -> Option<Registers> {
            address
                .is_multiple_of(64)
                .then_some(registers(address, frame ^ address))
        }
    }
    for seed in 1..10_000 {
        let mut noise = Noise(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed), 0);
        assert!(interrupted(&mut noise, registers(1, seed * 8)).count() <= MAX_FRAMES);
        assert!(noise.1 <= 2 * MAX_FRAMES);
    }
}

#[test]
fn a_function_without_a_frame_has_its_caller_all_the_same() {
    let mut words = Words::new(&[(16, 32, 100), (32, 0, 200)]);
    words.edges.insert(7, 50);
    let walk = |words: &mut Words, ip| interrupted(words, registers(ip, 16)).collect::<Vec<_>>();
    assert_eq!(walk(&mut words, 7), [50, 100, 200]);
    assert_eq!(walk(&mut words, 8), [100, 200]);
}

#[test]
fn what_was_interrupted_stands_between_handler_and_callers() {
    // A handler, its dispatcher, then another stack, lower: what was interrupted in a prologue.
    let mut words = Words::new(&[
        (1016, 1032, 100),
        (1032, 8, 999),
        (16, 32, 200),
        (32, 0, 300),
    ]);
    words.entry = Some((999, registers(7, 16)));
    words.edges.insert(7, 50);
    let walked: Vec<_> = frames(&mut words, 1016).collect();
    assert_eq!(walked, [100, 8, 50, 200, 300]);
}
