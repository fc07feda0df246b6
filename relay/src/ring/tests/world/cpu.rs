//! The CPU and the client of a test.

use crate::platform::{Context, Platform};
use crate::ring::{Hooks, Packet, PacketStart};
use std::cell::{Cell, RefCell};
use std::vec::Vec;

/// One CPU whose clock advances with every look at it.
#[derive(Default)]
pub(in crate::ring) struct OneCpu {
    number: usize,
    pub(super) clock: Cell<u64>,
    pub(super) pins: Cell<usize>,
    /// How many contexts were interrupted by the one that runs.
    pub(super) interrupted: Cell<usize>,
    /// For which CPUs somebody was woken.
    pub(super) woken: RefCell<Vec<usize>>,
}

// SAFETY: used by one thread; contexts nest as function calls.
unsafe impl Sync for OneCpu {}

impl OneCpu {
    /// The CPU of this number.
    pub(in crate::ring) fn numbered(number: usize) -> Self {
        Self {
            number,
            ..Self::default()
        }
    }

    /// How often it is pinned now.
    pub(in crate::ring) fn pins(&self) -> usize {
        self.pins.get()
    }

    /// For which CPUs somebody was woken since this was asked last.
    pub(in crate::ring) fn take_woken(&self) -> Vec<usize> {
        self.woken.take()
    }

    /// So many ticks pass.
    pub(in crate::ring) fn pass(&self, ticks: u64) {
        self.clock.set(self.clock.get() + ticks);
    }

    /// From now on code runs in `context`.
    pub(in crate::ring) fn enter(&self, context: Context) {
        self.interrupted.set(context as usize);
    }
}

// SAFETY: one CPU, whose number does not change, one thread, nested calls.
unsafe impl Platform for OneCpu {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        self.pins.set(self.pins.get() + 1);
        (self.number, ())
    }

    unsafe fn unpin(&self, (): ()) {
        self.pins.set(self.pins.get() - 1);
    }

    fn now(&self) -> u64 {
        self.clock.set(self.clock.get() + 1);
        self.clock.get()
    }

    fn wake(&self, cpu: usize) {
        self.woken.borrow_mut().push(cpu);
    }

    fn context(&self) -> Context {
        match self.interrupted.get() {
            0 => Context::Task,
            1 => Context::Irq,
            _ => Context::Nmi,
        }
    }
}

/// Marks headers, trailers and fillers.
pub(super) struct TestHooks;

pub(super) const FILLER: u8 = 0xFF;

/// How the stream of a test begins.
pub(in crate::ring) const BEGIN: PacketStart = PacketStart {
    cpu: 0,
    begin_ticks: 0,
};

impl Hooks for TestHooks {
    fn buffer_start(&self, header: &mut [u8], start: &PacketStart) {
        assert!(start.begin_ticks != 0);
        header.fill(0xA5);
    }

    fn buffer_end(&self, header: &mut [u8], trailer: &mut [u8], _packet: &Packet) {
        assert!(
            header.iter().all(|byte| *byte == 0xA5),
            "header lost: {header:x?}"
        );
        header.fill(0xA6);
        trailer.fill(0xA7);
    }

    fn fill(&self, bytes: &mut [u8], _timestamp: u64) {
        bytes.fill(0xEE);
        bytes[0] = bytes.len() as u8;
        if let Some(id) = bytes.get_mut(1) {
            *id = FILLER;
        }
    }
}
