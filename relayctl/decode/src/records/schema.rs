//! What the metadata says about streams and records.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use relay_format::VERSION;
use relay_format::packet::{FIELDS, HeaderField, TRACE_FIELDS};
use relay_format::stamp::{CONTEXT_BITS, ID_BITS, TIME_BITS};

use super::event::Event;
use crate::tsdl::{self, Clock, EnvValue, Int, Len, Metadata, Struct, Type};

/// The most streams, channels times CPUs.
pub(super) const MAX_STREAMS: u64 = 1 << 14;

/// What every record begins with: names with sizes in bits, side by side.
const EVENT_HEADER: [(&str, u32); 2] = [("timestamp", TIME_BITS), ("id", ID_BITS)];

/// The rest of it.
const EVENT_CONTEXT: [(&str, u32); 1] = [("context", CONTEXT_BITS)];

/// Why a metadata text cannot be worked with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaError {
    /// It is not UTF-8.
    Utf8 {
        /// Bytes before the first wrong one.
        valid: usize,
    },
    /// It is not the language, or not the part of it that is read.
    Tsdl(tsdl::TsdlError),
    /// It is another version of the format.
    Version(Option<EnvValue>),
    /// Something is not as the format has it.
    Layout(String),
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Utf8 { valid } => write!(f, "metadata: not UTF-8 behind byte {valid}"),
            Self::Tsdl(error) => error.fmt(f),
            Self::Version(None) => write!(
                f,
                "metadata: no relay_format in env; version {VERSION} is read here"
            ),
            Self::Version(Some(version)) => write!(
                f,
                "metadata: relay_format is {version:?}; version {VERSION} is read here"
            ),
            Self::Layout(what) => write!(f, "metadata: {what}"),
        }
    }
}

impl std::error::Error for SchemaError {}

/// One channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its number.
    pub number: u32,
    /// Its name, such as `sched/3`.
    pub name: String,
    /// The names of its streams' files, without the CPU: `sched_3`.
    pub file: String,
    /// Whether it has one stream, which all CPUs write, instead of one for each.
    pub is_global: bool,
    /// Whether its rings overwrite what nobody has read.
    pub overwrites: bool,
    /// Whether programs take its packets in the machine, so that none is in the capture.
    pub is_taken: bool,
    /// Its kinds of records, ascending by number.
    events: Vec<Event>,
}

impl Channel {
    /// The kind of record with a number.
    #[must_use]
    pub fn event(&self, id: u16) -> Option<&Event> {
        self.event_at(self.place(id)?)
    }

    /// The place of the kind of record with a number, among all.
    pub(crate) fn place(&self, id: u16) -> Option<usize> {
        let events = &self.events;
        events.binary_search_by_key(&id, |event| event.id).ok()
    }

    /// The kind of record with a place.
    pub(crate) fn event_at(&self, place: usize) -> Option<&Event> {
        self.events.get(place)
    }

    /// All kinds of records.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }

    /// The name of the file of a CPU's stream.
    #[must_use]
    pub fn file_of(&self, cpu: u32) -> String {
        format!("{}_{cpu}", self.file)
    }
}

/// What the metadata says, as far as it matters here.
#[derive(Clone, Debug)]
pub struct Schema {
    /// The boot's number.
    pub uuid: [u8; 16],
    /// The clock.
    pub clock: Clock,
    /// CPUs that have streams: 0 to this, exclusive.
    pub cpus: u32,
    /// The channels, ascending by number.
    pub channels: Vec<Channel>,
}

impl Schema {
    /// Reads a metadata text.
    ///
    /// # Errors
    ///
    /// When it is not a metadata text of this version of the format.
    pub fn read(text: &[u8]) -> Result<Self, SchemaError> {
        let text = str::from_utf8(text).map_err(|error| SchemaError::Utf8 {
            valid: error.valid_up_to(),
        })?;
        Self::new(tsdl::parse(text).map_err(SchemaError::Tsdl)?)
    }

