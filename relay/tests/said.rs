//! Statements where no linker collects classes, as in Miri: they are formatted where they stand,
//! and become records of klog.

#![cfg(miri)]
#![forbid(unsafe_code)]

use relay::clients::klog::{self, Severity};
use relay::host::{Cpu, Host};
use relay::record::Framed;
use relay::{Channel, Geometry, Storage};

static LOG: Channel<Host, 8> = Channel::new(Host, &Framed);
relay::sink!(LOG);

#[test]
fn what_is_said_is_a_record_of_klog() {
    assert!(!relay::event::HAS_REGISTRY);
    let cpu = Cpu::claim();
    let geometry = Geometry::new(1024, 4).unwrap();
    let storage = Storage::allocate(&geometry).unwrap();
    LOG.start(cpu.number(), storage, geometry).unwrap();
    let (task, mut calls) = (7, 0);
    let mut next = || {
        calls += 1;
        calls
    };
    relay::debug!("off at first {}", next());
    let line = line!() + 1;
    relay::warn!("woke task {task:>3} {:?} {0}", next());
    LOG.flush();
    let taken = LOG.reader(cpu.number()).unwrap().next_subbuf().unwrap();
    let mut records = klog::records(taken.records(), taken.packet().begin_ticks);
    let record = records.next().unwrap().unwrap();
    assert_eq!(record.message.to_string(), "woke task   7 1 1");
    assert_eq!(record.severity, Severity::Warn);
    assert_eq!(
        (record.place.module, record.place.line),
        (module_path!(), line)
    );
    assert!(records.next().is_none());
}
