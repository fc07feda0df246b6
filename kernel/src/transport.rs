//! The transport: what the CPUs have written leaves the machine through the ports of a
//! virtio-console, without being copied.
//!
//! A *pump* moves sub-buffers: it takes them from the streams of its CPUs, gives them to the port,
//! and gives them back to their writers when the device is done. There is one for each port; CPU
//! `c` uses pump `c mod ports`, so that with a port per CPU no two CPUs share anything. Whoever is
//! at a pump already (an interrupt finds the task at it) goes on; nobody waits.
//!
//! klog comes here from the console, which has printed it first. The metadata goes before
//! everything else.

use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use crossbeam_queue::ArrayQueue;
use relay::{Reader, SubBuffer};
use spin::{Mutex, Once};

use crate::arch::{clock, percpu};
use crate::channels::NAMES;
use crate::cpuset::MAX_CPUS;
use crate::dev::virtio::console::driver::PortInfo;
use crate::dev::virtio::console::port::{Refusal, Rejected};
use crate::dev::virtio::console::{self as vcon, CpuPort};
use crate::salvage;

/// Sub-buffers of klog that wait for the port, per CPU, at most. Where a port stalls, the rest of
/// the ring is left to the console, and the capture misses what does not fit.
const WAITING: usize = 12;

/// How long the end waits for a port that moves nothing.
const PATIENCE_MS: u64 = 5_000;

/// There is a device, or it was not looked for yet.
static IS_THERE: AtomicBool = AtomicBool::new(true);

/// How many ports are used; 0 before there are any.
static PORTS: AtomicUsize = AtomicUsize::new(0);

static PUMPS: [Mutex<Option<Pump>>; MAX_CPUS] = [const { Mutex::new(None) }; MAX_CPUS];

