//! How values become fields.

use super::FieldsMut;
use super::fields::{MOST, shortened};
use core::ffi::CStr;
use relay_format::class::{CONTEXT, Kind, SEVERITY};
use relay_format::{Context, Severity};

/// What can be a field of an [event](super::Event), and how it is stored. Types of any crate may be
/// fields: numbers, `bool`, `char`, texts, bytes, arrays, slices and options are; an enumeration is
/// with `#[derive(relay::Enum)]`; others say it themselves.
///
/// ```
/// use relay::event::{FieldsMut, Kind, Value};
///
/// /// A physical address, stored in 32 bits: those of its page.
/// struct Frame(u64);
///
/// impl Value for Frame {
///     const KIND: Kind = Kind::Hex32;
///
///     fn size(&self) -> usize { 4 }
///
///     fn store(&self, fields: &mut FieldsMut<'_>) {
///         fields.u32((self.0 >> 12) as u32);
///     }
/// }
///
/// let mut bytes = [0; 4];
/// Frame(0x1234_5000).store(&mut FieldsMut::new(&mut bytes));
/// assert_eq!(bytes, [0x45, 0x23, 0x01, 0x00]);
/// assert_eq!(Frame::SIZE, Some(4));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of an event",
    label = "no field of an event is of this type",
    note = "fields are numbers, bool, char, &str, &[u8], [T; N], &[T], Option<T>, what derives \
            relay::Enum, and what implements relay::event::Value"
)]
pub trait Value {
    /// How it is described.
    const KIND: Kind;

    /// Bytes that it takes, if all values take the same.
    const SIZE: Option<usize> = Self::KIND.size();

    /// Bytes that this one takes. Any context.
    fn size(&self) -> usize;

    /// Stores it: [`size`](Self::size) bytes. Any context; it is called while the record is under
    /// way.
    fn store(&self, fields: &mut FieldsMut<'_>);

    /// Stores several, one behind the other. Any context.
    #[inline(always)]
    fn store_all(values: &[Self], fields: &mut FieldsMut<'_>)
    where
        Self: Sized,
    {
        values.iter().for_each(|value| value.store(fields));
    }
}

impl Value for u8 {
    const KIND: Kind = Kind::U8;

    #[inline(always)]
    fn size(&self) -> usize {
        1
    }

    #[inline(always)]
    fn store(&self, fields: &mut FieldsMut<'_>) {
        fields.u8(*self);
    }

    #[inline(always)]
    fn store_all(values: &[Self], fields: &mut FieldsMut<'_>) {
        fields.run(values);
    }
}

/// Numbers: their bytes.
macro_rules! numbers {
    ($($type:ty as $wide:ty: $kind:ident,)*) => {$(
        impl Value for $type {
            const KIND: Kind = Kind::$kind;

            #[inline(always)]
            fn size(&self) -> usize {
                size_of::<$wide>()
            }

            #[inline(always)]
            fn store(&self, fields: &mut FieldsMut<'_>) {
                fields.bytes(&(*self as $wide).to_le_bytes());
            }
        }
    )*};
}

numbers! {
    u16 as u16: U16,
    u32 as u32: U32,
    u64 as u64: U64,
    usize as u64: U64,
    i8 as i8: I8,
    i16 as i16: I16,
    i32 as i32: I32,
    i64 as i64: I64,
    isize as i64: I64,
    f32 as f32: F32,
    f64 as f64: F64,
    bool as u8: Bool,
}

/// What has a name for each of its numbers, of 8 bits.
macro_rules! named {
    ($($type:ty: $class:ident,)*) => {$(
        impl Value for $type {
            const KIND: Kind = Kind::Enum(&$class);

            #[inline(always)]
            fn size(&self) -> usize {
                1
            }

            #[inline(always)]
            fn store(&self, fields: &mut FieldsMut<'_>) {
                fields.u8(*self as u8);
            }
        }
    )*};
}

named! {
    Context: CONTEXT,
    Severity: SEVERITY,
}

/// A number that people want to see in base 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hex<T>(pub T);

/// Numbers in base 16.
macro_rules! hex {
    ($($type:ty as $wide:ty: $kind:ident,)*) => {$(
        impl Value for Hex<$type> {
            const KIND: Kind = Kind::$kind;

            #[inline(always)]
            fn size(&self) -> usize {
                size_of::<$wide>()
            }

            #[inline(always)]
            fn store(&self, fields: &mut FieldsMut<'_>) {
                fields.bytes(&(self.0 as $wide).to_le_bytes());
            }
        }
    )*};
}

hex! {
    u8 as u8: Hex8,
    u16 as u16: Hex16,
    u32 as u32: Hex32,
    u64 as u64: Hex64,
    usize as u64: Hex64,
}

/// Pointers: their addresses.
macro_rules! pointers {
    ($($type:ty,)*) => {$(
        impl<T> Value for $type {
            const KIND: Kind = Kind::Hex64;

            #[inline(always)]
            fn size(&self) -> usize {
                8
            }

            #[inline(always)]
            fn store(&self, fields: &mut FieldsMut<'_>) {
                fields.u64(self.addr() as u64);
            }
        }
    )*};
}

pointers! {
    *const T,
    *mut T,
}

impl Value for char {
    const KIND: Kind = Kind::Char;

    #[inline(always)]
    fn size(&self) -> usize {
        4
    }

    #[inline]
    fn store(&self, fields: &mut FieldsMut<'_>) {
        let mut bytes = [0; 4];
        let _ = self.encode_utf8(&mut bytes);
        fields.bytes(&bytes);
    }
}

impl Value for str {
    const KIND: Kind = Kind::Str;

    #[inline(always)]
    fn size(&self) -> usize {
        2 + shortened(self, MOST).len()
    }

    #[inline(always)]
    fn store(&self, fields: &mut FieldsMut<'_>) {
        fields.text(self);
    }
}

/// A text with a zero byte behind it, which is stored as it is: a `string` of CTF. It should be
/// UTF-8.
impl Value for CStr {
    const KIND: Kind = Kind::String;

    #[inline(always)]
    fn size(&self) -> usize {
        self.to_bytes_with_nul().len()
    }

    #[inline(always)]
    fn store(&self, fields: &mut FieldsMut<'_>) {
        fields.run(self.to_bytes_with_nul());
    }
}

/// A short text that takes `N` bytes, whatever it says: what is longer is cut, what is shorter has
/// zeros behind it. A field `comm` of Linux has 16. Readers take one of 4 bytes for a `char`.
///
/// ```
/// use relay::event::{Chars, Value};
///
/// let name = Chars::<8>::new("cpu/7");
/// assert_eq!(name.text(), "cpu/7");
/// assert_eq!(Chars::<4>::new("cpu/7").text(), "cpu/");
/// assert_eq!(Chars::<8>::SIZE, Some(8));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chars<const N: usize>([u8; N]);

impl<const N: usize> Chars<N> {
    /// As much of `text` as there is room for, up to a character's end. Any context.
    #[must_use]
    pub const fn new(text: &str) -> Self {
        let bytes = text.as_bytes();
        let mut kept = if bytes.len() < N { bytes.len() } else { N };
        while !text.is_char_boundary(kept) {
            kept -= 1;
        }
        let mut chars = [0; N];
        let mut at = 0;
        while at < kept {
            chars[at] = bytes[at];
            at += 1;
        }
        Self(chars)
    }

    /// What it says, up to the first zero byte. Any context.
    #[must_use]
    pub fn text(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0);
        let text = core::str::from_utf8(&self.0[..end.unwrap_or(N)]);
        text.unwrap_or_default()
    }
}

impl<const N: usize> Value for Chars<N> {
    const KIND: Kind = Kind::Chars(N);

