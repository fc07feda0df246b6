//! Reads types, and the grammar that all blocks share.

use std::collections::HashMap;
use std::sync::Arc;

use super::error::TsdlError;
use super::lexer::{Lexer, Place, Token, clip};
use super::types::{Enum, Field, Int, Len, MAX_WEIGHT, Struct, Type};

/// How deep types may be nested.
const MAX_DEPTH: u32 = 16;

/// The most labels of an enumeration, and fields of a structure.
const MAX_MEMBERS: usize = 4096;

/// A value in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A number.
    Number(i128),
    /// A text in quotes.
    Text(String),
    /// A name, dots included, such as `clock.ticks.value`.
    Name(String),
}

/// What a name in a block is given.
#[derive(Debug)]
pub(super) enum Given {
    /// With `=`.
    Value(Value),
    /// With `:=`.
    Type(Type),
}

/// Reads a metadata text word by word, one word ahead.
#[derive(Debug)]
pub(super) struct Parser<'a> {
    /// Where words come from.
    lexer: Lexer<'a>,
    /// The next word.
    token: Token<'a>,
    /// Where it is.
    pub(super) place: Place,
    /// Types by name; structures and enumerations with their keyword in front.
    names: HashMap<String, Type>,
}

impl<'a> Parser<'a> {
    /// Begins at the beginning.
    pub(super) fn new(text: &'a str) -> Result<Self, TsdlError> {
        let mut lexer = Lexer::new(text);
        let (place, token) = lexer.next()?;
        Ok(Self {
            lexer,
            token,
            place,
            names: HashMap::new(),
        })
    }

