//! A console device for tests, that can be told to misbehave.
//!
//! It works on the queues in memory as a device does: it knows their addresses only. Physical
//! addresses are virtual addresses here.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::Cell;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard};

use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::control;
use super::protocol::{MAX_PORTS, Outgoing, event};
use crate::dev::pci::msix::Target;
use crate::dev::virtio::device::{Device, Doorbell, Memory};

/// Queues that the device has: of as many ports as the driver knows, and of control.
const QUEUES: usize = 2 * MAX_PORTS + 2;

thread_local! {
    /// Pages that were allocated and not freed.
    static PAGES: Cell<usize> = const { Cell::new(0) };
    /// Where memory is not contiguous: at multiples of this.
    static GRAIN: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Pages that the driver has allocated in this test and not freed.
pub(super) fn pages() -> usize {
    PAGES.get()
}

/// Makes memory contiguous only between multiples of `grain`; 0: not mapped at all.
pub(super) fn set_grain(grain: usize) {
    GRAIN.set(grain);
}

/// Memory whose physical addresses are its virtual ones.
#[derive(Debug)]
pub(super) struct FakeMemory;

fn layout(pages: usize) -> Layout {
    Layout::from_size_align(pages * PAGE_SIZE, PAGE_SIZE).unwrap()
}

// SAFETY: fresh, zeroed, aligned pages; addresses are what the fake device uses.
unsafe impl Hal for FakeMemory {
    fn dma_alloc(pages: usize, _direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        PAGES.set(PAGES.get() + pages);
        // SAFETY: not of size 0.
        let start = NonNull::new(unsafe { alloc_zeroed(layout(pages)) }).unwrap();
        (start.as_ptr() as PhysAddr, start)
    }

    unsafe fn dma_dealloc(_paddr: PhysAddr, vaddr: NonNull<u8>, pages: usize) -> i32 {
        PAGES.set(PAGES.get() - pages);
        // SAFETY: from `dma_alloc`.
        unsafe { dealloc(vaddr.as_ptr(), layout(pages)) };
        0
    }

    unsafe fn mmio_phys_to_virt(_paddr: PhysAddr, _size: usize) -> NonNull<u8> {
        unreachable!("the fake device has no registers in memory")
    }

    unsafe fn share(buffer: NonNull<[u8]>, _direction: BufferDirection) -> PhysAddr {
        buffer.cast::<u8>().as_ptr() as PhysAddr
    }

    unsafe fn unshare(_paddr: PhysAddr, _buffer: NonNull<[u8]>, _direction: BufferDirection) {}
}

// SAFETY: what is not contiguous is said to be less contiguous than it is.
unsafe impl Memory for FakeMemory {
    fn contiguous(bytes: &[u8]) -> usize {
        match GRAIN.get() {
            0 => 0,
            usize::MAX => bytes.len(),
            grain => (grain - bytes.as_ptr() as usize % grain).min(bytes.len()),
        }
    }
}

/// A descriptor (section 2.7.5).
#[derive(Debug, Clone, Copy)]
#[repr(C)]
struct Descriptor {
    address: u64,
    length: u32,
    flags: u16,
    next: u16,
}

/// Descriptor flag: there is another.
const NEXT: u16 = 1;

/// A chain of descriptors that the driver made available.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    /// The identifier.
    pub(super) id: u16,
    buffers: Vec<Descriptor>,
}

impl Chain {
    /// What the device can read.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.buffers
            .iter()
            .flat_map(|buffer| {
                let (start, length) = (buffer.address as *const u8, buffer.length as usize);
                // SAFETY: the driver promises that the buffer is there.
                unsafe { std::slice::from_raw_parts(start, length) }.to_vec()
            })
            .collect()
    }

    /// How many buffers it consists of.
    pub(super) fn pieces(&self) -> usize {
        self.buffers.len()
    }

    /// Bytes that it has room for.
    fn room(&self) -> usize {
        self.buffers[0].length as usize
    }

    /// Writes as much as there is room for.
    fn write(&self, bytes: &[u8]) {
        let buffer = self.buffers[0];
        let length = bytes.len().min(buffer.length as usize);
        // SAFETY: as above.
        unsafe { std::ptr::copy(bytes.as_ptr(), buffer.address as *mut u8, length) };
    }
}

