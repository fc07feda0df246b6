//! Makes packets as `docs/FORMAT.md` has them, independently of the code under test.

#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "every test uses another part of it"
)]

pub(crate) mod profiled;
pub(crate) mod typed;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// The reference metadata, as the kernel writes it.
pub(crate) const REFERENCE: &str = include_str!("../data/metadata");

/// The same of a machine without clients of typed events: what these tests make has no packets of
/// them.
pub(crate) static METADATA: LazyLock<String> = LazyLock::new(|| without_clients(REFERENCE));

/// The same of a machine whose load all CPUs write to one stream.
pub(crate) static SHARED: LazyLock<String> =
    LazyLock::new(|| without_clients(include_str!("../data/metadata-shared")));

/// A metadata text without the channels `evlog`, `user`, `trace` and `profile`, which are its last.
fn without_clients(text: &str) -> String {
    let first = "stream {\n    id = 6;\n";
    let (rest, clients) = text.split_once(first).expect("it has the channel evlog");
    assert_eq!(clients.matches("stream {").count(), 3);
    let names = [(6, "evlog"), (8, "user"), (5, "trace"), (7, "profile")];
    names.iter().fold(rest.to_owned(), |rest, (id, name)| {
        let line = format!("    channel_{id} = \"{name}\";\n");
        assert!(rest.contains(&line));
        rest.replace(&line, "")
    })
}

/// The uuid in it.
pub(crate) const UUID: [u8; 16] = [
    0x6d, 0x7a, 0x3c, 0x1e, 0x0b, 0x42, 0x4f, 0x5a, 0x9c, 0x88, 0x21, 0xd4, 0xe6, 0xf7, 0x0a, 0x95,
];

/// Task, IRQ and NMI context.
pub(crate) const TASK: u8 = 0;
pub(crate) const IRQ: u8 = 1;
pub(crate) const NMI: u8 = 2;

/// The metadata for a number of CPUs.
pub(crate) fn metadata(cpus: u32) -> String {
    assert!(METADATA.contains("cpus = 2;"));
    METADATA.replace("cpus = 2;", &format!("cpus = {cpus};"))
}

/// Bit by bit, not by table: another implementation than the one under test.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    })
}

/// One stream that is being made.
pub(crate) struct Stream {
    pub(crate) id: u32,
    pub(crate) cpu: u32,
    pub(crate) number: u64,
    pub(crate) ordinal: u64,
    /// Cumulative losses: full, too big, wrapped, nested, closed, discarded.
    pub(crate) lost: [u64; 6],
    pub(crate) overwritten: u64,
    pub(crate) uncommitted: u64,
    /// Bytes of padding behind the next packet's contents, at least.
    pub(crate) padding: usize,
    begin: u64,
    records: u64,
    body: Vec<u8>,
    last: u64,
}

impl Stream {
    pub(crate) fn new(id: u32, cpu: u32, begin: u64) -> Self {
        Self {
            id,
            cpu,
            number: 0,
            ordinal: 0,
            lost: [0; 6],
            overwritten: 0,
            uncommitted: 0,
            padding: 0,
            begin,
            records: 0,
            body: Vec::new(),
            last: begin,
        }
    }

    /// A record that is none of anybody's.
    pub(crate) fn raw(&mut self, id: u16, ticks: u64, context: u8, payload: &[u8]) {
        let time = ticks % (1 << 40);
        let word = time | u64::from(id) << 40 | u64::from(context) << 54;
        self.body.extend(&word.to_le_bytes()[..7]);
        self.body.extend(payload);
        self.last = ticks;
    }

    pub(crate) fn record(&mut self, id: u16, ticks: u64, context: u8, payload: &[u8]) {
        self.raw(id, ticks, context, payload);
        self.records += 1;
    }

    /// Records that the header counts, and that are not there.
    pub(crate) fn records_in_doubt(&mut self, count: u64) {
        self.records += count;
    }

    /// A record of the log. The severity is 1 for an error to 5 for a trace, as the `log` crate
    /// counts.
    pub(crate) fn klog(
        &mut self,
        ticks: u64,
        context: u8,
        severity: u8,
        line: u32,
        texts: [&str; 3],
    ) {
        let mut payload = vec![[0, 3, 4, 6, 7, 8][usize::from(severity)]];
        payload.extend(line.to_le_bytes());
        for text in texts {
            payload.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
        }
        for text in texts {
            payload.extend(text.as_bytes());
        }
        self.record(1, ticks, context, &payload);
    }

    pub(crate) fn claim(&mut self, ticks: u64, channel: u16, from: u8, attempted: u64) {
        let mut payload = channel.to_le_bytes().to_vec();
        payload.push(from);
        payload.extend(attempted.to_le_bytes());
        self.record(1, ticks, TASK, &payload);
    }

    pub(crate) fn no_ring(&mut self, ticks: u64, channel: u16, lost: u64) {
        let mut payload = channel.to_le_bytes().to_vec();
        payload.extend(lost.to_le_bytes());
        self.record(2, ticks, TASK, &payload);
    }

