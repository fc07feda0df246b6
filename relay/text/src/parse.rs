//! The grammar of format strings: that of [`core::fmt`], all of it.
//!
//! ```
//! use relay_text::parse::{Count, Piece, Position, Style, pieces};
//!
//! let mut pieces = pieces("at {address:#0w$x}");
//! assert_eq!(pieces.next(), Some(Ok(Piece::Text("at "))));
//! let Some(Ok(Piece::Placeholder(placeholder))) = pieces.next() else { panic!() };
//! assert_eq!(placeholder.position, Position::Name("address"));
//! assert_eq!(placeholder.spec.width, Count::Name("w"));
//! assert_eq!(placeholder.spec.style, Style::LowerHex);
//! assert_eq!(placeholder.spec.to_string(), "#0w$x");
//! ```
//!
//! Names are not looked at closely: every character beyond ASCII is taken for a part of one. What
//! stands in a program, the compiler has checked.

mod cursor;
mod error;
mod spec;

use cursor::Cursor;
pub use error::{Error, ErrorKind};
pub use spec::{Align, Count, Sign, Spec, Style};

/// The pieces of `template`, in order. Any context.
#[must_use]
pub fn pieces(template: &str) -> Pieces<'_> {
    Pieces {
        rest: Cursor::new(template),
    }
}

/// A piece of a format string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A text that stands for itself; `{{` has become `{`. Two may follow one another.
    Text(&'a str),
    /// A value's place.
    Placeholder(Placeholder<'a>),
}

/// A value's place in a format string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placeholder<'a> {
    /// As it stands, with its braces.
    pub source: &'a str,
    /// Which value.
    pub position: Position<'a>,
    /// How it is shown.
    pub spec: Spec<'a>,
}

/// Which value a placeholder shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position<'a> {
    /// The next one: `{}`. If its precision is `.*`, that one comes first.
    Next,
    /// By its number: `{0}`.
    Index(u16),
    /// By its name: `{name}`.
    Name(&'a str),
}

/// Iterator over the [`pieces`] of a format string. It goes on behind an error.
#[derive(Clone, Debug)]
pub struct Pieces<'a> {
    rest: Cursor<'a>,
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Result<Piece<'a>, Error<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        let begin = self.rest;
        match self.rest.take()? {
            brace @ ('{' | '}') if self.rest.peek() == Some(brace) => {
                // The second of the two begins the text.
                let escaped = self.rest;
                self.rest.take();
                self.rest.skip_while(is_no_brace);
                Some(Ok(Piece::Text(escaped.up_to(self.rest))))
            }
            '{' => Some(self.placeholder(begin)),
            '}' => Some(Err(Error {
                source: begin.up_to(self.rest),
                kind: ErrorKind::Unopened,
            })),
            _ => {
                self.rest.skip_while(is_no_brace);
                Some(Ok(Piece::Text(begin.up_to(self.rest))))
            }
        }
    }
}

impl<'a> Pieces<'a> {
    /// The placeholder that begins at `begin`, whose brace is taken.
    fn placeholder(&mut self, begin: Cursor<'a>) -> Result<Piece<'a>, Error<'a>> {
        match self.inside() {
            Ok((position, spec)) => Ok(Piece::Placeholder(Placeholder {
                source: begin.up_to(self.rest),
                position,
                spec,
            })),
            Err(kind) => {
                // It ends where a reader would say that it ends.
                self.rest.skip_while(is_no_brace);
                self.rest.take_if('}');
                let source = begin.up_to(self.rest);
                Err(Error { source, kind })
            }
        }
    }

    /// What stands between the braces, the closing one included.
    fn inside(&mut self) -> Result<(Position<'a>, Spec<'a>), ErrorKind> {
        let position = match self.rest.number()? {
            Some(index) => Position::Index(index),
            None => match self.rest.word()? {
                "" => Position::Next,
                name => Position::Name(name),
            },
        };
        self.rest.skip_while(char::is_whitespace);
        let spec = match self.rest.take_if(':') {
            true => Spec::take(&mut self.rest)?,
            false => Spec::default(),
        };
        self.rest.skip_while(char::is_whitespace);
        match self.rest.peek() {
            Some('}') => {
                self.rest.take();
                Ok((position, spec))
            }
            Some(other) => Err(ErrorKind::Unexpected(other)),
            None => Err(ErrorKind::Unclosed),
        }
    }
}

fn is_no_brace(character: char) -> bool {
    !matches!(character, '{' | '}')
}

#[cfg(test)]
mod tests;
