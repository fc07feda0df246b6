//! What the command line may say, as JSON, made when the kernel is compiled: for whoever has its
//! ELF file. `docs/KERNEL.md` has its shape.

use super::carried;
use super::choice::{Choice, LEVELS};
use super::settings::{About, GENERAL, Preset, Range, Setting, Takes};

/// Text that is made when the kernel is compiled.
#[derive(Debug)]
pub(crate) struct Text<const ROOM: usize> {
    bytes: [u8; ROOM],
    length: usize,
}

impl<const ROOM: usize> Text<ROOM> {
    /// How long it is, in bytes.
    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    /// The text, at its length.
    pub(crate) const fn to_array<const LENGTH: usize>(&self) -> [u8; LENGTH] {
        assert!(LENGTH == self.length, "this is not how long the text is");
        let mut array = [0; LENGTH];
        let mut at = 0;
        while at < LENGTH {
            array[at] = self.bytes[at];
            at += 1;
        }
        array
    }

    const fn byte(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    /// Appends text as it is.
    const fn raw(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            self.byte(bytes[at]);
            at += 1;
        }
    }

    /// Appends a member of an object whose value is a string, and a comma.
    const fn member(&mut self, key: &str, value: &str) {
        self.raw("\"");
        self.raw(key);
        self.raw("\":\"");
        let bytes = value.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            assert!(
                bytes[at] >= b' ' && bytes[at] != b'"' && bytes[at] != b'\\',
                "this text would need escapes in JSON"
            );
            self.byte(bytes[at]);
            at += 1;
        }
        self.raw("\",");
    }

    const fn number(&mut self, number: u64) {
        if number >= 10 {
            self.number(number / 10);
        }
        self.byte(b'0' + (number % 10) as u8);
    }

    /// Takes the comma behind the last member away, and ends the list or object with `end`.
    const fn end(&mut self, end: &str) {
        if self.bytes[self.length - 1] == b',' {
            self.length -= 1;
        }
        self.raw(end);
    }

    const fn range(&mut self, kind: &str, range: &Range) {
        self.raw("\"");
        self.raw(kind);
        self.raw("\":{\"least\":");
        self.number(range.least);
        self.raw(",\"most\":");
        self.number(range.most);
        self.raw(",");
        self.member("unit", range.unit);
        self.end("},");
    }

    const fn choices(&mut self, key: &str, choices: &[Choice]) {
        self.raw("\"");
        self.raw(key);
        self.raw("\":[");
        let mut at = 0;
        while at < choices.len() {
            self.raw("{");
            self.member("word", choices[at].word);
            self.member("about", choices[at].about);
            self.end("},");
            at += 1;
        }
        self.end("],");
    }

    /// The words that hold without a setting, as they would be written.
    const fn default_set(&mut self, choices: &[Choice], set: u64) {
        self.raw("\"default\":\"");
        let mut at = 0;
        while at < choices.len() {
            if set & (1 << at) != 0 {
                self.raw(choices[at].word);
                self.raw(",");
            }
            at += 1;
        }
        self.end("\",");
    }

    const fn carried(&mut self) {
        self.raw("\"channels\":{\"some_of\":[");
        let mut at = 0;
        while at < carried::KNOWN.len() {
            let known = &carried::KNOWN[at];
            self.raw("{");
            self.member("word", known.name);
            self.member("about", known.about);
            self.raw("\"has_levels\":");
            self.raw(if known.has_levels { "true" } else { "false" });
            self.raw("},");
            at += 1;
        }
        self.end("],");
        self.choices("alone", &carried::ALONE);
        self.choices("levels", &LEVELS);
        self.end("},");
    }

    const fn settings(&mut self, settings: &[Setting]) {
        self.raw("\"settings\":[");
        let mut at = 0;
        while at < settings.len() {
            let setting = &settings[at];
            self.raw("{");
            self.member("key", setting.key);
            self.member("about", setting.about);
            match (&setting.takes, &setting.default) {
                (Takes::OneOf(choices), Preset::Value(place)) => {
                    self.member("default", choices[*place as usize].word);
                }
                (Takes::SomeOf(choices), Preset::Value(set)) => self.default_set(choices, *set),
                (_, Preset::Value(number)) => {
                    self.raw("\"default\":\"");
                    self.number(*number);
                    self.raw("\",");
                }
                (_, Preset::Else(words)) => self.member("otherwise", words),
            }
            match &setting.takes {
                Takes::Number(range) => self.range("number", range),
                Takes::PowerOfTwo(range) => self.range("power_of_two", range),
                Takes::Cpu(range) => self.range("cpu", range),
                Takes::OneOf(choices) => self.choices("one_of", choices),
                Takes::SomeOf(choices) => self.choices("some_of", choices),
                Takes::Carried => self.carried(),
                Takes::Text(form) => {
                    self.raw("\"text\":{");
                    self.member("form", form);
                    self.end("},");
                }
            }
            self.end("},");
            at += 1;
        }
        self.end("],");
    }
}

/// Everything that the command line may say, as JSON.
pub(crate) const fn describe<const ROOM: usize>(scenarios: &[About]) -> Text<ROOM> {
    let mut text = Text {
        bytes: [0; ROOM],
        length: 0,
    };
    text.raw("{\"version\":1,");
    text.settings(&GENERAL);
    text.raw("\"scenarios\":[");
    let mut at = 0;
    while at < scenarios.len() {
        text.raw("{");
        text.member("name", scenarios[at].name);
        text.member("about", scenarios[at].about);
        text.settings(scenarios[at].settings);
        text.end("},");
        at += 1;
    }
    text.end("]");
    text.end("}");
    text
}
