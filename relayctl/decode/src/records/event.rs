//! One kind of record: what the metadata says about it beside its fields.

use relay_format::Severity;

use super::origin::{self, Origin};
use crate::escape::printable;
use crate::tsdl::{EventClass, Struct, Type, Unreadable};

/// The channel of the log.
const KLOG: &str = "klog";

/// The longest sentence that is rendered, in bytes: looking for placeholders takes time.
const MAX_TEMPLATE: usize = 1 << 14;

/// Where the fields of a record of the log are that was formatted when it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LogFields {
    /// The text.
    pub(super) message: usize,
    /// The Rust module.
    pub(super) module: Option<usize>,
    /// The source file's name.
    pub(super) file: Option<usize>,
    /// The line in it.
    pub(super) line: Option<usize>,
}

/// One kind of record.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its number.
    pub id: u16,
    /// Its name; of a statement, its template.
    pub name: String,
    /// What its records have before their fields: who wrote them, mostly nothing.
    pub context: Struct,
    /// Its fields; none if they are [not readable](Self::unreadable).
    pub fields: Struct,
    /// How grave its records are, if the class says so.
    pub severity: Option<Severity>,
    /// Where it is in the sources, if the class says so.
    pub origin: Option<Origin>,
    /// Which part of the system it is about, such as `sched`.
    pub facility: Option<String>,
    /// The code of that, the same on all machines, if the class says so.
    pub facility_code: Option<u32>,
    /// Its type in that facility, if the class says so.
    pub kind: Option<u32>,
    /// The sentence that its fields make, with their names in braces.
    pub text: Option<String>,
    /// Whether it is one statement of the log: its name is the sentence.
    pub is_statement: bool,
    /// Why its fields cannot be read.
    pub unreadable: Option<Unreadable>,
    /// The field that says how grave a record is: an enumeration.
    pub(super) severity_field: Option<usize>,
    /// The places of the process and of the thread in the context: integers.
    pub(super) who: [Option<usize>; 2],
    /// The fields of a record of the log.
    pub(super) log: Option<LogFields>,
    /// The places of the fields by their names, in alphabetical order.
    by_name: Vec<usize>,
}

impl Event {
    /// Makes it of what the metadata says about a kind of record of a channel.
    pub(super) fn new(channel: &str, id: u16, class: EventClass) -> Self {
        let description = class.uri.as_deref().and_then(origin::parse);
        let description = description.unwrap_or_default();
        let fields = class.fields;
        let mut by_name: Vec<usize> = (0..fields.fields.len()).collect();
        by_name.sort_by_key(|at| fields.fields[*at].name.as_str());
        let is_short = |text: &String| text.len() <= MAX_TEMPLATE;
        let mut event = Self {
            id,
            who: ["pid", "tid"].map(|name| number_in(&class.context, name)),
            context: class.context,
            fields,
            severity: class
                .loglevel
                .and_then(|level| Severity::from_number(u8::try_from(level).ok()?)),
            origin: description.origin,
            facility: description.facility,
            facility_code: description.facility_code,
            kind: description.kind,
            text: description.text.filter(is_short),
            is_statement: description.is_statement && is_short(&class.name),
            name: class.name,
            unreadable: class.unreadable,
            severity_field: None,
            log: None,
            by_name,
        };
        event.severity_field = event.field_of("severity", |kind| matches!(kind, Type::Enum(_)));
        if channel == KLOG && !event.is_statement {
            let is_text = |kind: &Type| match kind {
                Type::String => true,
                Type::Array(of, _) => of.is_byte() && of.as_int().is_some_and(|int| int.text),
                _ => false,
            };
            event.log = event.field_of("message", is_text).map(|message| LogFields {
                message,
                module: event.field_of("module", is_text),
                file: event.field_of("file", is_text),
                line: event.field_of("line", |kind| kind.as_int().is_some_and(|int| !int.signed)),
            });
        }
        event
    }

    /// The place of a field.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<usize> {
        let name_of = |at: &usize| self.fields.fields[*at].name.as_str();
        let at = self.by_name.binary_search_by_key(&name, name_of).ok()?;
        self.by_name.get(at).copied()
    }

    /// The place of a field of the right type.
    fn field_of(&self, name: &str, is_right: impl Fn(&Type) -> bool) -> Option<usize> {
        let at = self.field(name)?;
        is_right(&self.fields.fields[at].kind).then_some(at)
    }

    /// The sentence that its fields make: a statement's name, the text of other events.
    #[must_use]
    pub fn template(&self) -> Option<&str> {
        match self.is_statement {
            true => Some(&self.name),
            false => self.text.as_deref(),
        }
    }

    /// Whether its records are lines of the log: statements, and those that were formatted when
    /// they were written.
    #[must_use]
    pub fn is_log(&self) -> bool {
        self.is_statement || self.log.is_some()
    }

    /// Whether its records may have a severity.
    #[must_use]
    pub fn has_severity(&self) -> bool {
        self.severity.is_some() || self.severity_field.is_some()
    }

    /// Whether a record itself may say how grave it is.
    pub(crate) fn has_own_severity(&self) -> bool {
        self.severity_field.is_some()
    }

    /// Whether each record says which process wrote it.
    pub(crate) fn has_process(&self) -> bool {
        self.who[0].is_some()
    }

    /// Whether each record says which thread wrote it.
    pub(crate) fn has_thread(&self) -> bool {
        self.who[1].is_some()
    }

    /// Whether a record itself says where it comes from: it was formatted when it was written.
    pub(crate) fn has_own_origin(&self) -> bool {
        self.log.is_some()
    }

    /// How it is named in a message about it, safe to show.
    pub(super) fn title(&self) -> String {
        let (id, name): (_, String) = (self.id, self.name.chars().take(80).collect());
        match name.is_empty() {
            true => format!("event {id}"),
            false => format!("event {id}, '{}'", printable(name.as_bytes())),
        }
    }
}

/// The place of an integer in a structure.
fn number_in(of: &Struct, name: &str) -> Option<usize> {
    let mut fields = of.fields.iter();
    fields.position(|field| field.name == name && field.kind.as_int().is_some())
}