/// What has been printed of each CPU's klog.
static PRINTED: [Once<ArrayQueue<SubBuffer<'static>>>; MAX_CPUS] =
    [const { Once::new() }; MAX_CPUS];

/// The last packet of each CPU's klog has been printed.
static KLOG_ENDED: [AtomicBool; MAX_CPUS] = [const { AtomicBool::new(false) }; MAX_CPUS];

/// Sub-buffers of klog that were not sent, because they would have stood in the way of the console.
static SKIPPED: AtomicU64 = AtomicU64::new(0);

/// Nothing but metadata and klog is sent for now: see [`pause`].
static PAUSED: AtomicBool = AtomicBool::new(false);

/// The metadata was given to its port.
static DESCRIBED: AtomicBool = AtomicBool::new(false);

/// Takes sub-buffers of its CPUs to its port.
struct Pump {
    port: CpuPort,
    streams: Vec<Stream>,
    /// What the port had no room for; goes first.
    refused: Option<SubBuffer<'static>>,
    /// Nothing can be sent any more.
    is_dead: bool,
}

/// A stream that is read here.
struct Stream {
    cpu: usize,
    /// `None` for klog, which the console reads.
    reader: Option<Reader<'static>>,
    is_metadata: bool,
    ended: bool,
}

/// Keeps what is printed of the klog of `cpus` CPUs from now on, for the ports that may be found.
/// Task context on the boot CPU, before the console starts.
pub(crate) fn keep(cpus: usize) {
    for printed in PRINTED.iter().take(cpus) {
        printed.call_once(|| ArrayQueue::new(WAITING));
    }
}

/// Finds the device and its ports. Task context on the boot CPU, after the streams of `cpus` CPUs
/// were started. Ports are opened by [`join`].
pub(crate) fn init(cpus: usize) {
    vcon::start();
    let found = vcon::with_console(|console| usable_ports(console).count()).unwrap_or(0);
    if found == 0 {
        // What was kept goes back to its writers.
        IS_THERE.store(false, Ordering::Release);
        PRINTED
            .iter()
            .filter_map(Once::get)
            .for_each(|printed| while printed.pop().is_some() {});
        return;
    }
    let senseless = vcon::with_console(|console| console.malformed_messages()).unwrap_or(0);
    if senseless != 0 {
        log::warn!("virtio-console: {senseless} messages of the device made no sense");
    }
    match vcon::with_console(salvage::keep) {
        Some(Ok(true)) => {}
        Some(Err(error)) => log::warn!("the port for panics cannot be opened: {error}"),
        _ => log::info!("no port is kept for panics: what they leave will be on the console only"),
    }
    let ports = found.min(cpus);
    log::info!("{ports} of {found} ports carry what {cpus} CPUs write");
    PORTS.store(ports, Ordering::Release);
}

/// The ports that CPUs may use.
fn usable_ports(console: &vcon::Console) -> impl Iterator<Item = PortInfo> {
    let all = console.ports();
    all.filter(|port| !salvage::is_kept(port.name.as_str()))
}

/// Opens the port of the calling CPU, if it is the first of its CPUs: interrupts come to it. Task
/// context, once on each CPU.
pub(crate) fn join() {
    let cpu = percpu::cpu_index();
    let ports = PORTS.load(Ordering::Acquire);
    if cpu >= ports {
        return;
    }
    let opened = vcon::with_console(|console| {
        let id = usable_ports(console).nth(cpu)?.id;
        Some(vcon::open_here(console, id))
    });
    match opened.flatten() {
        Some(Ok(port)) => {
            log::debug!(
                "port {} '{}' is cpu {cpu}'s: {} buffers in flight at most, interrupts: {}",
                port.id(),
                port.name(),
                port.depth(),
                port.has_interrupt()
            );
            let streams = (cpu..MAX_CPUS)
                .step_by(ports)
                .flat_map(streams_of)
                .collect();
            let pump = Pump {
                port,
                streams,
                refused: None,
                is_dead: false,
            };
            *PUMPS[cpu].lock() = Some(pump);
        }
        Some(Err(error)) => log::warn!("cpu {cpu} has no port: {error}"),
        None => {}
    }
}

/// The streams of `cpu` that there are, the metadata first.
fn streams_of(cpu: usize) -> impl Iterator<Item = Stream> {
    let read = move |channel, is_metadata| {
        let file = NAMES.channel(channel).ok()?.file(cpu).ok()?;
        Some(Stream {
            cpu,
            reader: Some(file.open().ok()?),
            is_metadata,
            ended: false,
        })
    };
    let klog = PRINTED
        .get(cpu)
        .is_some_and(|printed| printed.get().is_some());
    let klog = klog.then_some(Stream {
        cpu,
        reader: None,
        is_metadata: false,
        ended: false,
    });
    [
        read("/metadata", true),
        klog,
        read("/flood", false),
        read("/claims", false),
    ]
    .into_iter()
    .flatten()
}

/// Takes a sub-buffer of klog that was printed. Any CPU.
pub(crate) fn hand_over(subbuf: SubBuffer<'static>) {
    let cpu = subbuf.packet().cpu;
    let is_final = subbuf.packet().is_final;
    if let Some(printed) = PRINTED.get(cpu).and_then(Once::get)
        && IS_THERE.load(Ordering::Acquire)
        && printed.push(subbuf).is_err()
    {
        SKIPPED.fetch_add(1, Ordering::Relaxed);
    }
    if is_final {
        // ORDERING: who sees the end sees what was pushed before it.
        KLOG_ENDED[cpu % MAX_CPUS].store(true, Ordering::Release);
    }
}

/// Moves what can be moved at the pump of the calling CPU, unless somebody is at it. Task and IRQ
/// context.
pub(crate) fn poll() {
    if let Some(cell) = my_pump()
        && let Some(mut guard) = cell.try_lock()
        && let Some(pump) = guard.as_mut()
    {
        pump.run();
    }
}

/// Whether the port of the calling CPU is done with something. Asked before the CPU halts, with
/// interrupts off.
pub(crate) fn has_work() -> bool {
    my_pump().and_then(Mutex::try_lock).is_some_and(|guard| {
        guard
            .as_ref()
            .is_some_and(|pump| pump.port.has_reclaimable())
    })
}

/// Whether everything that the calling CPU wrote has been given to its port, or cannot be; if the
/// pump is its own: whether everything that passes through it has left the machine.
pub(crate) fn is_done() -> bool {
    match my_pump().and_then(Mutex::try_lock) {
        Some(guard) => guard
            .as_ref()
            .is_none_or(|pump| pump.is_done(percpu::cpu_index())),
        None => my_pump().is_none(),
    }
}

/// Moves the rest, after the streams of the calling CPU were closed: calls `meanwhile` until it has
/// left the machine, or the port has stood still for too long. Task context.
pub(crate) fn finish(mut meanwhile: impl FnMut()) {
    let mut moved = progress();
    let mut patience = clock::Timeout::after_ms(PATIENCE_MS);
    while !is_done() && !patience.expired() {
        poll();
        meanwhile();
        if progress() != moved {
            moved = progress();
            patience = clock::Timeout::after_ms(PATIENCE_MS);
        }
    }
}

/// Stops sending what the CPUs write to `flood`, or goes on with it: to measure the drain alone,
/// and writers without it. Any context.
pub(crate) fn pause(paused: bool) {
    PAUSED.store(paused, Ordering::Release);
}

/// Whether there are ports at all.
pub(crate) fn is_there() -> bool {
    PORTS.load(Ordering::Relaxed) != 0
}

/// Whether nothing of the calling CPU's pump is under way: what was sent has arrived.
pub(crate) fn is_drained() -> bool {
    my_pump().and_then(Mutex::try_lock).is_some_and(|guard| {
        let idle = |pump: &Pump| pump.refused.is_none() && pump.port.in_flight() == 0;
        guard.as_ref().is_none_or(idle)
    })
}

/// Sub-buffers of klog that were not captured because their port was too slow.
pub(crate) fn skipped() -> u64 {
    SKIPPED.load(Ordering::Relaxed)
}

/// What the port of the calling CPU has moved.
fn progress() -> u64 {
    my_pump().and_then(Mutex::try_lock).map_or(0, |guard| {
        guard.as_ref().map_or(0, |pump| {
            let counters = pump.port.counters();
            counters.submitted + counters.sent
        })
    })
}

fn my_pump() -> Option<&'static Mutex<Option<Pump>>> {
    let ports = PORTS.load(Ordering::Acquire);
    PUMPS.get(percpu::cpu_index().checked_rem(ports)?)
}