    pub(crate) fn flood(&mut self, ticks: u64, context: u8, sequence: u64, length: u16) {
        let payload = flood(self.cpu, context, sequence, length);
        self.record(1, ticks, context, &payload);
    }

    /// A record of a stream that all CPUs write, by one of them.
    pub(crate) fn shared(&mut self, ticks: u64, cpu: u32, context: u8, sequence: u64) {
        let mut payload = cpu.to_le_bytes().to_vec();
        payload.extend(flood(cpu, context, sequence, 3));
        self.record(1, ticks, context, &payload);
    }

    /// Ends the packet at a time.
    pub(crate) fn packet(&mut self, end: u64, flags: u32) -> Vec<u8> {
        let content = 168 + self.body.len();
        let size = (content + self.padding).next_multiple_of(8);
        let mut packet = Vec::with_capacity(size);
        packet.extend(0xC1FC_1FC1u32.to_le_bytes());
        packet.extend(UUID);
        packet.extend(self.id.to_le_bytes());
        packet.extend(u64::from(self.cpu).to_le_bytes());
        for number in [
            self.begin,
            end,
            content as u64 * 8,
            size as u64 * 8,
            self.number,
            self.lost.iter().sum(),
        ] {
            packet.extend(number.to_le_bytes());
        }
        packet.extend(self.cpu.to_le_bytes());
        packet.extend(flags.to_le_bytes());
        packet.extend(self.ordinal.to_le_bytes());
        packet.extend(self.records.to_le_bytes());
        for lost in self.lost {
            packet.extend(lost.to_le_bytes());
        }
        packet.extend(self.overwritten.to_le_bytes());
        packet.extend(self.uncommitted.to_le_bytes());
        assert_eq!(packet.len(), 168);
        packet.append(&mut self.body);
        packet.resize(size, 0xEE);
        self.number += 1;
        self.ordinal += self.records;
        self.records = 0;
        self.begin = end;
        packet
    }
}

/// The fields of a record of the flood.
fn flood(cpu: u32, context: u8, sequence: u64, length: u16) -> Vec<u8> {
    let mut sealed = sequence.to_le_bytes().to_vec();
    sealed.extend(cpu.to_le_bytes());
    sealed.push(context);
    let mut payload = sequence.to_le_bytes().to_vec();
    payload.extend(crc32c(&sealed).to_le_bytes());
    payload.extend(length.to_le_bytes());
    payload.extend(std::iter::repeat_n(sequence as u8, length.into()));
    payload
}

/// The packets of a metadata text, in pieces.
pub(crate) fn metadata_packets(text: &str, piece: usize) -> Vec<Vec<u8>> {
    let mut stream = Stream::new(0, 0, 0);
    let pieces: Vec<_> = text.as_bytes().chunks(piece).collect();
    let last = pieces.len() - 1;
    let mut packets = Vec::new();
    for (at, piece) in pieces.into_iter().enumerate() {
        stream.body.extend(piece);
        packets.push(stream.packet(0, u32::from(at == last)));
    }
    packets
}

/// The packets of a small machine with two CPUs: all channels, all contexts,
/// all fillers, losses, a clock that passes the end of its 40 bits.
pub(crate) fn small() -> Vec<Vec<u8>> {
    let mut packets = metadata_packets(&metadata(2), 1000);
    let t = (1 << 40) - 100;
    for cpu in 0..2 {
        let mut klog = Stream::new(1, cpu, t);
        klog.klog(
            t + 10,
            TASK,
            3,
            41,
            [
                "kernel::a",
                "smoke.rs",
                "gr\u{fc}\u{df} \"quoted\" back\\slash",
            ],
        );
        klog.raw(0x3FFD, t + 20, IRQ, &[]);
        klog.raw(0x3FFE, t + 21, NMI, b"\x03abc");
        klog.raw(0x3FFF, t + 150, TASK, b"\x05\0\0\0hello");
        klog.klog(t + 200, NMI, 1, 7, ["", "", ""]);
        klog.padding = 56;
        klog.lost[5] = 3;
        packets.push(klog.packet(t + 300, 0));
        klog.padding = 0;
        klog.lost[0] = 4;
        for n in 0..u64::from(cpu) + 1 {
            klog.klog(t + 310 + n, IRQ, 5, u32::MAX, ["m", "f", "two\nlines"]);
        }
        packets.push(klog.packet(t + 500, 0));
        klog.klog(t + 600, TASK, 2, 1, ["m", "f", "last"]);
        packets.push(klog.packet(t + 700, 1));
        let mut flood = Stream::new(3, cpu, t);
        for n in 0..3 {
            flood.flood(t + 400 + n, TASK, n, 5);
            flood.flood(t + 400 + n, IRQ, n, 0);
        }
        packets.push(flood.packet(t + 450, 0));
        flood.flood(t + 451, NMI, 0, 1);
        packets.push(flood.packet(t + 460, 1));
        let mut claims = Stream::new(2, cpu, t);
        claims.claim(t + 900, 3, TASK, 3);
        claims.claim(t + 901, 3, IRQ, 3);
        claims.claim(t + 902, 3, NMI, 1);
        // Seven of these were lost.
        claims.claim(t + 903, 1, TASK, 10);
        claims.claim(t + 903, 1, IRQ, 1 + u64::from(cpu));
        packets.push(claims.packet(t + 950, 1));
    }
    packets
}