/// A queue, as the device knows it.
#[derive(Debug, Default)]
pub(super) struct FakeQueue {
    size: u16,
    descriptors: u64,
    driver: u64,
    device: u64,
    /// Chains taken.
    taken: u16,
    /// Chains given back.
    used: u16,
    /// Times the driver told of it.
    pub(super) rung: usize,
    /// The interrupt that was assigned.
    pub(super) interrupt: Option<u16>,
}

impl FakeQueue {
    /// Reads a value out of one of the areas.
    fn read<T: Copy>(area: u64, offset: usize) -> T {
        // SAFETY: the driver promises that the area is there.
        unsafe { ((area + offset as u64) as *const T).read_volatile() }
    }

    fn write<T>(area: u64, offset: usize, value: T) {
        // SAFETY: as above.
        unsafe { ((area + offset as u64) as *mut T).write_volatile(value) }
    }

    /// Takes the next chain.
    pub(super) fn pop(&mut self) -> Option<Chain> {
        if self.size == 0 || Self::read::<u16>(self.driver, 2) == self.taken {
            return None;
        }
        let slot = usize::from(self.taken % self.size);
        let id = Self::read::<u16>(self.driver, 4 + 2 * slot);
        self.taken = self.taken.wrapping_add(1);
        let mut buffers = Vec::new();
        let mut next = id;
        loop {
            let descriptor = Self::read::<Descriptor>(self.descriptors, usize::from(next) * 16);
            buffers.push(descriptor);
            if descriptor.flags & NEXT == 0 {
                return Some(Chain { id, buffers });
            }
            next = descriptor.next;
        }
    }

    /// Says to be done with a chain.
    pub(super) fn push(&mut self, id: u32, written: u32) {
        let slot = usize::from(self.used % self.size);
        Self::write(self.device, 4 + 8 * slot, id);
        Self::write(self.device, 8 + 8 * slot, written);
        self.set_used(self.used.wrapping_add(1));
    }

    /// Sets the index of the used ring.
    pub(super) fn set_used(&mut self, used: u16) {
        self.used = used;
        Self::write(self.device, 2, used);
    }

    /// Chains that were said to be done with.
    pub(super) fn used(&self) -> u16 {
        self.used
    }

    /// Says whether it wants to be told of buffers.
    pub(super) fn want_notifications(&self, wanted: bool) {
        Self::write(self.device, 0, u16::from(!wanted));
    }

    /// Whether the driver wants interrupts.
    pub(super) fn interrupts_wanted(&self) -> bool {
        Self::read::<u16>(self.driver, 0) & 1 == 0
    }
}

