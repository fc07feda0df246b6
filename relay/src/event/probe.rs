//! Which form an argument of a statement has in its record: its value, or its text.
//!
//! A number is stored as it is, and printed when the record is read. What has a `Display` or `Debug`
//! of its own cannot be: only the program knows what it says. So it is formatted where it stands.
//! Which of the two it is, the type says, and a macro does not know types. It makes the compiler
//! look for a method:
//!
//! ```text
//! (&Probe(a)).form().of(a, format_args!("{0:08}", *(&Probe(a)).shown()))
//! ```
//!
//! `form` is first looked for with `&Probe` as the receiver, where [`FormOfValue`] has one, for types
//! that are [`Plain`] only; and then with `&&Probe`, where [`FormOfText`] has one for all types. In
//! a generic function, a type that is any which can be printed is not known to be plain.
//!
//! `shown` is found in the same way: see [`shown`](super::shown).

use super::{FieldsMut, Kind, Value};
use core::fmt;

/// Values that `relay_text` prints as `core::fmt` does.
pub trait Plain: Value {}

macro_rules! plain {
    ($($type:ty)*) => {
        $(impl Plain for $type {})*
    };
}

plain! { u8 u16 u32 u64 usize i8 i16 i32 i64 isize f32 f64 bool char str }

#[cfg(feature = "alloc")]
impl Plain for alloc::string::String {}

impl<T: Plain + ?Sized> Plain for &T {}

// Their text is an address: `{:?}` alone gets here.
impl<T> Plain for *const T {}

impl<T> Plain for *mut T {}

/// An argument, to be asked for its form.
#[derive(Debug)]
pub struct Probe<'a, T: ?Sized>(pub &'a T);

/// The same of an argument whose address is shown: that of a reference is not its value.
#[derive(Debug)]
pub struct AddressProbe<'a, T: ?Sized>(pub &'a T);

/// The form of what is stored as it is.
#[derive(Clone, Copy, Debug)]
pub struct AsValue;

/// The form of what is formatted where it stands.
#[derive(Clone, Copy, Debug)]
pub struct AsText;

impl AsValue {
    /// The value. Its text is made of references, and is not made here.
    #[inline(always)]
    pub fn of<'a, T: ?Sized>(self, value: &'a T, _text: fmt::Arguments<'_>) -> &'a T {
        value
    }
}

impl AsText {
    /// The text.
    #[inline(always)]
    pub fn of<'a, T: ?Sized>(self, _value: &T, text: fmt::Arguments<'a>) -> InPlace<'a> {
        InPlace(text)
    }
}

/// What is asked first.
pub trait FormOfValue {
    /// The form.
    #[inline(always)]
    fn form(&self) -> AsValue {
        AsValue
    }
}

impl<T: Plain + ?Sized> FormOfValue for Probe<'_, T> {}

/// What is asked first where an address is shown.
pub trait AddressOfValue {
    /// The form.
    #[inline(always)]
    fn form(&self) -> AsValue {
        AsValue
    }
}

impl<T> AddressOfValue for AddressProbe<'_, *const T> {}

impl<T> AddressOfValue for AddressProbe<'_, *mut T> {}

/// What is asked last.
pub trait FormOfText {
    /// The form.
    #[inline(always)]
    fn form(&self) -> AsText {
        AsText
    }
}

impl<T: ?Sized> FormOfText for &Probe<'_, T> {}

impl<T: ?Sized> FormOfText for &AddressProbe<'_, T> {}

/// A text that is formatted into the record: [`Kind::String`].
#[derive(Clone, Copy, Debug)]
pub struct InPlace<'a>(pub fmt::Arguments<'a>);

impl Value for InPlace<'_> {
    const KIND: Kind = Kind::String;

    fn size(&self) -> usize {
        let mut length = Length(0);
        // What fails to print takes the room of a note, which is not known here: the record of a
        // statement has room for it.
        let _ = fmt::write(&mut length, self.0);
        length.0.saturating_add(1)
    }

    fn store(&self, fields: &mut FieldsMut<'_>) {
        fields.formatted(self.0);
    }
}

/// Counts the bytes of a text.
struct Length(usize);

impl fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.saturating_add(text.len());
        Ok(())
    }
}

/// The kind of numbers with the fewest bits that holds all of these.
#[must_use]
pub const fn fewest_bits(values: &[(&str, i128)]) -> &'static Kind {
    let (mut least, mut most) = (0, 0);
    let mut at = 0;
    while at < values.len() {
        let value = values[at].1;
        least = if value < least { value } else { least };
        most = if value > most { value } else { most };
        at += 1;
    }
    let signed = [
        (i8::MIN as i128, i8::MAX as i128, &Kind::I8),
        (i16::MIN as i128, i16::MAX as i128, &Kind::I16),
        (i32::MIN as i128, i32::MAX as i128, &Kind::I32),
        (i64::MIN as i128, i64::MAX as i128, &Kind::I64),
    ];
    let unsigned = [
        (0, u8::MAX as i128, &Kind::U8),
        (0, u16::MAX as i128, &Kind::U16),
        (0, u32::MAX as i128, &Kind::U32),
        (0, u64::MAX as i128, &Kind::U64),
    ];
    let kinds = if least < 0 { &signed } else { &unsigned };
    let mut at = 0;
    while at < kinds.len() {
        let (lowest, highest, kind) = kinds[at];
        if lowest <= least && most <= highest {
            return kind;
        }
        at += 1;
    }
    panic!("64 bits do not hold all numbers of an enumeration");
}