/// The metadata of a machine with one CPU, and its log: packets of one record each, the last one
/// closes it, and an empty flood and claims that fit.
pub(crate) fn machine() -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut klog = Stream::new(1, 0, 0);
    let mut packets = Vec::new();
    for n in 0..10u64 {
        klog.klog(n * 10 + 1, TASK, 3, 1, ["m", "f", &format!("message {n}")]);
        packets.push(klog.packet(n * 10 + 5, u32::from(n == 9)));
    }
    packets.push(Stream::new(3, 0, 0).packet(1, 1));
    let mut claims = Stream::new(2, 0, 0);
    claims.claim(200, 1, TASK, 10);
    packets.push(claims.packet(201, 1));
    (metadata_packets(&metadata(1), 700), packets)
}

/// The text of a UUID.
pub(crate) fn text_of(uuid: [u8; 16]) -> String {
    let digits: String = uuid.iter().map(|byte| format!("{byte:02x}")).collect();
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| digits[part].to_owned());
    parts.join("-")
}

/// The UUID of a boot.
pub(crate) fn boot_uuid(boot: u16) -> [u8; 16] {
    let mut uuid = UUID;
    uuid[..2].copy_from_slice(&boot.to_be_bytes());
    uuid
}

/// Packets as another boot would have sent them.
pub(crate) fn other_boot(boot: u16, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let (old, new) = (text_of(UUID), text_of(boot_uuid(boot)));
    let packets = packets.iter().map(|packet| {
        let mut packet = packet.clone();
        packet[4..20].copy_from_slice(&boot_uuid(boot));
        if packet[20..24] == [0; 4] {
            let found = packet
                .windows(old.len())
                .position(|text| text == old.as_bytes());
            if let Some(at) = found {
                packet[at..at + old.len()].copy_from_slice(new.as_bytes());
            }
        }
        packet
    });
    packets.collect()
}

/// A packet as a panic sends it.
pub(crate) fn salvaged(packet: &[u8]) -> Vec<u8> {
    let mut packet = packet.to_vec();
    packet[84] |= 2;
    packet
}

/// A folder for one test.
pub(crate) fn folder(name: &str) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{count}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the target folder is writable");
    folder
}

/// What a command left: its exit code, stdout and stderr.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Left {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
        Self {
            code: output.status.code(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }
}

/// Runs relayctl.
pub(crate) fn relayctl<S: AsRef<std::ffi::OsStr>>(args: &[S]) -> Left {
    Command::new(env!("CARGO_BIN_EXE_relayctl"))
        .args(args)
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .output()
        .expect("relayctl starts")
        .into()
}

/// What `verify --json` says of each boot of a capture, or of several together.
pub(crate) fn judged(out: &Path) -> (Option<i32>, Vec<Value>) {
    let left = relayctl(&["verify".as_ref(), "--json".as_ref(), out.as_os_str()]);
    let lines = left.out.lines();
    let lines = lines.map(|line| serde_json::from_str(line).expect("it prints JSON"));
    (left.code, lines.collect())
}

/// Makes a capture of packets that came over one port, and returns its folder.
pub(crate) fn capture(name: &str, packets: &[Vec<u8>]) -> PathBuf {
    let (out, left) = recorded(name, packets);
    assert_eq!(left.code, Some(0), "{}", left.err);
    out
}

/// The same, of packets that `record` may have something to say about: the folder, and what it
/// said.
pub(crate) fn recorded(name: &str, packets: &[Vec<u8>]) -> (PathBuf, Left) {
    let folder = folder(name);
    let (raw, out) = (folder.join("raw"), folder.join("capture"));
    fs::write(&raw, packets.concat()).expect("it is writable");
    let left = record(&raw, &out);
    (out, left)
}

/// A command whose files may not grow beyond so many blocks of 512 bytes.
pub(crate) fn limited(command: &Command, blocks: u64) -> Command {
    let mut limited = Command::new("sh");
    limited
        .arg("-c")
        .arg(format!("ulimit -f {blocks}; exec \"$0\" \"$@\""))
        .arg(command.get_program())
        .args(command.get_args());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(key, value),
            None => limited.env_remove(key),
        };
    }
    limited
}

/// Runs `relayctl record` on a file.
pub(crate) fn record(raw: &Path, out: &Path) -> Left {
    relayctl(&[
        "record".as_ref(),
        "--from".as_ref(),
        raw.as_os_str(),
        "--out".as_ref(),
        out.as_os_str(),
    ])
}