impl Pump {
    /// Gives back what the device is done with, and gives it what there is.
    fn run(&mut self) {
        while let Some(done) = self.port.reclaim() {
            drop(done.into_inner());
        }
        if self.port.is_dead().is_some() {
            // The streams read here are lost to the capture; what waits is given back, so that
            // writers and console go on.
            self.is_dead = true;
            self.refused = None;
        }
        while let Some(subbuf) = self.next() {
            if self.is_dead {
                continue;
            }
            if let Err(Rejected { buffer, refusal }) = self.port.submit(subbuf) {
                match refusal {
                    Refusal::Full | Refusal::HostClosed => self.refused = Some(buffer),
                    _ => self.is_dead = true,
                }
                break;
            }
        }
        self.port.notify();
    }

    /// What is to be sent next.
    fn next(&mut self) -> Option<SubBuffer<'static>> {
        if self.refused.is_some() {
            return self.refused.take();
        }
        self.streams.iter_mut().find_map(Stream::next)
    }

    /// Whether nothing is left to send or to wait for, for `cpu`.
    fn is_done(&self, cpu: usize) -> bool {
        let is_owner = cpu < PORTS.load(Ordering::Relaxed);
        let mut mine = self
            .streams
            .iter()
            .filter(|stream| is_owner || stream.cpu == cpu);
        let has_sent = !is_owner || self.port.in_flight() == 0;
        self.is_dead || (self.refused.is_none() && has_sent && mine.all(|stream| stream.ended))
    }
}

impl Stream {
    /// The next sub-buffer of this stream, if there is one.
    fn next(&mut self) -> Option<SubBuffer<'static>> {
        if self.ended || (!self.is_metadata && !DESCRIBED.load(Ordering::Acquire)) {
            return None;
        }
        let Some(reader) = &mut self.reader else {
            return self.next_printed();
        };
        if !self.is_metadata && PAUSED.load(Ordering::Acquire) {
            return None;
        }
        let next = reader.next_subbuf();
        if next.is_none() {
            self.ended = reader.is_at_end();
            if self.ended && self.is_metadata {
                DESCRIBED.store(true, Ordering::Release);
            }
            if !self.ended {
                reader.request_flush();
            }
        }
        next
    }

    fn next_printed(&mut self) -> Option<SubBuffer<'static>> {
        let ended = KLOG_ENDED[self.cpu % MAX_CPUS].load(Ordering::Acquire);
        let next = PRINTED.get(self.cpu)?.get()?.pop();
        self.ended = ended && next.is_none();
        next
    }
}
