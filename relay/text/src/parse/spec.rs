//! What a placeholder asks for, behind its colon.

use super::cursor::Cursor;
use super::error::ErrorKind;
use core::fmt;

/// How a value is shown: what stands behind the colon of a placeholder.
///
/// The default is that of `{}`. Shown (`Display`), it is as it stands in a format string.
///
/// ```
/// use relay_text::parse::{Align, Count, Spec, Style};
///
/// let spec = Spec {
///     fill: Some('*'),
///     align: Some(Align::Center),
///     width: Count::Given(9),
///     style: Style::Debug,
///     ..Spec::default()
/// };
/// assert_eq!(spec.to_string(), "*^9?");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spec<'a> {
    /// What a value is filled up with; a space if `None`. Only beside `align`.
    pub fill: Option<char>,
    /// Where in its width the value lies; that is the value's own choice if `None`.
    pub align: Option<Align>,
    /// `+` or `-`.
    pub sign: Option<Sign>,
    /// `#`: with a prefix, in lines.
    pub alternate: bool,
    /// `0`: numbers are filled up with zeros behind their sign.
    pub zero: bool,
    /// The least width, in characters.
    pub width: Count<'a>,
    /// Digits behind the point of a number; the most characters of a text.
    pub precision: Count<'a>,
    /// What kind of text.
    pub style: Style,
}

/// Where in its width a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// `<`.
    Left,
    /// `^`; of an odd number of characters, one more stands to the right.
    Center,
    /// `>`.
    Right,
}

/// What is asked of the sign of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// `+`: positive numbers have one.
    Plus,
    /// `-`: nothing yet.
    Minus,
}

/// A width or a precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Count<'a> {
    /// None.
    #[default]
    None,
    /// A number.
    Given(u16),
    /// The value with this number: `2$`.
    Index(u16),
    /// The value with this name: `name$`.
    Name(&'a str),
    /// The next value, `.*`: of a precision only.
    Star,
}

/// What kind of text: a trait of [`core::fmt`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// `{}`.
    #[default]
    Display,
    /// `{:?}`.
    Debug,
    /// `{:x?}`.
    DebugLowerHex,
    /// `{:X?}`.
    DebugUpperHex,
    /// `{:x}`.
    LowerHex,
    /// `{:X}`.
    UpperHex,
    /// `{:o}`.
    Octal,
    /// `{:b}`.
    Binary,
    /// `{:p}`.
    Pointer,
    /// `{:e}`.
    LowerExp,
    /// `{:E}`.
    UpperExp,
}

impl<'a> Spec<'a> {
    /// Takes what stands behind the colon.
    pub(super) fn take(rest: &mut Cursor<'a>) -> Result<Self, ErrorKind> {
        let mut spec = Self::default();
        // `<>`: the first is the fill.
        let begin = *rest;
        spec.fill = rest.take();
        spec.align = Align::take(rest);
        if spec.align.is_none() {
            *rest = begin;
            spec.fill = None;
            spec.align = Align::take(rest);
        }
        spec.sign = match (rest.take_if('+'), rest.take_if('-')) {
            (true, true) => return Err(ErrorKind::Unexpected('-')),
            (true, false) => Some(Sign::Plus),
            (false, true) => Some(Sign::Minus),
            (false, false) => None,
        };
        spec.alternate = rest.take_if('#');
        spec.zero = rest.take_if('0');
        // `0$` is the value with the number 0, `00$` a zero more.
        if spec.zero && rest.take_if('$') {
            spec.zero = false;
            spec.width = Count::Index(0);
        } else {
            spec.width = Count::take(rest)?;
        }
        if rest.take_if('.') {
            spec.precision = match rest.take_if('*') {
                true => Count::Star,
                false => Count::take(rest)?,
            };
        }
        spec.style = Style::take(rest)?;
        Ok(spec)
    }
}

impl Align {
    fn take(rest: &mut Cursor<'_>) -> Option<Self> {
        let align = match rest.peek()? {
            '<' => Self::Left,
            '^' => Self::Center,
            '>' => Self::Right,
            _ => return None,
        };
        rest.take();
        Some(align)
    }
}

impl<'a> Count<'a> {
    fn take(rest: &mut Cursor<'a>) -> Result<Self, ErrorKind> {
        if let Some(number) = rest.number()? {
            return Ok(match rest.take_if('$') {
                true => Self::Index(number),
                false => Self::Given(number),
            });
        }
        let begin = *rest;
        let word = rest.word()?;
        if !word.is_empty() && rest.take_if('$') {
            return Ok(Self::Name(word));
        }
        // It is the style.
        *rest = begin;
        Ok(Self::None)
    }
}

/// The styles and how they are written.
const STYLES: [(Style, &str); 11] = [
    (Style::Display, ""),
    (Style::Debug, "?"),
    (Style::DebugLowerHex, "x?"),
    (Style::DebugUpperHex, "X?"),
    (Style::LowerHex, "x"),
    (Style::UpperHex, "X"),
    (Style::Octal, "o"),
    (Style::Binary, "b"),
    (Style::Pointer, "p"),
    (Style::LowerExp, "e"),
    (Style::UpperExp, "E"),
];

impl Style {
    fn take(rest: &mut Cursor<'_>) -> Result<Self, ErrorKind> {
        let begin = *rest;
        let word = rest.word()?;
        if matches!(word, "" | "x" | "X") {
            rest.take_if('?');
        }
        let text = begin.up_to(*rest);
        let mut styles = STYLES.into_iter();
        let style = styles.find(|(_, own)| *own == text);
        style.map(|(style, _)| style).ok_or(ErrorKind::UnknownStyle)
    }

    /// As it is written.
    fn text(self) -> &'static str {
        let mut styles = STYLES.into_iter();
        let style = styles.find(|(style, _)| *style == self);
        style.map_or("", |(_, text)| text)
    }
}

impl fmt::Display for Spec<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(align) = self.align {
            if let Some(fill) = self.fill {
                write!(f, "{fill}")?;
            }
            f.write_str(match align {
                Align::Left => "<",
                Align::Center => "^",
                Align::Right => ">",
            })?;
        }
        f.write_str(match self.sign {
            Some(Sign::Plus) => "+",
            Some(Sign::Minus) => "-",
            None => "",
        })?;
        f.write_str(if self.alternate { "#" } else { "" })?;
        f.write_str(if self.zero { "0" } else { "" })?;
        match self.width {
            // Alone, it would be read as the flag.
            Count::Given(0) if !self.zero => {}
            width => write!(f, "{width}")?,
        }
        if self.precision != Count::None {
            write!(f, ".{}", self.precision)?;
        }
        f.write_str(self.style.text())
    }
}

impl fmt::Display for Count<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Given(number) => write!(f, "{number}"),
            Self::Index(index) => write!(f, "{index}$"),
            Self::Name(name) => write!(f, "{name}$"),
            Self::Star => f.write_str("*"),
        }
    }
}
