//! Values, and where a template finds them.

use core::fmt;

/// A value that a placeholder may show.
///
/// A style that a value does not have, like `{:x}` of a text, is as `{}`: it is never hidden. Its
/// `Debug` is the text of `{:?}`.
///
/// ```
/// use relay_text::Argument;
/// assert_eq!(format!("{:?}", Argument::Text("a\n")), r#""a\n""#);
/// ```
#[derive(Clone, Copy)]
pub enum Argument<'a> {
    /// An unsigned number.
    Unsigned {
        /// It.
        value: u64,
        /// How many bits its type has.
        bits: u8,
    },
    /// A signed number.
    Signed {
        /// It.
        value: i64,
        /// How many bits its type has: `{:x}` of -1 has as many.
        bits: u8,
    },
    /// `true` or `false`.
    Bool(bool),
    /// A character.
    Char(char),
    /// A floating-point number of 32 bits: in 64 it would have other digits.
    F32(f32),
    /// A floating-point number of 64 bits.
    F64(f64),
    /// A text.
    Text(&'a str),
    /// An address, or a number that is shown like one: `{}`, `{:?}` and `{:p}` are those of a
    /// pointer of 64 bits, all others those of a number.
    Pointer(u64),
    /// A text that was formatted when the record was written. It is inserted as it is, whatever the
    /// placeholder asks for.
    Formatted(&'a str),
    /// A number with a name: of an enumeration, of flags.
    Label {
        /// The name. `{}` and `{:?}` show it, filled up as a text is. It is never cut.
        label: &'a dyn fmt::Display,
        /// The number, which `{:x}`, `{:o}`, `{:b}` and `{:e}` show.
        value: u64,
    },
    /// Several values. What the placeholder asks for is asked of each; `{}` is as `{:?}`.
    List(&'a dyn List),
    /// A value that may be missing. What the placeholder asks for is asked of the value; `{}` is as
    /// `{:?}`.
    Option(Option<&'a Argument<'a>>),
}

/// Several values, one after another. A decoder may make each when it comes to it.
pub trait List {
    /// Calls `element` with each value in order, up to the first error.
    ///
    /// # Errors
    /// The first one of `element`.
    fn each(&self, element: &mut dyn FnMut(Argument<'_>) -> fmt::Result) -> fmt::Result;
}

impl List for [Argument<'_>] {
    fn each(&self, element: &mut dyn FnMut(Argument<'_>) -> fmt::Result) -> fmt::Result {
        self.iter().try_for_each(|argument| element(*argument))
    }
}

impl<const N: usize> List for [Argument<'_>; N] {
    fn each(&self, element: &mut dyn FnMut(Argument<'_>) -> fmt::Result) -> fmt::Result {
        self.as_slice().each(element)
    }
}

/// Bytes, as a list of numbers.
///
/// ```
/// use relay_text::{Argument, Bytes};
/// let mut text = String::new();
/// let fields = [("bytes", Argument::List(&Bytes(&[1, 0xab])))];
/// relay_text::write(&mut text, "{bytes:02x?}", &fields)?;
/// assert_eq!(text, "[01, ab]");
/// # Ok::<(), std::fmt::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'a>(
    /// The bytes.
    pub &'a [u8],
);

impl List for Bytes<'_> {
    fn each(&self, element: &mut dyn FnMut(Argument<'_>) -> fmt::Result) -> fmt::Result {
        self.0.iter().try_for_each(|byte| {
            element(Argument::Unsigned {
                value: u64::from(*byte),
                bits: 8,
            })
        })
    }
}

/// Where a template finds its values: a record's fields.
pub trait Fields {
    /// Calls `found` once with the value of the field `name`; not at all if there is none.
    ///
    /// # Errors
    /// Those of `found`.
    fn find(&self, name: &str, found: &mut dyn FnMut(Argument<'_>) -> fmt::Result) -> fmt::Result;
}

/// Names and values; of several with one name, the first.
impl Fields for [(&str, Argument<'_>)] {
    fn find(&self, name: &str, found: &mut dyn FnMut(Argument<'_>) -> fmt::Result) -> fmt::Result {
        match self.iter().find(|(own, _)| *own == name) {
            Some((_, argument)) => found(*argument),
            None => Ok(()),
        }
    }
}

/// Names and values; of several with one name, the first.
impl<const N: usize> Fields for [(&str, Argument<'_>); N] {
    fn find(&self, name: &str, found: &mut dyn FnMut(Argument<'_>) -> fmt::Result) -> fmt::Result {
        self.as_slice().find(name, found)
    }
}
