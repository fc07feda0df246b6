//! Reads a trace with nothing of relayctl: the bytes as `docs/FORMAT.md` has them, and the classes as
//! babeltrace2 understands them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Bytes of a packet's header.
const HEADER: usize = 168;

/// A packet, by its header.
pub(super) struct Packet {
    /// Where it lies in its file, in bytes.
    pub(super) offset: u64,
    pub(super) magic: u64,
    pub(super) uuid: Vec<u8>,
    pub(super) stream_id: u64,
    pub(super) instance: u64,
    pub(super) begin: u64,
    pub(super) end: u64,
    /// In bits, and the next one.
    pub(super) content: u64,
    pub(super) size: u64,
    pub(super) number: u64,
    pub(super) discarded: u64,
    pub(super) cpu: u64,
    /// Times of its records as babeltrace2 tells them.
    pub(super) times: Vec<u64>,
}

impl Packet {
    /// Whether it has no events, as Trace Compass sees it.
    pub(super) fn is_empty(&self) -> bool {
        self.content <= HEADER as u64 * 8
    }
}

/// A stream: a file that is not hidden, and not the metadata.
pub(super) struct Stream {
    pub(super) file: String,
    pub(super) packets: Vec<Packet>,
    /// Bytes behind the last whole packet.
    pub(super) rest: usize,
    /// Its index, if there is one: what it begins with, and its entries.
    pub(super) index: Option<(Vec<u32>, Vec<Vec<u64>>)>,
}

/// An event class.
pub(super) struct Class {
    pub(super) name: String,
    pub(super) stream: u64,
    pub(super) id: u64,
    /// Names and types.
    pub(super) fields: Vec<(String, String)>,
}

/// A trace.
pub(super) struct Trace {
    pub(super) metadata: String,
    pub(super) env: BTreeMap<String, String>,
    pub(super) classes: Vec<Class>,
    pub(super) streams: Vec<Stream>,
    /// Folders in it, and hidden files.
    pub(super) others: Vec<String>,
    /// What babeltrace2 complains of.
    pub(super) complaints: Vec<String>,
}

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let bytes = bytes[at..at + length].iter().rev();
    bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The packets of a file, and how many bytes are behind them.
fn packets(bytes: &[u8]) -> (Vec<Packet>, usize) {
    let mut packets = Vec::new();
    let mut at = 0;
    while bytes.len() - at >= HEADER {
        let head = &bytes[at..];
        let u64_at = |at| number(head, at, 8);
        let size = usize::try_from(u64_at(56) / 8).unwrap_or(usize::MAX);
        if size < HEADER || size > head.len() {
            break;
        }
        packets.push(Packet {
            offset: at as u64,
            magic: number(head, 0, 4),
            uuid: head[4..20].to_vec(),
            stream_id: number(head, 20, 4),
            instance: u64_at(24),
            begin: u64_at(32),
            end: u64_at(40),
            content: u64_at(48),
            size: u64_at(56),
            number: u64_at(64),
            discarded: u64_at(72),
            cpu: number(head, 80, 4),
            times: Vec::new(),
        });
        at += size;
    }
    (packets, bytes.len() - at)
}

/// An index file: words of four bytes, then entries of eight-byte words, all big-endian.
fn index(path: &Path) -> Option<(Vec<u32>, Vec<Vec<u64>>)> {
    let bytes = fs::read(path).ok()?;
    let (head, rest) = bytes.split_at(bytes.len().min(16));
    let word = |word: &[u8]| word.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    let head: Vec<_> = head.chunks(4).map(|bytes| word(bytes) as u32).collect();
    let length = head.get(3).map_or(72, |length| *length as usize).max(8);
    let entries = rest.chunks(length);
    let entries = entries.map(|entry| entry.chunks(8).map(word).collect());
    Some((head, entries.collect()))
}

