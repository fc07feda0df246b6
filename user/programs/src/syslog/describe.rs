//! A class of records, from its line in the metadata: the part of TSDL that relay writes for the
//! classes that the linker has collected, and no more. `relayfs`' `ctf::metadata` is what writes it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use relay_format::Severity;
use relay_format::class::{EnumClass, Field, Kind};

/// Bytes of a program's name.
pub(super) const COMM: usize = 16;

/// How many structures may lie within each other.
const DEPTH: u32 = 8;

/// A class of records. There are a few hundred, and none is ever given back: its texts live as long
/// as the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Class {
    /// Its number.
    pub id: u16,
    /// The number of its channel.
    pub stream: u32,
    /// Its name; of a statement its template.
    pub name: &'static str,
    /// How grave its records are, unless they say so themselves.
    pub severity: Severity,
    /// It is a statement of the log.
    pub is_statement: bool,
    /// The Rust module that it is in.
    pub module: &'static str,
    /// The source file, without folders, and the line.
    pub file: &'static str,
    /// The line in it.
    pub line: &'static str,
    /// Which part of the system it is about.
    pub facility: &'static str,
    /// The code of that.
    pub code: Option<u32>,
    /// The sentence that its fields make.
    pub text: Option<&'static str>,
    /// Whether its records say which process and thread wrote them.
    pub has_who: bool,
    /// Its fields.
    pub fields: &'static [Field],
    /// They are those of what programs write.
    pub is_written: bool,
}

impl Class {
    /// Reads a line of the metadata, `event { name = ...`; `None` if it is none that relay writes.
    #[must_use]
    pub fn read(line: &str) -> Option<Self> {
        let mut words = Words(line);
        words.word("event")?;
        words.sign('{')?;
        let mut class = Self {
            id: 0,
            stream: 0,
            name: "",
            severity: Severity::Info,
            is_statement: false,
            module: "",
            file: "",
            line: "",
            facility: "",
            code: None,
            text: None,
            has_who: false,
            fields: &[],
            is_written: false,
        };
        loop {
            let key = match words.next()? {
                Token::Sign('}') => break,
                Token::Word(key) => key,
                _ => return None,
            };
            match (key, words.next()?) {
                ("context", Token::Sign(':')) => {
                    class.has_who = words.fields(DEPTH)?.len() == 2;
                }
                ("fields", Token::Sign(':')) => {
                    class.fields = words.fields(DEPTH)?.leak();
                    class.is_written = is_written(class.fields);
                }
                (_, Token::Sign('=')) => match (key, words.next()?) {
                    ("name", Token::Text(name)) => class.name = name.leak(),
                    ("id", Token::Word(id)) => class.id = id.parse().ok()?,
                    ("stream_id", Token::Word(id)) => class.stream = id.parse().ok()?,
                    ("loglevel", Token::Word(level)) => {
                        class.severity = Severity::from_number(level.parse().ok()?)?;
                    }
                    ("model.emf.uri", Token::Text(uri)) => class.know(uri.leak())?,
                    _ => {}
                },
                _ => return None,
            }
            words.sign(';')?;
        }
        class.is_written &= !class.has_who;
        Some(class)
    }

    /// Takes in what the URI says: nothing in it is escaped, and `text` takes all that follows.
    fn know(&mut self, uri: &'static str) -> Option<()> {
        let (kind, mut rest) = uri.strip_prefix("relay:")?.split_once('?')?;
        self.is_statement = kind == "statement";
        while !rest.is_empty() {
            if let Some(text) = rest.strip_prefix("text=") {
                self.text = Some(text);
                break;
            }
            let (pair, behind) = rest.split_once('&').unwrap_or((rest, ""));
            rest = behind;
            match pair.split_once('=')? {
                ("module", module) => self.module = module,
                ("file", file) => self.file = file.rsplit(['/', '\\']).next().unwrap_or(file),
                ("line", line) => self.line = line,
                ("facility", facility) => self.facility = facility,
                ("code", code) => self.code = code.parse().ok(),
                _ => {}
            }
        }
        Some(())
    }

    /// The sentence of its records: a statement's name, the text of other events, or their name.
    #[must_use]
    pub fn template(&self) -> &'static str {
        match self.is_statement {
            true => self.name,
            false => self.text.unwrap_or(self.name),
        }
    }
}