    #[inline(always)]
    fn size(&self) -> usize {
        N
    }

    #[inline(always)]
    fn store(&self, fields: &mut FieldsMut<'_>) {
        fields.array(&self.0);
    }
}

impl<T: Value + ?Sized> Value for &T {
    const KIND: Kind = T::KIND;
    const SIZE: Option<usize> = T::SIZE;

    #[inline(always)]
    fn size(&self) -> usize {
        T::size(self)
    }

    #[inline(always)]
    fn store(&self, fields: &mut FieldsMut<'_>) {
        T::store(self, fields);
    }
}

#[cfg(feature = "alloc")]
impl Value for alloc::string::String {
    const KIND: Kind = Kind::Str;

    #[inline(always)]
    fn size(&self) -> usize {
        self.as_str().size()
    }

    #[inline(always)]
    fn store(&self, fields: &mut FieldsMut<'_>) {
        self.as_str().store(fields);
    }
}

impl<T: Value, const N: usize> Value for [T; N] {
    const KIND: Kind = Kind::Array(&T::KIND, N);

    #[inline(always)]
    fn size(&self) -> usize {
        match Self::SIZE {
            Some(size) => size,
            None => self.iter().map(T::size).fold(0, usize::saturating_add),
        }
    }

    #[inline(always)]
    fn store(&self, fields: &mut FieldsMut<'_>) {
        T::store_all(self, fields);
    }
}

impl<T: Value> Value for [T] {
    const KIND: Kind = match T::KIND {
        Kind::U8 => Kind::Blob,
        _ => Kind::Sequence(&T::KIND),
    };

    fn size(&self) -> usize {
        let counted = &self[..self.len().min(MOST)];
        let size = match T::SIZE {
            Some(size) => counted.len().saturating_mul(size),
            None => counted.iter().map(T::size).fold(0, usize::saturating_add),
        };
        size.saturating_add(2)
    }

    fn store(&self, fields: &mut FieldsMut<'_>) {
        let counted = &self[..self.len().min(MOST)];
        fields.u16(counted.len() as u16);
        T::store_all(counted, fields);
    }
}

impl<T: Value> Value for Option<T> {
    const KIND: Kind = Kind::Optional(&T::KIND);

    #[inline]
    fn size(&self) -> usize {
        1 + self.as_ref().map_or(0, T::size)
    }

    #[inline]
    fn store(&self, fields: &mut FieldsMut<'_>) {
        fields.u8(self.is_some().into());
        if let Some(value) = self {
            value.store(fields);
        }
    }
}
