//! An argument of a statement as `core::fmt` sees it, or something in its place that says nothing.
//!
//! The compiler reads a statement's text twice: as a whole, to check it, and again each placeholder
//! whose value may have to be formatted where it stands. What is wrong should be told once, by the
//! first. So the second is given a value that has the trait that it asks for, found as
//! [`probe`](super::probe) tells: the argument if it has, else [`Unshown`].

use super::probe::Probe;
use core::fmt;

/// What stands for a value that cannot be shown as it is asked for. The program does not compile.
pub struct Unshown;

/// A module for each trait, with a trait for what has it and one for all others.
macro_rules! shown {
    ($($module:ident: $trait:ident,)*) => {$(
        #[doc(hidden)]
        pub mod $module {
            use super::*;

            /// What is asked first.
            pub trait OfValue<'a> {
                /// The value's type.
                type Shown: 'a;

                /// The value.
                fn shown(&self) -> &'a Self::Shown;
            }

            impl<'a, T: fmt::$trait> OfValue<'a> for Probe<'a, T> {
                type Shown = T;

                #[inline(always)]
                fn shown(&self) -> &'a T {
                    self.0
                }
            }

            /// What is asked last.
            pub trait OfOthers {
                /// Nothing to show.
                #[inline(always)]
                fn shown(&self) -> &'static Unshown {
                    &Unshown
                }
            }

            impl<T: ?Sized> OfOthers for &Probe<'_, T> {}

            impl fmt::$trait for Unshown {
                fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                    Ok(())
                }
            }
        }
    )*};
}

shown! {
    display: Display,
    debug: Debug,
    lower_hex: LowerHex,
    upper_hex: UpperHex,
    octal: Octal,
    binary: Binary,
    pointer: Pointer,
    lower_exp: LowerExp,
    upper_exp: UpperExp,
}

/// The same of a width or precision.
#[doc(hidden)]
pub mod count {
    use super::Probe;

    /// What is asked first.
    pub trait OfValue<'a> {
        /// The number.
        fn shown(&self) -> &'a usize;
    }

    impl<'a> OfValue<'a> for Probe<'a, usize> {
        #[inline(always)]
        fn shown(&self) -> &'a usize {
            self.0
        }
    }

    /// What is asked last.
    pub trait OfOthers {
        /// No number.
        #[inline(always)]
        fn shown(&self) -> &'static usize {
            &0
        }
    }

    impl<T: ?Sized> OfOthers for &Probe<'_, T> {}
}

/// Unsigned numbers, whose bits may have names.
#[diagnostic::on_unimplemented(
    message = "the bits of `{Self}` have no names",
    label = "flags are u8, u16, u32, u64 or usize"
)]
pub trait Bits: super::Value {
    /// Their kind.
    const BITS: super::Kind = Self::KIND;
}

impl Bits for u8 {}
impl Bits for u16 {}
impl Bits for u32 {}
impl Bits for u64 {}
impl Bits for usize {}
