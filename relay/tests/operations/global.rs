//! One stream of all CPUs: which number it has.

use super::*;

/// A CPU with number 1.
struct Second(OneCpu);

// SAFETY: one thread uses it, and it is always CPU 1.
unsafe impl Platform for Second {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (1, ())
    }

    unsafe fn unpin(&self, (): ()) {}

    fn now(&self) -> u64 {
        self.0.now()
    }

    fn wake(&self, cpu: usize) {
        assert_eq!(cpu, 0, "the number of the stream");
        self.0.wake(cpu);
    }
}

/// Knows one stream, with number 0.
struct First;

impl Hooks for First {
    fn buffer_start(&self, _header: &mut [u8], start: &PacketStart) {
        assert_eq!(start.cpu, 0);
    }

    fn buffer_end(&self, _header: &mut [u8], _trailer: &mut [u8], packet: &relay::Packet) {
        assert_eq!(packet.cpu, 0);
    }

    fn deliver(&self, cpu: usize) {
        assert_eq!(cpu, 0);
    }

    fn needs_resize(&self, cpu: usize) {
        assert_eq!(cpu, 0);
    }
}

#[test]
fn a_global_stream_has_number_0_whoever_writes_it() {
    let shape = geometry(4).with_reserves(8, 0).unwrap();
    let channel: Channel<Second, 2, Global> = Channel::new(Second(OneCpu::default()), &First);
    assert_eq!((channel.streams(), channel.cpus()), (1, 2));
    let storage = Storage::allocate(&shape).unwrap();
    channel.start(0, storage, shape).unwrap();
    let mut reader = channel.reader(0).unwrap();
    assert!(reader.prepare_to_sleep());
    for _ in 0..3 {
        channel.write(&[1; 40]).unwrap();
        channel.flush();
        channel.tick();
    }
    assert_eq!(channel.platform().0.wakes.load(Ordering::Relaxed), 1);
    while let Some(taken) = reader.next_subbuf() {
        assert_eq!(taken.packet().cpu, 0);
    }
    channel.tick();
    assert_eq!(reader.quiet_since(), 0, "it has no need of that");
}