    /// Checks a metadata text's description against the format.
    ///
    /// # Errors
    ///
    /// When it does not agree with the format.
    pub fn new(metadata: Metadata) -> Result<Self, SchemaError> {
        let layout = |what: String| SchemaError::Layout(what);
        match metadata.env.get("relay_format") {
            Some(EnvValue::Number(number)) if *number == i128::from(VERSION) => {}
            other => return Err(SchemaError::Version(other.cloned())),
        }
        let uuid = metadata
            .uuid
            .ok_or_else(|| layout("the trace has no uuid".to_owned()))?;
        let clock = metadata
            .clock
            .ok_or_else(|| layout("there is no clock".to_owned()))?;
        let cpus = match metadata.env.get("cpus") {
            Some(EnvValue::Number(cpus @ 1..=65536)) => u32::try_from(*cpus).unwrap_or(0),
            other => {
                return Err(layout(format!(
                    "env.cpus should be a number from 1 to 65536, not {other:?}"
                )));
            }
        };
        fixed(
            "trace.packet.header",
            metadata.packet_header.as_ref(),
            &FIELDS[..TRACE_FIELDS].iter().map(named).collect::<Vec<_>>(),
        )
        .map_err(layout)?;
        let mut names = channel_names(&metadata.env).map_err(layout)?;
        let marked = |key, word| marked_channels(&metadata.env, key, word).map_err(layout);
        let mut global = marked("usage", "global")?;
        let mut overwriting = marked("mode", "overwrite")?;
        let mut taken = marked("taken", "programs")?;
        let mut channels = Vec::new();
        for (number, class) in metadata.streams {
            let name = u32::try_from(number)
                .ok()
                .filter(|number| *number > 0)
                .and_then(|number| Some((number, names.remove(&number)?)));
            let (number, name) = name.ok_or_else(|| {
                layout(format!(
                    "stream {number} has no name: env.channel_{number} is missing"
                ))
            })?;
            let of = |part: &str| format!("stream {number}: {part}");
            let context = class.packet_context.as_ref();
            fixed(
                &of("packet.context"),
                context,
                &FIELDS[TRACE_FIELDS..].iter().map(named).collect::<Vec<_>>(),
            )
            .map_err(layout)?;
            let header = class.event_header.as_ref();
            fixed(&of("event.header"), header, &EVENT_HEADER).map_err(layout)?;
            let context = class.event_context.as_ref();
            fixed(&of("event.context"), context, &EVENT_CONTEXT).map_err(layout)?;
            let mut events = Vec::new();
            for (id, event) in class.events {
                let id = u16::try_from(id).map_err(|_| {
                    layout(format!("stream {number}: event {id} does not fit 16 bits"))
                })?;
                events.push(Event::new(&name, id, event));
            }
            channels.push(Channel {
                number,
                file: name.replace('/', "_"),
                name,
                is_global: global.remove(&number),
                overwrites: overwriting.remove(&number),
                is_taken: taken.remove(&number),
                events,
            });
        }
        let left = [
            ("usage", &global),
            ("mode", &overwriting),
            ("taken", &taken),
        ];
        for (key, left) in left {
            if let Some(number) = left.first() {
                return Err(layout(format!(
                    "env.{key}_{number}: there is no such channel"
                )));
            }
        }
        if let Some((number, name)) = names.first_key_value() {
            return Err(layout(format!(
                "channel {number}, {name}, has no stream {number}"
            )));
        }
        if channels.len() as u64 * u64::from(cpus) > MAX_STREAMS {
            return Err(layout(format!(
                "{} channels on {cpus} CPUs are more than {MAX_STREAMS} streams",
                channels.len()
            )));
        }
        Ok(Self {
            uuid,
            clock,
            cpus,
            channels,
        })
    }

    /// The channel with a number.
    #[must_use]
    pub fn channel(&self, number: u32) -> Option<&Channel> {
        let channels = &self.channels;
        let at = channels.binary_search_by_key(&number, |channel| channel.number);
        channels.get(at.ok()?)
    }

    /// How many streams a channel has: those of CPUs 0 to this, exclusive.
    #[must_use]
    pub fn streams_of(&self, channel: &Channel) -> u32 {
        match channel.is_global {
            true => 1,
            false => self.cpus,
        }
    }