    /// Takes the next word.
    fn take(&mut self) -> Result<Token<'a>, TsdlError> {
        let (place, token) = self.lexer.next()?;
        self.place = place;
        Ok(std::mem::replace(&mut self.token, token))
    }

    /// An error at the next word.
    pub(super) fn unexpected(&self, wanted: &str) -> TsdlError {
        let is = match &self.token {
            Token::Word(word) => format!("'{}'", clip(word)),
            Token::Number(number) => format!("{number}"),
            Token::Text(text) => format!("the text {:?}", clip(text)),
            Token::Sign(sign) => format!("'{sign}'"),
            Token::End => "the end".to_owned(),
        };
        self.place
            .error(format!("{wanted} should be here, not {is}"))
    }

    /// Whether the text has ended.
    pub(super) fn at_end(&self) -> bool {
        self.token == Token::End
    }

    /// Takes a sign if it is next.
    pub(super) fn accept(&mut self, sign: &'static str) -> Result<bool, TsdlError> {
        let is = self.token == Token::Sign(sign);
        if is {
            self.take()?;
        }
        Ok(is)
    }

    /// Takes a sign that has to be next.
    pub(super) fn expect(&mut self, sign: &'static str) -> Result<(), TsdlError> {
        match self.accept(sign)? {
            true => Ok(()),
            false => Err(self.unexpected(&format!("'{sign}'"))),
        }
    }

    /// Takes a name that has to be next.
    pub(super) fn name(&mut self, wanted: &str) -> Result<&'a str, TsdlError> {
        match self.token {
            Token::Word(word) => {
                self.take()?;
                Ok(word)
            }
            _ => Err(self.unexpected(wanted)),
        }
    }

    /// Takes a name if it is next.
    fn optional_name(&mut self) -> Result<Option<&'a str>, TsdlError> {
        match self.token {
            Token::Word(_) => self.name("a name").map(Some),
            _ => Ok(None),
        }
    }

    /// Takes a number, with its sign.
    fn number(&mut self) -> Result<i128, TsdlError> {
        let negative = self.accept("-")?;
        match self.token {
            Token::Number(number) => {
                self.take()?;
                let number = i128::from(number);
                Ok(if negative { -number } else { number })
            }
            _ => Err(self.unexpected("a number")),
        }
    }

    /// Takes a value.
    fn value(&mut self) -> Result<Value, TsdlError> {
        match &self.token {
            Token::Word(_) => Ok(Value::Name(self.path()?)),
            Token::Text(_) => match self.take()? {
                Token::Text(text) => Ok(Value::Text(text)),
                _ => Err(self.unexpected("a text")),
            },
            Token::Number(_) | Token::Sign("-") => Ok(Value::Number(self.number()?)),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// Takes names with dots between them.
    fn path(&mut self) -> Result<String, TsdlError> {
        let mut path = self.name("a name")?.to_owned();
        while self.accept(".")? {
            path = path + "." + self.name("a name behind the dot")?;
        }
        Ok(path)
    }

    /// Reads `{ name = value; name := type; ... }` and gives each to `each`.
    pub(super) fn block(
        &mut self,
        mut each: impl FnMut(Place, &str, Given) -> Result<(), TsdlError>,
    ) -> Result<(), TsdlError> {
        self.expect("{")?;
        while !self.accept("}")? {
            if self.named_type()? {
                continue;
            }
            let place = self.place;
            let name = self.path()?;
            let given = match self.accept(":=")? {
                true => Given::Type(self.type_at(0)?),
                false => {
                    self.expect("=")?;
                    Given::Value(self.value()?)
                }
            };
            self.expect(";")?;
            each(place, &name, given)?;
        }
        Ok(())
    }

    /// Reads a `typealias`, or a structure or enumeration that stands alone, if
    /// one is next.
    pub(super) fn named_type(&mut self) -> Result<bool, TsdlError> {
        match self.token {
            Token::Word("typealias") => {
                self.take()?;
                let kind = self.type_at(0)?;
                self.expect(":=")?;
                let place = self.place;
                let name = self.name("the new type's name")?;
                self.define(place, name.to_owned(), kind)?;
            }
            Token::Word("struct" | "enum") => {
                self.type_at(0)?;
            }
            _ => return Ok(false),
        }
        self.expect(";")?;
        Ok(true)
    }

    /// Gives a type a name.
    fn define(&mut self, place: Place, name: String, kind: Type) -> Result<(), TsdlError> {
        if self.names.contains_key(&name) {
            return Err(place.error(format!("there is a type '{}' already", clip(&name))));
        }
        self.names.insert(name, kind);
        Ok(())
    }

    /// The type of a name.
    fn look_up(&self, place: Place, name: &str) -> Result<Type, TsdlError> {
        let kind = self.names.get(name).cloned();
        kind.ok_or_else(|| place.error(format!("there is no type '{}'", clip(name))))
    }

    /// Reads a type.
    fn type_at(&mut self, depth: u32) -> Result<Type, TsdlError> {
        let place = self.place;
        if depth > MAX_DEPTH {
            return Err(place.error(format!("types are nested more than {MAX_DEPTH} deep")));
        }
        match self.name("a type")? {
            "integer" => self.integer(),
            "floating_point" => self.floating_point(),
            "string" => self.string(),
            "enum" => self.enumeration(place, depth),
            "struct" => self.structure(place, depth),
            word @ ("variant" | "const" | "unsigned" | "signed" | "typedef") => {
                Err(place.error(format!("'{word}' is not supported")))
            }
            name => self.look_up(place, name),
        }
    }

    /// Reads `{ size = 8; ... }` behind `integer`.
    fn integer(&mut self) -> Result<Type, TsdlError> {
        let place = self.place;
        let mut size = None;
        let mut int = Int {
            bits: 0,
            bytes: 0,
            signed: false,
            base: 10,
            text: false,
            clock: false,
        };
        self.block(|place, name, given| {
            match (name, attribute(place, given)?) {
                ("size", Value::Number(bits)) => {
                    if !(1..=64).contains(&bits) {
                        return Err(place.error(format!(
                            "an integer of {bits} bits is not supported, only up to 64 bits"
                        )));
                    }
                    size = u8::try_from(bits).ok();
                }
                ("align", Value::Number(1 | 8)) => {}
                ("align", Value::Number(_)) => {
                    return Err(place.error("fields are aligned to bytes: align = 8"));
                }
                ("signed", Value::Number(number @ (0 | 1))) => int.signed = number == 1,
                ("signed", Value::Name(word)) => {
                    int.signed = match word.as_str() {
                        "true" | "TRUE" => true,
                        "false" | "FALSE" => false,
                        _ => return Err(place.error("signed is true or false")),
                    };
                }
                ("base", Value::Number(base @ (2 | 8 | 10 | 16))) => {
                    int.base = u8::try_from(base).unwrap_or(10);
                }
                ("base", Value::Name(word)) => {
                    int.base = match word.as_str() {
                        "x" | "X" | "hex" | "hexadecimal" | "p" => 16,
                        "o" | "oct" | "octal" => 8,
                        "b" | "binary" => 2,
                        "d" | "i" | "u" | "dec" | "decimal" => 10,
                        _ => return Err(place.error("a base is 2, 8, 10 or 16")),
                    };
                }
                ("encoding", Value::Name(word)) => {
                    int.text = match word.as_str() {
                        "UTF8" | "ASCII" => true,
                        "none" => false,
                        _ => return Err(place.error("an encoding is UTF8, ASCII or none")),
                    };
                }
                ("map", Value::Name(path)) => {
                    let clock = path.strip_prefix("clock.");
                    int.clock = clock.is_some_and(|path| path.ends_with(".value"));
                    if !int.clock {
                        return Err(place.error("a map is clock.NAME.value"));
                    }
                }
                ("byte_order", value) => little_endian(place, &value)?,
                (name, _) => return Err(place.error(unknown("integer", name))),
            }
            Ok(())
        })?;
        int.bits = size.ok_or_else(|| place.error("an integer needs a size"))?;
        int.bytes = int.bits.div_ceil(8);
        Ok(Type::Int(int))
    }

    /// Reads `{ exp_dig = 11; mant_dig = 53; }` behind `floating_point`.
    fn floating_point(&mut self) -> Result<Type, TsdlError> {
        let place = self.place;
        let (mut exponent, mut mantissa) = (0, 0);
        self.block(|place, name, given| {
            match (name, attribute(place, given)?) {
                ("exp_dig", Value::Number(bits)) => exponent = bits,
                ("mant_dig", Value::Number(bits)) => mantissa = bits,
                ("align", Value::Number(1 | 8)) => {}
                ("align", Value::Number(_)) => {
                    return Err(place.error("fields are aligned to bytes: align = 8"));
                }
                ("byte_order", value) => little_endian(place, &value)?,
                (name, _) => return Err(place.error(unknown("floating_point", name))),
            }
            Ok(())
        })?;
        match (exponent, mantissa) {
            (8, 24) => Ok(Type::Float(4)),
            (11, 53) => Ok(Type::Float(8)),
            _ => {
                Err(place
                    .error("a floating point number has exp_dig 8 and mant_dig 24, or 11 and 53"))
            }
        }
    }

    /// Reads what may be behind `string`.
    fn string(&mut self) -> Result<Type, TsdlError> {
        if self.token == Token::Sign("{") {
            self.block(
                |place, name, given| match (name, attribute(place, given)?) {
                    ("encoding", Value::Name(word)) if word == "UTF8" || word == "ASCII" => Ok(()),
                    (name, _) => Err(place.error(unknown("string", name))),
                },
            )?;
        }
        Ok(Type::String)
    }

    /// Reads `NAME : type { A, B = 2, C = 3 ... 4 }` behind `enum`.
    fn enumeration(&mut self, place: Place, depth: u32) -> Result<Type, TsdlError> {
        let name = self.optional_name()?.map(|name| format!("enum {name}"));
        let container = match self.accept(":")? {
            true => {
                let place = self.place;
                match self.type_at(depth + 1)? {
                    Type::Int(int) => int,
                    _ => return Err(place.error("an enumeration is stored as an integer")),
                }
            }
            false => match (&name, &self.token) {
                (Some(name), token) if *token != Token::Sign("{") => {
                    return self.look_up(place, name);
                }
                _ => return Err(self.unexpected("':' and the type that it is stored as")),
            },
        };
        self.expect("{")?;
        let mut labels = Vec::new();
        let mut next = 0;
        while !self.accept("}")? {
            if labels.len() == MAX_MEMBERS {
                return Err(self.place.error(format!("more than {MAX_MEMBERS} labels")));
            }
            let label = match self.take()? {
                Token::Word(word) => word.to_owned(),
                Token::Text(text) => text,
                _ => return Err(self.unexpected("labels with commas between them")),
            };
            let mut from = next;
            let mut to = from;
            if self.accept("=")? {
                from = self.number()?;
                to = match self.accept("...")? {
                    true => self.number()?,
                    false => from,
                };
            }
            if from > to {
                return Err(self.place.error("this range ends before it begins"));
            }
            labels.push((label, from, to));
            next = to + 1;
            if !self.accept(",")? && self.token != Token::Sign("}") {
                return Err(self.unexpected("',' or '}'"));
            }
        }
        let kind = Type::Enum(Arc::new(Enum { container, labels }));
        if let Some(name) = name {
            self.define(place, name, kind.clone())?;
        }
        Ok(kind)
    }

    /// Reads `NAME { fields }` or `NAME` behind `struct`.
    fn structure(&mut self, place: Place, depth: u32) -> Result<Type, TsdlError> {
        let name = self.optional_name()?.map(|name| format!("struct {name}"));
        if let (Some(name), false) = (&name, self.token == Token::Sign("{")) {
            return self.look_up(place, name);
        }
        self.expect("{")?;
        let mut fields: Vec<Field> = Vec::new();
        while !self.accept("}")? {
            if self.named_type_in_struct()? {
                continue;
            }
            let at = self.place;
            if fields.len() == MAX_MEMBERS {
                return Err(at.error(format!("more than {MAX_MEMBERS} fields")));
            }
            let kind = self.type_at(depth + 1)?;
            let name = self.name("the field's name")?;
            let name = name.strip_prefix('_').unwrap_or(name);
            if fields.iter().any(|field| field.name == name) {
                return Err(at.error(format!("there is a field '{}' already", clip(name))));
            }
            let kind = self.dimensions(kind, &fields)?;
            self.expect(";")?;
            fields.push(Field {
                name: name.to_owned(),
                kind,
            });
        }
        if let Token::Word("align") = self.token {
            self.take()?;
            self.expect("(")?;
            let at = self.place;
            if !matches!(self.number()?, 1 | 8) {
                return Err(at.error("structures are aligned to bytes: align(8)"));
            }
            self.expect(")")?;
        }
        let kind = Struct::new(fields);
        if kind.depth() > MAX_DEPTH {
            return Err(place.error(format!("structures are nested more than {MAX_DEPTH} deep")));
        }
        if kind.weight() > MAX_WEIGHT {
            return Err(place.error(format!("this structure has more than {MAX_WEIGHT} values")));
        }
        let kind = Type::Struct(kind);
        if let Some(name) = name {
            self.define(place, name, kind.clone())?;
        }
        Ok(kind)
    }

    /// Reads a `typealias` within a structure.
    fn named_type_in_struct(&mut self) -> Result<bool, TsdlError> {
        match self.token {
            Token::Word("typealias") => self.named_type(),
            _ => Ok(false),
        }
    }

    /// Reads `[4][length]` behind a field's name.
    fn dimensions(&mut self, mut kind: Type, fields: &[Field]) -> Result<Type, TsdlError> {
        let mut lengths = Vec::new();
        while self.accept("[")? {
            let at = self.place;
            if lengths.len() as u32 == MAX_DEPTH {
                return Err(at.error(format!("more than {MAX_DEPTH} dimensions")));
            }
            let length = match self.value()? {
                Value::Number(number) => u64::try_from(number).ok().map(Len::Fixed),
                Value::Name(name) => {
                    let name = name.strip_prefix('_').unwrap_or(&name);
                    let found = fields.iter().position(|field| field.name == name);
                    let int = found.and_then(|at| fields[at].kind.as_int());
                    int.is_some_and(|int| !int.signed)
                        .then(|| found.map(Len::Field))
                        .flatten()
                }
                Value::Text(_) => None,
            };
            let wrong = "a length is a number, or an earlier unsigned field of the same structure";
            lengths.push((at, length.ok_or_else(|| at.error(wrong))?));
            self.expect("]")?;
        }
        for (at, length) in lengths.into_iter().rev() {
            if kind.min_size() == 0 {
                return Err(at.error("an array of what may have no size is not supported"));
            }
            kind = Type::Array(Arc::new(kind), length);
            if kind.weight() > MAX_WEIGHT || kind.min_size() > 1 << 31 {
                return Err(at.error("this array is too large"));
            }
        }
        Ok(kind)
    }
}

/// The value of an attribute, which has to be given with `=`.
pub(super) fn attribute(place: Place, given: Given) -> Result<Value, TsdlError> {
    match given {
        Given::Value(value) => Ok(value),
        Given::Type(_) => Err(place.error("a value is given with '=', not ':='")),
    }
}

/// Refuses what is not little-endian.
pub(super) fn little_endian(place: Place, value: &Value) -> Result<(), TsdlError> {
    match value {
        Value::Name(word) if word == "le" || word == "native" => Ok(()),
        _ => Err(place.error("only byte_order = le is supported")),
    }
}

/// The message about an attribute that is not known.
pub(super) fn unknown(block: &str, name: &str) -> String {
    format!(
        "'{}' is not a setting of {block}, or its value is of the wrong kind",
        clip(name)
    )
}