/// What goes on in the device.
#[derive(Debug)]
pub(super) struct State {
    pub(super) features: u64,
    pub(super) accepted: u64,
    pub(super) max_ports: u32,
    /// Offered sizes, by queue.
    pub(super) sizes: Vec<u16>,
    pub(super) queues: Vec<FakeQueue>,
    pub(super) status: u32,
    /// It reacts to resets.
    pub(super) resets: bool,
    /// It accepts the driver's features.
    pub(super) accepts: bool,
    /// It accepts them only with these.
    pub(super) insists: u64,
    /// It takes messages.
    pub(super) listens: bool,
    /// It has doorbells for the queues below this.
    pub(super) doorbells: u16,
    pub(super) interrupts: u16,
    /// It lets queues raise interrupts.
    pub(super) raises: bool,
    pub(super) routes: Vec<(u16, Target)>,
    pub(super) was_cut_off: bool,
    /// Ports that are there from the start: number, name, whether the host has it open.
    pub(super) ports: Vec<(u32, &'static str, bool)>,
    /// Messages that the driver sent.
    pub(super) heard: Vec<Outgoing>,
    /// Messages for which there was no buffer: there should be none.
    pub(super) dropped: usize,
}

/// The device, and a hand on it.
#[derive(Debug, Clone)]
pub(super) struct Fake(Arc<Mutex<State>>);

impl Fake {
    /// A device like QEMU's, with these ports, which behaves.
    pub(super) fn new(ports: &[(u32, &'static str, bool)]) -> Self {
        let mut sizes = vec![128; QUEUES];
        sizes[usize::from(control::RECEIVE)] = 32;
        sizes[usize::from(control::TRANSMIT)] = 32;
        let state = State {
            features: 1 << 32 | 1 << 1 | 1 << 28,
            accepted: 0,
            max_ports: 31,
            queues: Vec::new(),
            sizes,
            status: 0xf,
            resets: true,
            accepts: true,
            insists: 0,
            listens: true,
            doorbells: QUEUES as u16,
            interrupts: 32,
            raises: true,
            routes: Vec::new(),
            was_cut_off: false,
            ports: ports.to_vec(),
            heard: Vec::new(),
            dropped: 0,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// What goes on in the device.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A port's transmit queue.
    pub(super) fn transmit<R>(&self, port: usize, act: impl FnOnce(&mut FakeQueue) -> R) -> R {
        let index = if port == 0 { 1 } else { 2 * port + 3 };
        act(&mut self.state().queues[index])
    }

    /// A port's receive queue.
    pub(super) fn receive<R>(&self, port: usize, act: impl FnOnce(&mut FakeQueue) -> R) -> R {
        let index = if port == 0 { 0 } else { 2 * port + 2 };
        act(&mut self.state().queues[index])
    }

    /// Sends bytes to a port, as many as it has buffers for, and claims `claimed` bytes of each
    /// buffer; how many it has sent.
    pub(super) fn send(&self, port: usize, bytes: &[u8], claimed: Option<u32>) -> usize {
        let mut sent = 0;
        while sent < bytes.len() {
            let Some(chain) = self.receive(port, FakeQueue::pop) else {
                break;
            };
            let length = (chain.room()).min(bytes.len() - sent);
            chain.write(&bytes[sent..sent + length]);
            let claimed = claimed.unwrap_or(length as u32);
            self.receive(port, |queue| queue.push(chain.id.into(), claimed));
            sent += length;
        }
        sent
    }

    /// Takes all chains of a port, in order.
    pub(super) fn pop_all(&self, port: usize) -> Vec<Chain> {
        self.transmit(port, |queue| std::iter::from_fn(|| queue.pop()).collect())
    }

    /// Is done with all that is available on a port, and returns its bytes.
    pub(super) fn consume(&self, port: usize) -> Vec<u8> {
        let chains = self.pop_all(port);
        self.transmit(port, |queue| {
            chains
                .iter()
                .for_each(|chain| queue.push(chain.id.into(), 0));
        });
        chains.iter().flat_map(Chain::bytes).collect()
    }
}

impl State {
    /// Says something, as QEMU does: if there is no buffer for it, nobody ever hears of it.
    pub(super) fn say(&mut self, id: u32, event: u16, value: u16, rest: &[u8]) {
        let mut message = Outgoing { id, event, value }.bytes().to_vec();
        message.extend_from_slice(rest);
        self.say_bytes(&message, message.len() as u32);
    }

    /// Says anything, and claims to have said `claimed` bytes.
    pub(super) fn say_bytes(&mut self, message: &[u8], claimed: u32) {
        let queue = &mut self.queues[usize::from(control::RECEIVE)];
        match queue.pop() {
            Some(chain) => {
                chain.write(message);
                queue.push(chain.id.into(), claimed);
            }
            None => self.dropped += 1,
        }
    }

    /// Takes the driver's messages, and says what QEMU says to them.
    pub(super) fn converse(&mut self) {
        if !self.listens || self.queues.is_empty() || self.status & 4 == 0 {
            return;
        }
        while let Some(chain) = self.queues[usize::from(control::TRANSMIT)].pop() {
            let bytes: [u8; 8] = chain.bytes().try_into().unwrap();
            let message = Outgoing {
                id: u32::from_le_bytes(bytes[..4].try_into().unwrap()),
                event: u16::from_le_bytes(bytes[4..6].try_into().unwrap()),
                value: u16::from_le_bytes(bytes[6..].try_into().unwrap()),
            };
            self.heard.push(message);
            let ports = self.ports.clone();
            match message.event {
                event::DEVICE_READY => {
                    for &(id, ..) in &ports {
                        self.say(id, event::DEVICE_ADD, 1, b"");
                    }
                }
                event::PORT_READY => {
                    for &(id, name, is_open) in &ports {
                        if id != message.id {
                            continue;
                        }
                        if !name.is_empty() {
                            self.say(id, event::PORT_NAME, 1, name.as_bytes());
                        }
                        if is_open {
                            self.say(id, event::PORT_OPEN, 1, b"");
                        }
                    }
                }
                _ => {}
            }
            self.queues[usize::from(control::TRANSMIT)].push(chain.id.into(), 0);
        }
    }
}

impl Transport for Fake {
    fn device_type(&self) -> DeviceType {
        DeviceType::Console
    }

    fn read_device_features(&mut self) -> u64 {
        self.state().features
    }

    fn write_driver_features(&mut self, driver_features: u64) {
        self.state().accepted = driver_features;
    }

    fn max_queue_size(&mut self, queue: u16) -> u32 {
        let sizes = &self.state().sizes;
        sizes.get(usize::from(queue)).copied().unwrap_or(0).into()
    }

    fn notify(&mut self, _queue: u16) {
        unreachable!("the driver uses doorbells");
    }

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::from_bits_truncate(self.state().status)
    }

    fn set_status(&mut self, status: DeviceStatus) {
        let mut state = self.state();
        if status.is_empty() {
            if state.resets {
                state.status = 0;
                state.queues = (0..QUEUES).map(|_| FakeQueue::default()).collect();
            }
            return;
        }
        state.status = status.bits();
        if !state.accepts || state.accepted & state.insists != state.insists {
            state.status &= !DeviceStatus::FEATURES_OK.bits();
        }
    }

    fn set_guest_page_size(&mut self, _guest_page_size: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(
        &mut self,
        queue: u16,
        size: u32,
        descriptors: PhysAddr,
        driver_area: PhysAddr,
        device_area: PhysAddr,
    ) {
        let mut state = self.state();
        assert_eq!(
            state.status & 4,
            0,
            "queues are set up before the device runs"
        );
        let queue = &mut state.queues[usize::from(queue)];
        queue.size = size as u16;
        queue.descriptors = descriptors;
        queue.driver = driver_area;
        queue.device = device_area;
    }

    fn queue_unset(&mut self, _queue: u16) {}

    fn queue_used(&mut self, queue: u16) -> bool {
        self.state().queues[usize::from(queue)].size != 0
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        unreachable!("interrupts are messages")
    }

    fn read_config_generation(&self) -> u32 {
        0
    }

    fn read_config_space<T: FromBytes + IntoBytes>(
        &self,
        offset: usize,
    ) -> virtio_drivers::Result<T> {
        let mut configuration = [0; 12];
        configuration[4..8].copy_from_slice(&self.state().max_ports.to_le_bytes());
        T::read_from_bytes(&configuration[offset..offset + size_of::<T>()])
            .map_err(|_| virtio_drivers::Error::ConfigSpaceTooSmall)
    }

    fn write_config_space<T: IntoBytes + Immutable>(
        &mut self,
        _offset: usize,
        _value: T,
    ) -> virtio_drivers::Result<()> {
        Err(virtio_drivers::Error::Unsupported)
    }
}

/// Counts.
#[derive(Debug)]
pub(super) struct FakeDoorbell {
    fake: Fake,
    queue: u16,
}

impl Doorbell for FakeDoorbell {
    fn ring(&mut self) {
        if let Some(queue) = self.fake.state().queues.get_mut(usize::from(self.queue)) {
            queue.rung += 1;
        }
    }
}

impl Device for Fake {
    type Memory = FakeMemory;
    type Transport = Self;
    type Doorbell = FakeDoorbell;

    fn transport(&mut self) -> &mut Self {
        self
    }

    fn doorbell(&mut self, queue: u16) -> Option<FakeDoorbell> {
        let fake = self.clone();
        (queue < self.state().doorbells).then_some(FakeDoorbell { fake, queue })
    }

    fn interrupts(&self) -> u16 {
        self.state().interrupts
    }

    fn assign(&mut self, queue: u16, interrupt: u16) -> bool {
        let mut state = self.state();
        if !state.raises {
            return false;
        }
        let queue = &mut state.queues[usize::from(queue)];
        assert_eq!(
            queue.size, 0,
            "interrupts are assigned before the queue is set up"
        );
        queue.interrupt = Some(interrupt);
        true
    }

    fn assign_configuration(&mut self, _interrupt: u16) -> bool {
        true
    }

    fn route(&mut self, interrupt: u16, target: Target) {
        self.state().routes.push((interrupt, target));
    }

    fn cut_off(&mut self) {
        self.state().was_cut_off = true;
    }
}