fn babeltrace(trace: &Path, params: &str) -> (String, String) {
    let output = Command::new("babeltrace2")
        .args(["-c", "sink.text.details", "-p", params])
        .arg(trace)
        .output()
        .expect("babeltrace2 starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// What stands in a line behind so many spaces, if there are no more.
fn at_indent(line: &str, indent: usize) -> Option<&str> {
    let text = line.trim_start();
    (line.len() - text.len() == indent).then_some(text)
}

/// The event classes in the text of babeltrace2's details.
fn details(text: &str) -> Vec<Class> {
    let mut classes = Vec::<Class>::new();
    let (mut stream, mut part) = (0, "");
    let id = |text: &str| {
        let id = text
            .rsplit_once("(ID ")
            .and_then(|(_, id)| id.strip_suffix("):"));
        id.and_then(|id| id.replace(',', "").parse().ok())
            .unwrap_or(u64::MAX)
    };
    for line in text.lines() {
        if let Some(text) = at_indent(line, 2).filter(|text| text.starts_with("Stream class")) {
            (stream, part) = (id(text), "");
        } else if let Some(text) = at_indent(line, 4) {
            part = match text {
                _ if text.starts_with("Event class `") => "event",
                _ => "",
            };
            if part == "event" {
                let name = text.split_once('`').map_or("", |(_, rest)| rest);
                let name = name.rsplit_once("` (ID ").map_or(name, |(name, _)| name);
                classes.push(Class {
                    name: name.to_owned(),
                    stream,
                    id: id(text),
                    fields: Vec::new(),
                });
            }
        } else if let (Some(text), "event" | "payload") = (at_indent(line, 6), part) {
            part = match text.starts_with("Payload field class") {
                true => "payload",
                false => "event",
            };
        } else if let (Some(text), "payload", Some(class)) =
            (at_indent(line, 8), part, classes.last_mut())
            && let Some((name, kind)) = text.split_once(": ")
        {
            class.fields.push((name.to_owned(), kind.to_owned()));
        }
    }
    classes
}

impl Trace {
    pub(super) fn read(folder: &Path) -> Self {
        let mut streams = Vec::new();
        let mut others = Vec::new();
        for entry in fs::read_dir(folder).expect("it is there") {
            let path = entry.expect("it is readable").path();
            let file = path.file_name().expect("it has one").to_string_lossy();
            let file = file.into_owned();
            if path.is_dir() || file.starts_with('.') {
                others.push(file);
            } else if file != "metadata" {
                let (packets, rest) = packets(&fs::read(&path).expect("it is readable"));
                streams.push(Stream {
                    index: index(&folder.join("index").join(format!("{file}.idx"))),
                    file,
                    packets,
                    rest,
                });
            }
        }
        streams.sort_by(|one, other| one.file.cmp(&other.file));
        let metadata = fs::read_to_string(folder.join("metadata")).expect("it is text");
        let (classes_text, said) = babeltrace(folder, "with-data=no");
        let classes = details(&classes_text);
        let (events, said_again) = babeltrace(folder, "with-metadata=no,compact=yes");
        let complaints = said.lines().chain(said_again.lines());
        let complaints = complaints.filter(|line| !line.contains("discarded"));
        let mut trace = Self {
            metadata,
            env: BTreeMap::new(),
            classes,
            others,
            complaints: complaints.map(str::to_owned).collect(),
            streams,
        };
        let env = trace.blocks("env").concat();
        let entries = env.split(";\n").filter_map(|entry| entry.split_once(" = "));
        trace.env = entries
            .map(|(name, value)| (name.trim().to_owned(), value.trim_matches('"').to_owned()))
            .collect();
        trace.note_times(&events);
        trace
    }

    /// Notes the times of events: `[47,054,618 18,124,784] {0 1 0} Event ...`, by class and place
    /// of the stream.
    fn note_times(&mut self, events: &str) {
        // Places are those of the files of a class, by their instances.
        let mut places: BTreeMap<(u64, u64), usize> = BTreeMap::new();
        let mut packets: BTreeMap<(u64, u64), usize> = BTreeMap::new();
        for line in events.lines() {
            let Some((time, rest)) = line
                .strip_prefix('[')
                .and_then(|line| line.split_once("] {0 "))
            else {
                continue;
            };
            let Some((place, what)) = rest.split_once("} ") else {
                continue;
            };
            let mut words = place
                .split(' ')
                .map(|word| word.replace(',', "").parse::<u64>());
            let (Some(Ok(class)), Some(Ok(instance))) = (words.next(), words.next()) else {
                continue;
            };
            let key = (class, instance);
            let found = self.streams.iter().position(|stream| {
                let first = stream.packets.first();
                first.is_some_and(|first| (first.stream_id, first.instance) == key)
            });
            let Some(stream) = found else { continue };
            places.insert(key, stream);
            if what == "Packet beginning" {
                *packets.entry(key).or_default() += 1;
            } else if what.starts_with("Event ")
                && let Some(packet) = packets.get(&key)
                && let Some(packet) = self.streams[stream].packets.get_mut(packet - 1)
            {
                let time = time.split(' ').next().unwrap_or_default();
                packet.times.extend(time.replace(',', "").parse::<u64>());
            }
        }
    }

    /// The blocks of the metadata that begin with a word, with what is in their braces.
    pub(super) fn blocks(&self, word: &str) -> Vec<&str> {
        let mut found = Vec::new();
        let mut rest = self.metadata.as_str();
        let begin = format!("\n{word} {{");
        while let Some(at) = rest.find(&begin) {
            let inside = &rest[at + begin.len()..];
            let end = closing(inside);
            found.push(&inside[..end]);
            rest = &inside[end..];
        }
        found
    }

    /// The names and types of the fields of a structure: `word {` is in front of them.
    pub(super) fn fields(&self, word: &str) -> Vec<(String, String)> {
        let begin = format!("{word} {{");
        let Some(at) = self.metadata.find(&begin) else {
            return Vec::new();
        };
        let inside = &self.metadata[at + begin.len()..];
        let inside = &inside[..closing(inside)];
        let (mut depth, mut from, mut fields) = (0, 0, Vec::new());
        for (at, c) in inside.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ';' if depth == 0 => {
                    let declared = inside[from..at].trim();
                    if let Some((kind, name)) = declared.rsplit_once(' ') {
                        fields.push((name.to_owned(), kind.to_owned()));
                    }
                    from = at + 1;
                }
                _ => {}
            }
        }
        fields
    }
}

/// Where the brace closes that was open before a text.
fn closing(text: &str) -> usize {
    let mut depth = 1;
    let end = text.char_indices().find(|(_, c)| {
        depth += i32::from(*c == '{') - i32::from(*c == '}');
        depth == 0
    });
    end.map_or(text.len(), |(at, _)| at)
}
