//! The sinks of a virtio-console: a port each.

use alloc::boxed::Box;
use core::fmt;

use relay::SubBuffer;

use super::events::{Parcel, Step};
use super::sink::{Sink, Submitted};
use super::{control_port, pump, salvage, syslog_port};
use crate::cpu::percpu;
use crate::dev::packet::Cargo;
use crate::dev::virtio::console::driver::PortInfo;
use crate::dev::virtio::console::port::{Reclaimed, Refusal, Rejected};
use crate::dev::virtio::console::{self as vcon, PciPort};

/// A port that packets leave through, from where they lie.
type Port = PciPort<Cargo>;

impl Sink for Port {
    fn begin(&mut self) -> u64 {
        let mut done = 0;
        while let Some(cargo) = Port::reclaim(self).map(Reclaimed::into_inner) {
            // What is kept for ever need not be given back.
            if let Cargo::Packet(packet) = cargo {
                Parcel::of(&packet).tell(Step::Return);
                done += 1;
            }
        }
        done
    }

    fn take_return(&mut self) -> Option<u64> {
        Port::take_return(self)
    }

    fn describe(&mut self, packets: &'static [u8]) -> bool {
        Port::submit(self, Cargo::Kept(packets)).is_ok()
    }

    fn submit(&mut self, packet: SubBuffer<'static>) -> Submitted {
        let Err(Rejected { buffer, refusal }) = Port::submit(self, Cargo::Packet(packet)) else {
            return Submitted::Taken;
        };
        match (refusal, buffer) {
            (Refusal::Full | Refusal::HostClosed, Cargo::Packet(packet)) => {
                Submitted::NotNow(packet)
            }
            _ => Submitted::Never,
        }
    }

    fn end(&mut self) -> u64 {
        Port::notify(self);
        // The device tells when it is done.
        0
    }

    fn has_room(&mut self) -> bool {
        self.is_host_open() && Port::in_flight(self) < self.depth()
    }

    fn is_for_programs(&self) -> bool {
        true
    }

    fn has_work(&mut self) -> bool {
        self.has_reclaimable()
    }

    fn in_flight(&mut self) -> usize {
        Port::in_flight(self)
    }

    fn is_open(&self) -> bool {
        self.is_host_open()
    }

    fn is_dead(&self) -> bool {
        Port::is_dead(self).is_some()
    }

    fn lost(&self) -> u64 {
        Port::unheard(self) + Port::counters(self).unsent
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counters = self.counters();
        write!(
            f,
            "port {}: sent {} of {} packets",
            self.name(),
            counters.sent,
            counters.submitted
        )?;
        if let Some(dead) = Port::is_dead(self) {
            write!(f, "; {dead}")
        } else if !self.is_host_open() {
            f.write_str("; the host has closed it")
        } else if Port::in_flight(self) != 0 {
            f.write_str("; the host does not read")
        } else {
            Ok(())
        }
    }
}

/// Finds the device and its ports; false if there are none. Task context on the boot CPU, after the
/// streams of `cpus` CPUs were started. Ports are opened by [`join`].
pub(super) fn init(cpus: usize) -> bool {
    vcon::start();
    let found = vcon::with_console(|console| usable_ports(console).count()).unwrap_or(0);
    if found == 0 {
        // Each CPU looks after its own log.
        pump::set_count(cpus, false);
        return false;
    }
    let senseless = vcon::with_console(|console| console.malformed_messages()).unwrap_or(0);
    if senseless != 0 {
        relay::warn!("virtio-console: {senseless} messages of the device made no sense");
    }
    match vcon::with_console(salvage::keep) {
        Some(Ok(true)) => {}
        Some(Err(error)) => relay::warn!("the port for panics cannot be opened: {error}"),
        _ => {
            relay::info!("no port is kept for panics: what they leave will be on the console only")
        }
    }
    match vcon::with_console(control_port::keep) {
        Some(Err(error)) => relay::warn!("the port for control cannot be opened: {error}"),
        Some(Ok(true)) => relay::debug!("a port is kept for what the host asks"),
        _ => {}
    }
    match vcon::with_console(syslog_port::keep) {
        Some(Err(error)) => relay::warn!("the port for syslog cannot be opened: {error}"),
        Some(Ok(true)) => relay::debug!("a port is kept for syslog"),
        _ => {}
    }
    let ports = found.min(cpus);
    relay::info!("{ports} of {found} ports carry what {cpus} CPUs write");
    pump::set_count(ports, true);
    true
}

/// The ports that CPUs may use.
fn usable_ports(console: &vcon::Console) -> impl Iterator<Item = PortInfo> {
    let all = console.ports();
    all.filter(|port| {
        let name = port.name.as_str();
        !salvage::is_kept(name) && !control_port::is_kept(name) && !syslog_port::is_kept(name)
    })
}

/// Opens the port of the calling CPU, if it is the first of its CPUs: interrupts come to it. Task
/// context, once on each CPU. Where no ports are used, there is nothing to do.
pub(crate) fn join() {
    if !pump::is_mine() || pump::is_started() {
        return;
    }
    let cpu = percpu::cpu_index();
    let opened = vcon::with_console(|console| {
        let id = usable_ports(console).nth(cpu)?.id;
        Some(vcon::open_here(console, id))
    });
    match opened.flatten() {
        Some(Ok(port)) => {
            let port: Port = port;
            relay::debug!(
                "port {} '{}' is cpu {cpu}'s: {} buffers in flight at most, interrupts: {}",
                port.id(),
                port.name(),
                port.depth(),
                port.has_interrupt()
            );
            pump::start(Box::new(port));
        }
        Some(Err(error)) => {
            relay::warn!("cpu {cpu} has no port: {error}");
            pump::do_without();
        }
        None => pump::do_without(),
    }
}

/// Hears the device out, and what the host asks, on the boot CPU, where its interrupts come to. Whenever the CPU wakes,
/// task context.
pub(crate) fn listen() {
    if percpu::cpu_index() == 0 {
        vcon::listen();
        control_port::poll();
    }
}

/// Hears what the device says of its ports, and what the host asks, while the boot CPU does not wake. In its timer
/// interrupt.
pub(crate) fn hear() {
    if percpu::cpu_index() == 0 {
        vcon::hear();
        control_port::poll();
    }
}
