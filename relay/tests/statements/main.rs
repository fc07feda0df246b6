//! Statements and events from the source to the text that a reader sees: written by a channel,
//! decoded from the bytes by what the registry says of their classes, put together by `relay_text`.
//! The oracle is `format!` with the same tokens.

#![cfg(not(any(loom, miri)))]
#![forbid(unsafe_code)]

mod decode;
mod events;
mod sentences;
mod shapes;

use decode::Record;
use relay::host::{Cpu, Host};
use relay::record::{Fields, Framed};
use relay::{Channel, Geometry, StartError, Storage};

/// As many CPUs as there may be tests at a time.
static LOG: Channel<Host, 64> = Channel::new(Host, &Framed);

relay::sink!(LOG);

/// What one thread logs.
struct Log {
    cpu: Cpu,
}

impl Log {
    fn start() -> Self {
        let cpu = Cpu::claim();
        let geometry = Geometry::new(4096, 4).expect("a geometry");
        let storage = Storage::allocate(&geometry).expect("memory");
        // A test before on the same CPU may have started it.
        match LOG.start(cpu.number(), storage, geometry) {
            Ok(()) | Err(StartError::Started(_)) => {}
            Err(error) => panic!("{error}"),
        }
        Self { cpu }
    }

    /// The records since the last call.
    fn take(&self) -> Vec<Record> {
        LOG.flush();
        let mut reader = LOG.reader(self.cpu.number()).expect("one reader");
        let mut records = Vec::new();
        while let Some(taken) = reader.next_subbuf() {
            let mut fields = Fields::new(taken.records());
            while let Some(stamp) = fields.next_stamp().expect("whole records") {
                let class = relay::event::find(stamp.id()).expect("a class");
                records.push(Record::read(&class, &mut fields));
            }
        }
        records
    }

    /// The only record since the last call.
    fn one(&self) -> Record {
        let mut records = self.take();
        assert_eq!(records.len(), 1);
        records.remove(0)
    }
}
