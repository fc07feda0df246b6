//! What relay knows about every record.

/// What relay knows about a record, whatever its fields are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// How grave it is; a greater severity is a graver one.
    Severity,
    /// Which part of the system it is about: as its class says, or its field `facility`.
    Facility,
    /// The number of its class among those of its facility, of an event for operators; else its
    /// field `type`.
    Type,
    /// The process that wrote it, if it says so; else its field `process`.
    Process,
    /// The thread, likewise.
    Thread,
    /// Its channel.
    Channel,
    /// The name of its class.
    Event,
    /// The CPU that wrote it.
    Cpu,
    /// When, after the machine's start.
    Time,
    /// Where the writer ran.
    Context,
    /// Its number in the stream.
    Number,
    /// The number of its packet.
    Packet,
    /// The Rust module.
    Module,
    /// The source file's name, without folders.
    File,
    /// The line in it.
    Line,
    /// The log's message, the sentence of others.
    Msg,
}

impl Attribute {
    /// All of them by their names.
    pub const ALL: [(&'static str, Self); 16] = [
        ("severity", Self::Severity),
        ("facility", Self::Facility),
        ("type", Self::Type),
        ("process", Self::Process),
        ("thread", Self::Thread),
        ("channel", Self::Channel),
        ("event", Self::Event),
        ("cpu", Self::Cpu),
        ("time", Self::Time),
        ("context", Self::Context),
        ("number", Self::Number),
        ("packet", Self::Packet),
        ("module", Self::Module),
        ("file", Self::File),
        ("line", Self::Line),
        ("msg", Self::Msg),
    ];

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|(known, _)| *known == name).map(|(_, it)| it)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(_, it)| *it == self).map_or("", |(name, _)| name)
    }
}
