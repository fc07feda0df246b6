//! The grammar that all blocks share.

mod kinds;

use std::collections::HashMap;

use super::error::TsdlError;
use super::lexer::{Lexer, Place, Token, clip};
use super::types::Type;

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
    /// What is too large, of what is read [for its size](Self::bear) at least.
    too_large: Option<TsdlError>,
    /// Whether types may be too large.
    bears: bool,
}

/// A place in a metadata text to which a parser can go back.
#[derive(Debug)]
pub(super) struct Mark<'a>(Lexer<'a>, Token<'a>, Place);

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
            too_large: None,
            bears: false,
        })
    }

    /// Remembers this place.
    pub(super) fn mark(&self) -> Mark<'a> {
        Mark(self.lexer.clone(), self.token.clone(), self.place)
    }

    /// Goes back to a place, to [pass over](Self::pass_over) what cannot be read.
    pub(super) fn back(&mut self, Mark(lexer, token, place): Mark<'a>) {
        (self.lexer, self.token, self.place) = (lexer, token, place);
        (self.too_large, self.bears) = (None, false);
    }

    /// Lets types be too large from here on, and returns the first one that was since the last
    /// time: who cannot read a record may still know its size.
    pub(super) fn bear(&mut self, bears: bool) -> Option<TsdlError> {
        self.bears = bears;
        self.too_large.take()
    }

    /// A type is too large.
    fn refuse(&mut self, error: TsdlError) -> Result<(), TsdlError> {
        match self.bears {
            true => {
                self.too_large.get_or_insert(error);
                Ok(())
            }
            false => Err(error),
        }
    }

    /// Goes behind the `}` of a block that cannot be read, and gives to `each` what is given with
    /// `=` in it.
    pub(super) fn pass_over(
        &mut self,
        mut each: impl FnMut(&str, &Token<'a>),
    ) -> Result<(), TsdlError> {
        let place = self.place;
        if self.token != Token::Sign("{") {
            return Err(self.unexpected("'{'"));
        }
        let mut depth = 1;
        // The words since the last `;`, no more than are of use.
        let mut words = Vec::new();
        while depth > 0 {
            match self.lexer.next_of_any() {
                Some(Token::End) => return Err(place.error("this block does not end")),
                Some(Token::Sign("{")) => depth += 1,
                Some(Token::Sign("}")) => depth -= 1,
                Some(Token::Sign(";")) if depth == 1 => {
                    if let [Some(Token::Word(name)), Some(Token::Sign("=")), Some(value)] =
                        words.as_slice()
                    {
                        each(name, value);
                    }
                    words.clear();
                    continue;
                }
                word if words.len() < 4 => {
                    words.push(word);
                    continue;
                }
                _ => continue,
            }
            // What braces are in is no value.
            words.push(None);
            words.truncate(4);
        }
        (self.place, self.token) = self.lexer.next()?;
        Ok(())
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