    /// The stream that a CPU writes in the channel with a number: its own, or that of all.
    #[must_use]
    pub fn stream_of(&self, channel: u32, cpu: u32) -> u32 {
        match self.channel(channel) {
            Some(channel) if channel.is_global => 0,
            _ => cpu,
        }
    }

    /// Nanoseconds since the clock's zero, which is the machine's start, rounded down.
    #[must_use]
    pub fn nanoseconds(&self, ticks: u64) -> u64 {
        let ns = u128::from(ticks) * 1_000_000_000 / u128::from(self.clock.frequency);
        u64::try_from(ns).unwrap_or(u64::MAX)
    }

    /// The first tick that is not before so many nanoseconds: the other way round.
    pub(crate) fn first_tick(&self, ns: u64) -> u128 {
        (u128::from(ns) * u128::from(self.clock.frequency)).div_ceil(1_000_000_000)
    }
}

/// Reads the names of channels out of `env`.
fn channel_names(env: &BTreeMap<String, EnvValue>) -> Result<BTreeMap<u32, String>, String> {
    let mut names = BTreeMap::new();
    let mut files = BTreeMap::new();
    for (key, value) in env {
        let Some(number) = key.strip_prefix("channel_") else {
            continue;
        };
        let number: u32 = number
            .parse()
            .map_err(|_| format!("env.{key}: 'channel_' and a number would be right"))?;
        let EnvValue::Text(name) = value else {
            return Err(format!("env.{key} should be a text"));
        };
        let good = |part: &str| {
            let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            !part.is_empty() && part.len() <= 64 && part.chars().all(known)
        };
        if name.len() > 128 || !name.split('/').all(good) {
            return Err(format!(
                "env.{key}: a channel's name is made of a-z, 0-9 and -, with / between parts"
            ));
        }
        if let Some(other) = files.insert(name.replace('/', "_"), number) {
            return Err(format!("channels {other} and {number} have the same name"));
        }
        names.insert(number, name.clone());
    }
    Ok(names)
}

/// Reads the numbers of the channels for which `env` has the key, with this word as its value.
fn marked_channels(
    env: &BTreeMap<String, EnvValue>,
    key: &str,
    word: &str,
) -> Result<BTreeSet<u32>, String> {
    let marks = env.iter().filter_map(|(name, value)| {
        let number = name.strip_prefix(key)?.strip_prefix('_')?;
        Some((name, number, value))
    });
    let read = marks.map(|(name, number, value)| match (number.parse(), value) {
        (Ok(number), EnvValue::Text(text)) if text == word => Ok(number),
        _ => Err(format!(
            "env.{name}: the number of a channel, and \"{word}\", would be right"
        )),
    });
    read.collect()
}

/// A field of the packet header, with its size in bits.
fn named(field: &HeaderField) -> (&'static str, u32) {
    (field.name, field.kind.size() as u32 * 8)
}

/// Compares a structure with what the format fixes: names, with sizes in bits.
fn fixed(what: &str, is: Option<&Struct>, wanted: &[(&str, u32)]) -> Result<(), String> {
    let is = is.ok_or_else(|| format!("{what} is missing"))?;
    for (at, (name, bits)) in wanted.iter().enumerate() {
        let field = is.fields.get(at);
        let good = field.is_some_and(|field| {
            field.name == *name
                && match &field.kind {
                    Type::Array(of, Len::Fixed(length)) => {
                        of.is_byte() && length.checked_mul(8) == Some(u64::from(*bits))
                    }
                    kind => {
                        let int = kind.as_int();
                        int.is_some_and(|int: Int| u32::from(int.bits) == *bits && !int.signed)
                    }
                }
        });
        if !good {
            return Err(format!(
                "{what}: field {at} should be {name} with {bits} bits, without sign"
            ));
        }
    }
    match is.fields.len() > wanted.len() {
        true => Err(format!(
            "{what}: it should end behind {} fields",
            wanted.len()
        )),
        false => Ok(()),
    }
}
