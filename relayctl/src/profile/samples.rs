//! Samples, as they were taken.

use std::collections::HashMap;

use relay_decode::profile::{MAX_STACK, Sample, Source};
use relay_format::Context;

use super::frames::Frames;
use crate::symbols::{Address, Programs};

/// One sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// The CPU.
    pub(crate) cpu: u32,
    /// When, in nanoseconds after the machine's start.
    pub(crate) ns: u64,
    /// The context that was interrupted, if it is known.
    pub(crate) from: Option<Context>,
    /// The thread.
    pub(crate) thread: i32,
    /// Its process; 0 is the kernel.
    pub(crate) process: i32,
    /// The place of its name.
    pub(crate) name: usize,
    /// The place of its stack.
    pub(crate) stack: usize,
}

/// Samples, and the stacks that they have.
#[derive(Debug)]
pub(crate) struct Profile {
    /// The functions.
    pub(crate) frames: Frames,
    /// Each different stack: numbers of functions, the innermost first.
    pub(crate) stacks: Vec<Box<[usize]>>,
    /// What threads are called.
    pub(crate) names: Vec<String>,
    /// The place of a stack by its addresses, and the program that they are of.
    places: HashMap<(u64, Vec<u64>, Option<usize>), usize>,
    /// The samples.
    pub(crate) samples: Vec<Taken>,
    /// What took them, and since when.
    pub(crate) sources: Vec<(u64, Source)>,
    /// How many of them have as many addresses as a sample can have: their callers may be missing.
    pub(crate) full: u64,
}

impl Profile {
    /// Begins with no samples.
    #[must_use]
    pub(crate) fn new(frames: Frames) -> Self {
        Self {
            frames,
            stacks: Vec::new(),
            names: Vec::new(),
            places: HashMap::new(),
            samples: Vec::new(),
            sources: Vec::new(),
            full: 0,
        }
    }

    /// Takes a sample.
    pub(crate) fn add(&mut self, cpu: u32, ns: u64, sample: Sample) {
        let Sample {
            ip,
            from,
            thread,
            process,
            name,
            stack,
        } = sample;
        self.full += u64::from(stack.len() >= MAX_STACK);
        let name = match self.names.iter().position(|known| *known == name) {
            Some(place) => place,
            None => {
                self.names.push(name);
                self.names.len() - 1
            }
        };
        // What runs in the kernel for a program is the program's, too.
        let program = (process != 0).then_some(name);
        let addresses = (ip, stack, program);
        let stack = match self.places.get(&addresses) {
            Some(place) => *place,
            None => {
                let mut frames = Vec::new();
                let returns = addresses.1.iter().map(|address| Address::Return(*address));
                for address in std::iter::once(Address::Instruction(ip)).chain(returns) {
                    match program {
                        Some(program) if Programs::has(address.number()) => {
                            let program = &self.names[program];
                            self.frames.push_of(program, address, &mut frames);
                        }
                        _ => self.frames.push(address, &mut frames),
                    }
                }
                if let Some(program) = program {
                    self.frames.push_program(&self.names[program], &mut frames);
                }
                self.stacks.push(frames.into());
                self.places.insert(addresses, self.stacks.len() - 1);
                self.stacks.len() - 1
            }
        };
        self.samples.push(Taken {
            cpu,
            ns,
            from,
            thread,
            process,
            name,
            stack,
        });
    }

    /// How many of the samples that are wanted have each stack, by its place.
    #[must_use]
    pub(crate) fn counts(&self, is_wanted: impl Fn(&Taken) -> bool) -> Vec<u64> {
        let mut counts = vec![0; self.stacks.len()];
        for taken in self.samples.iter().filter(|taken| is_wanted(taken)) {
            counts[taken.stack] += 1;
        }
        counts
    }
}
