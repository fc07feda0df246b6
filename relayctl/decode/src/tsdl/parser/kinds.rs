//! Reads types.

use std::sync::Arc;

use super::super::error::TsdlError;
use super::super::lexer::{Place, Token, clip};
use super::super::types::{Enum, Field, Int, Len, MAX_WEIGHT, Struct, Type};
use super::{Parser, Value, attribute, little_endian, unknown};

/// How deep types may be nested.
const MAX_DEPTH: u32 = 16;

/// The most labels of an enumeration, and fields of a structure.
const MAX_MEMBERS: usize = 4096;

impl Parser<'_> {
    /// Reads a type.
    pub(super) fn type_at(&mut self, depth: u32) -> Result<Type, TsdlError> {
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
        let kind = Type::Enum(Arc::new(Enum::new(container, labels)));
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
            let kind = self.dimensions(name, kind, &mut fields)?;
            self.expect(";")?;
            fields.push(Field {
                name: name.to_owned(),
                kind,
                is_length: false,
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
            let what = format!("this structure has more than {MAX_WEIGHT} values");
            self.refuse(place.error(what))?;
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
    fn dimensions(
        &mut self,
        name: &str,
        mut kind: Type,
        fields: &mut [Field],
    ) -> Result<Type, TsdlError> {
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
        // The length of what a registered class has is called after it.
        if let Some((_, length @ Len::Field(_))) = lengths.first_mut()
            && let Len::Field(at) = *length
            && fields[at]
                .name
                .strip_prefix("__")
                .and_then(|n| n.strip_suffix("_length"))
                == Some(name)
        {
            fields[at].is_length = true;
            if fields[at].kind.is_byte() {
                *length = Len::Option(at);
            }
        }
        for (at, length) in lengths.into_iter().rev() {
            if kind.min_size() == 0 {
                self.refuse(at.error("an array of what may have no size is not supported"))?;
            }
            kind = Type::Array(Arc::new(kind), length);
            if kind.weight() > MAX_WEIGHT || kind.min_size() > 1 << 31 {
                self.refuse(at.error("this array is too large"))?;
            }
        }
        Ok(kind)
    }
}