/// A word of a line.
enum Token<'a> {
    /// A name, with dots, or a number.
    Word(&'a str),
    /// What stood between quotes.
    Text(String),
    /// Another character.
    Sign(char),
}

/// What fields have in front of their dimensions.
enum Base {
    /// A byte of text.
    Letter,
    /// Something else.
    Kind(Kind),
}

/// What is left of a line.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// The next word.
    fn next(&mut self) -> Option<Token<'a>> {
        let rest = self.0.trim_start();
        let first = rest.chars().next()?;
        let is_of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if first == '"' {
            return self.quoted(&rest[1..]).map(Token::Text);
        }
        let end = match is_of_word(first) {
            true => rest.find(|c| !is_of_word(c)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (word, behind) = rest.split_at(end);
        self.0 = behind;
        Some(match is_of_word(first) {
            true => Token::Word(word),
            false => Token::Sign(first),
        })
    }

    /// A text, up to the quote behind it.
    fn quoted(&mut self, rest: &'a str) -> Option<String> {
        let mut text = String::new();
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.0 = &rest[at + 1..];
                    return Some(text);
                }
                '\\' => text.push(match chars.next()?.1 {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    other => other,
                }),
                other => text.push(other),
            }
        }
        None
    }

    fn sign(&mut self, wanted: char) -> Option<()> {
        matches!(self.next()?, Token::Sign(sign) if sign == wanted).then_some(())
    }

    fn word(&mut self, wanted: &str) -> Option<()> {
        matches!(self.next()?, Token::Word(word) if word == wanted).then_some(())
    }

    /// Whether this sign comes next; takes it then.
    fn accept(&mut self, sign: char) -> bool {
        let rest = self.0.trim_start();
        match rest.strip_prefix(sign) {
            Some(behind) => {
                self.0 = behind;
                true
            }
            None => false,
        }
    }

    /// `= struct { ... }`: what it has.
    fn fields(&mut self, depth: u32) -> Option<Vec<Field>> {
        self.sign('=')?;
        self.word("struct")?;
        self.structure(depth)
    }

    /// `{ ... }`: fields.
    fn structure(&mut self, depth: u32) -> Option<Vec<Field>> {
        let depth = depth.checked_sub(1)?;
        self.sign('{')?;
        let mut fields = Vec::new();
        // What says the length of the field behind it: its name, and whether it is a byte.
        let mut length: Option<(&str, bool)> = None;
        while !self.accept('}') {
            let base = self.base(depth)?;
            let Token::Word(name) = self.next()? else {
                return None;
            };
            let of_length = name.strip_prefix("___");
            if of_length.is_some() && length.is_none() {
                let is_byte = match base {
                    Base::Kind(Kind::U16) => false,
                    Base::Kind(Kind::U8) => true,
                    _ => return None,
                };
                length = Some((name, is_byte));
                self.sign(';')?;
                continue;
            }
            let kind = self.dimension(base, length.take())?;
            self.sign(';')?;
            let name = name.strip_prefix('_').unwrap_or(name);
            fields.push(Field {
                name: String::from(name).leak(),
                kind,
            });
        }
        Some(fields)
    }

    /// A type.
    fn base(&mut self, depth: u32) -> Option<Base> {
        let Token::Word(word) = self.next()? else {
            return None;
        };
        Some(Base::Kind(match word {
            "utf8_t" => return Some(Base::Letter),
            "uint8_t" => Kind::U8,
            "uint16_t" => Kind::U16,
            "uint32_t" => Kind::U32,
            "uint64_t" => Kind::U64,
            "int8_t" => Kind::I8,
            "int16_t" => Kind::I16,
            "int32_t" => Kind::I32,
            "int64_t" => Kind::I64,
            "string" => Kind::String,
            "integer" => self.integer()?.0,
            "floating_point" => match self.block()?.contains(&("exp_dig", "8")) {
                true => Kind::F32,
                false => Kind::F64,
            },
            "enum" => self.enumeration()?,
            "struct" => {
                let [field] = self.structure(depth)?[..] else {
                    return None;
                };
                self.word("align")?;
                self.sign('(')?;
                self.next()?;
                self.sign(')')?;
                field.kind
            }
            _ => return None,
        }))
    }

    /// `{ key = value; ... }`.
    fn block(&mut self) -> Option<Vec<(&'a str, &'a str)>> {
        self.sign('{')?;
        let mut pairs = Vec::new();
        while !self.accept('}') {
            let Token::Word(key) = self.next()? else {
                return None;
            };
            self.sign('=')?;
            let Token::Word(value) = self.next()? else {
                return None;
            };
            self.sign(';')?;
            pairs.push((key, value));
        }
        Some(pairs)
    }

    /// What follows `integer`: its kind, and whether people want to see it in base 16.
    fn integer(&mut self) -> Option<(Kind, bool)> {
        let pairs = self.block()?;
        let of = |key: &str| pairs.iter().find(|pair| pair.0 == key).map(|pair| pair.1);
        let is_hex = of("base") == Some("16");
        let kind = match (of("size")?, of("signed")?, is_hex) {
            ("8", "false", false) => Kind::U8,
            ("16", "false", false) => Kind::U16,
            ("32", "false", false) => Kind::U32,
            ("64", "false", false) => Kind::U64,
            ("8", "false", true) => Kind::Hex8,
            ("16", "false", true) => Kind::Hex16,
            ("32", "false", true) => Kind::Hex32,
            ("64", "false", true) => Kind::Hex64,
            ("8", "true", _) => Kind::I8,
            ("16", "true", _) => Kind::I16,
            ("32", "true", _) => Kind::I32,
            ("64", "true", _) => Kind::I64,
            _ => return None,
        };
        Some((kind, is_hex))
    }

    /// What follows `enum`.
    fn enumeration(&mut self) -> Option<Kind> {
        self.sign(':')?;
        let (stored, is_flags) = match self.next()? {
            Token::Word("integer") => self.integer()?,
            Token::Word("uint8_t") => (Kind::U8, false),
            _ => return None,
        };
        let stored = match stored {
            Kind::Hex8 => Kind::U8,
            Kind::Hex16 => Kind::U16,
            Kind::Hex32 => Kind::U32,
            Kind::Hex64 => Kind::U64,
            other => other,
        };
        self.sign('{')?;
        let mut values: Vec<(&'static str, i128)> = Vec::new();
        while !self.accept('}') {
            let Token::Text(label) = self.next()? else {
                return None;
            };
            self.sign('=')?;
            let Token::Word(value) = self.next()? else {
                return None;
            };
            values.push((label.leak(), value.parse().ok()?));
            self.accept(',');
        }
        if !is_flags && stored == Kind::U8 && values == [("false", 0), ("true", 1)] {
            return Some(Kind::Bool);
        }
        let class = Box::leak(Box::new(EnumClass {
            stored: Box::leak(Box::new(stored)),
            values: values.leak(),
        }));
        Some(match is_flags {
            true => Kind::Flags(class),
            false => Kind::Enum(class),
        })
    }

    /// What a type is with the dimension behind the name, if there is one.
    fn dimension(&mut self, base: Base, length: Option<(&str, bool)>) -> Option<Kind> {
        if !self.accept('[') {
            return match (base, length) {
                (Base::Kind(kind), None) => Some(kind),
                _ => None,
            };
        }
        let Token::Word(size) = self.next()? else {
            return None;
        };
        self.sign(']')?;
        let leak = |kind| -> &'static Kind { Box::leak(Box::new(kind)) };
        match (length, base) {
            (None, Base::Letter) => Some(Kind::Chars(size.parse().ok()?)),
            (None, Base::Kind(kind)) => Some(Kind::Array(leak(kind), size.parse().ok()?)),
            (Some((name, _)), _) if name != size => None,
            (Some((_, false)), Base::Letter) => Some(Kind::Str),
            (Some((_, false)), Base::Kind(Kind::U8)) => Some(Kind::Blob),
            (Some((_, false)), Base::Kind(kind)) => Some(Kind::Sequence(leak(kind))),
            (Some((_, true)), Base::Kind(kind)) => Some(Kind::Optional(leak(kind))),
            (Some((_, true)), Base::Letter) => None,
        }
    }
}

/// Whether the records of a class with these fields are what programs write: who wrote it is in
/// them.
fn is_written(fields: &[Field]) -> bool {
    let is_right = |(field, name): (&Field, &str)| {
        field.name == name
            && match name {
                "severity" => matches!(field.kind, Kind::Enum(class) if *class.stored == Kind::U8),
                "comm" => field.kind == Kind::Chars(COMM),
                "text" => field.kind == Kind::Str,
                _ => field.kind == Kind::I32,
            }
    };
    let names = ["severity", "pid", "tid", "comm", "text"];
    fields.len() == names.len() && fields.iter().zip(names).all(is_right)
}
