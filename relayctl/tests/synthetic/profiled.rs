//! The channel of the profiler, as `docs/PROFILE.md` has it, and samples.

use super::typed::Payload;
use super::{Stream, metadata};

/// The channel.
pub(crate) const PROFILE: u32 = 7;

/// Its classes.
const SOURCE: u16 = 300;
const SAMPLE: u16 = 301;

/// Both classes, as the kernel declares them.
pub(crate) const CLASSES: &str = "event {
    name = \"profile_source\";
    id = 300;
    stream_id = 7;
    fields := struct {
        uint16_t ___source_length; utf8_t _source[___source_length];
        uint32_t _hertz;
    };
};
event {
    name = \"profile_sample\";
    id = 301;
    stream_id = 7;
    fields := struct {
        integer { size = 64; align = 8; signed = false; base = 16; } _ip;
        enum : integer { size = 8; align = 8; signed = false; }
            { \"task\" = 0, \"irq\" = 1, \"nmi\" = 2 } _from;
        int32_t _tid;
        uint16_t ___stack_length;
        integer { size = 64; align = 8; signed = false; base = 16; } _stack[___stack_length];
    };
};
";

/// Both classes, as a kernel declares them that runs programs.
pub(crate) fn with_programs() -> String {
    let (thread, more) = (
        "int32_t _tid;",
        "int32_t _tid;\n        int32_t _pid; utf8_t _comm[16];",
    );
    assert!(CLASSES.contains(thread));
    CLASSES.replace(thread, more)
}

/// The metadata of a machine with so many CPUs, a profiler, and these classes of its records.
pub(crate) fn with_profile(cpus: u32, classes: &str) -> String {
    let text = metadata(cpus);
    let name = "channel_3 = \"flood\";";
    assert!(text.contains(name));
    let text = text.replace(
        name,
        &format!("{name}\n    channel_{PROFILE} = \"profile\";"),
    );
    let stream = format!(
        "stream {{
    id = {PROFILE};
    packet.context := struct packet_context;
    event.header := struct event_header;
    event.context := struct event_context;
}};
"
    );
    text + &stream + classes
}

/// A sample: the instruction, the context, the thread, the return addresses.
pub(crate) type Sample<'a> = (u64, u8, i32, &'a [u64]);

impl Stream {
    /// What takes samples from now on.
    pub(crate) fn source(&mut self, ticks: u64, name: &str, hertz: u32) {
        let payload = Payload::default().text(name).bytes(hertz.to_le_bytes());
        self.record(SOURCE, ticks, super::TASK, &payload.0);
    }

    /// A sample of a thread of a process with a name.
    pub(crate) fn sample_of(
        &mut self,
        ticks: u64,
        (process, name): (i32, &str),
        (ip, from, thread, stack): Sample<'_>,
    ) {
        let mut comm = [0; 16];
        comm[..name.len()].copy_from_slice(name.as_bytes());
        let length = u16::try_from(stack.len()).expect("it is short");
        let mut payload = Payload::default()
            .bytes(ip.to_le_bytes())
            .bytes([from])
            .bytes(thread.to_le_bytes())
            .bytes(process.to_le_bytes())
            .bytes(comm)
            .bytes(length.to_le_bytes());
        for address in stack {
            payload = payload.bytes(address.to_le_bytes());
        }
        self.record(SAMPLE, ticks, super::NMI, &payload.0);
    }

    /// A sample.
    pub(crate) fn sample(&mut self, ticks: u64, (ip, from, thread, stack): Sample<'_>) {
        let length = u16::try_from(stack.len()).expect("it is short");
        let mut payload = Payload::default()
            .bytes(ip.to_le_bytes())
            .bytes([from])
            .bytes(thread.to_le_bytes())
            .bytes(length.to_le_bytes());
        for address in stack {
            payload = payload.bytes(address.to_le_bytes());
        }
        self.record(SAMPLE, ticks, super::NMI, &payload.0);
    }
}
