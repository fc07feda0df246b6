//! Where a class of events is declared, and its switch.

use crate::sync::Switch;
use relay_format::Severity;

/// What is known of a class of events when it is compiled, beside its fields; and the switch that
/// turns its records on and off while the machine runs. The macros of relay make one for each
/// event and each statement, as a `static`.
#[derive(Debug)]
pub struct Site {
    channel: &'static str,
    name: &'static str,
    severity: Severity,
    facility: Option<&'static str>,
    codes: Option<Codes>,
    text: Option<&'static str>,
    doc: &'static str,
    place: Source,
    is_statement: bool,
    is_on_at_first: bool,
    switch: Switch,
}

/// A place in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The path of the module: `kernel::mem`.
    pub module: &'static str,
    /// The file, as the compiler was given it.
    pub file: &'static str,
    /// The line in it, from 1.
    pub line: u32,
}

/// Numbers of an event for operators, which agree across machines: see
/// [`evlog`](crate::clients::evlog).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codes {
    /// That of its facility: syslog's, or a checksum of the name.
    pub facility: u32,
    /// That of its type, which no other event of the facility has.
    pub kind: u32,
}

/// The channel of statements.
pub(crate) const STATEMENTS: &str = "klog";

/// The least important statements that are on at first.
const ON_AT_FIRST: Severity = Severity::Info;

impl Site {
    /// That of an event with a name, in a channel.
    #[doc(hidden)]
    #[must_use]
    pub const fn event(channel: &'static str, name: &'static str, place: Source) -> Self {
        Self {
            channel,
            name,
            severity: Severity::Info,
            facility: None,
            codes: None,
            text: None,
            doc: "",
            place,
            is_statement: false,
            is_on_at_first: true,
            switch: Switch::new(true),
        }
    }

    /// That of a statement, whose name is its text with named placeholders.
    #[doc(hidden)]
    #[must_use]
    pub const fn statement(severity: Severity, template: &'static str, place: Source) -> Self {
        Self {
            is_statement: true,
            ..Self::event(STATEMENTS, template, place)
                .with_severity(severity)
                .with_enabled(severity as u8 <= ON_AT_FIRST as u8)
        }
    }

    /// The same with a severity.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_severity(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// The same with a facility: the part of the system that it is about.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_facility(self, facility: &'static str) -> Self {
        Self {
            facility: Some(facility),
            ..self
        }
    }

    /// The same with the codes of its facility and its type: the event is one for operators.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_codes(self, facility: u32, kind: u32) -> Self {
        Self {
            codes: Some(Codes { facility, kind }),
            ..self
        }
    }

    /// The same with a sentence of its own: a text with its fields as placeholders.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_text(self, text: &'static str) -> Self {
        Self {
            text: Some(text),
            ..self
        }
    }

    /// The same with what is said about it.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_doc(self, doc: &'static str) -> Self {
        Self { doc, ..self }
    }

    /// The same, on or off at first.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_enabled(self, is_on: bool) -> Self {
        Self {
            is_on_at_first: is_on,
            switch: Switch::new(is_on),
            ..self
        }
    }

    /// The name of its channel, as in [`StreamClass::name`](super::StreamClass::name).
    #[must_use]
    pub const fn channel(&self) -> &'static str {
        self.channel
    }

    /// Its name; of a statement, the text with named placeholders.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How important its records are.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.severity
    }

    /// The part of the system that it is about, if it says so.
    #[must_use]
    pub const fn facility(&self) -> Option<&'static str> {
        self.facility
    }

    /// The codes of its facility and its type, if it is an event for operators.
    #[must_use]
    pub const fn codes(&self) -> Option<Codes> {
        self.codes
    }

    /// Its own sentence, with its fields as placeholders, if it has one.
    #[must_use]
    pub const fn text(&self) -> Option<&'static str> {
        self.text
    }

    /// The first line of what is said about it in the source; it may be empty.
    #[must_use]
    pub const fn doc(&self) -> &'static str {
        self.doc
    }

    /// Where it is.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.place
    }

    /// Whether it is a statement, not an event.
    #[must_use]
    pub const fn is_statement(&self) -> bool {
        self.is_statement
    }

    /// Whether its records are written. A load; any context.
    #[inline(always)]
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.switch.is_on()
    }

    /// Turns its records on or off, from now on, for all CPUs. Any context.
    pub fn set_enabled(&self, is_on: bool) {
        self.switch.set(is_on);
    }

    /// Turns its records on or off as they were at first. Any context.
    pub fn reset(&self) {
        self.switch.set(self.is_on_at_first);
    }
}
