//! One value, as `core::fmt` would write it.
//!
//! A format string is known when the program is compiled, so what a [`Spec`] says at run time can
//! only be said to `core::fmt` in strings that are all there. There are sixteen, for the flags:
//! the value's own formatting sees them in its `Formatter`. Width, fill and alignment stay outside
//! of them and are done here, but for zeros between sign and digits.

mod fill;

use crate::argument::{Argument, List};
use crate::parse::{Align, Spec, Style};
use core::fmt::{self, Binary, Debug, Display, LowerExp, LowerHex, Octal, UpperExp, UpperHex};
use fill::{Fill, Flags};

/// The width of `{:#p}`: `0x` and the digits of 64 bits.
const POINTER_WIDTH: u16 = 18;

/// Writes one value as `spec` says, its position aside. Any context.
///
/// Counts of `spec` that are no numbers, but positions or names, count as none.
///
/// # Errors
/// Those of `out`.
///
/// ```
/// use relay_text::{Argument, parse::{Count, Spec, Style}, write_argument};
///
/// let spec = Spec { zero: true, width: Count::Given(4), style: Style::LowerHex, ..Spec::default() };
/// let mut text = String::new();
/// write_argument(&mut text, &spec, Argument::Signed { value: -1, bits: 8 })?;
/// assert_eq!(text, "00ff");
/// # Ok::<(), std::fmt::Error>(())
/// ```
pub fn write_argument(
    out: &mut dyn fmt::Write,
    spec: &Spec<'_>,
    argument: Argument<'_>,
) -> fmt::Result {
    let flags = Flags::new(spec);
    let fill = Fill::new(spec);
    match argument {
        Argument::Formatted(text) => out.write_str(text),
        Argument::List(list) => write_debug(out, spec, &Elements { list, spec }),
        Argument::Option(value) => write_debug(out, spec, &Maybe { value, spec }),
        Argument::Pointer(value) if is_pointer(spec.style) => {
            let flags = Flags {
                alternate: true,
                zero: flags.zero || flags.alternate,
                ..flags
            };
            let width = match (fill.width, spec.alternate) {
                (None, true) => Some(POINTER_WIDTH),
                (width, _) => width,
            };
            let shown = Number {
                value: &value,
                style: Style::LowerHex,
            };
            write_number(out, flags, Fill { width, ..fill }, &shown)
        }
        Argument::Unsigned { value, .. } | Argument::Pointer(value) => {
            let style = spec.style;
            write_number(
                out,
                flags,
                fill,
                &Number {
                    value: &value,
                    style,
                },
            )
        }
        Argument::Signed { value, bits } => {
            let style = spec.style;
            if is_digits(style) {
                let value = cut(value, bits);
                write_number(
                    out,
                    flags,
                    fill,
                    &Number {
                        value: &value,
                        style,
                    },
                )
            } else {
                write_number(
                    out,
                    flags,
                    fill,
                    &Number {
                        value: &value,
                        style,
                    },
                )
            }
        }
        Argument::Label { value, .. } if is_digits(spec.style) || is_exponent(spec.style) => {
            let style = spec.style;
            write_number(
                out,
                flags,
                fill,
                &Number {
                    value: &value,
                    style,
                },
            )
        }
        Argument::F32(value) => {
            let style = spec.style;
            write_number(
                out,
                flags,
                fill,
                &Float {
                    value: &value,
                    style,
                },
            )
        }
        Argument::F64(value) => {
            let style = spec.style;
            write_number(
                out,
                flags,
                fill,
                &Float {
                    value: &value,
                    style,
                },
            )
        }
        Argument::Bool(value) => fill.around(out, Align::Left, flags.without_zero(), &value),
        Argument::Label { label, .. } => {
            fill.around(out, Align::Left, flags.without_zero(), &Name(label))
        }
        // Quoted and escaped, they are not filled up.
        Argument::Char(value) if is_debug(spec.style) => write_debug(out, spec, &value),
        Argument::Text(value) if is_debug(spec.style) => write_debug(out, spec, &value),
        Argument::Char(value) => fill.around(out, Align::Left, flags.without_zero(), &value),
        Argument::Text(value) => fill.around(out, Align::Left, flags.without_zero(), &value),
    }
}

impl Debug for Argument<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = Spec {
            style: Style::Debug,
            alternate: f.alternate(),
            ..Spec::default()
        };
        write_argument(f, &spec, *self)
    }
}

fn is_debug(style: Style) -> bool {
    matches!(
        style,
        Style::Debug | Style::DebugLowerHex | Style::DebugUpperHex
    )
}

/// Whether an address is shown as one, and not as a number.
fn is_pointer(style: Style) -> bool {
    is_debug(style) || matches!(style, Style::Display | Style::Pointer)
}

/// Whether a number is shown by its bits.
fn is_digits(style: Style) -> bool {
    matches!(
        style,
        Style::LowerHex
            | Style::UpperHex
            | Style::DebugLowerHex
            | Style::DebugUpperHex
            | Style::Octal
            | Style::Binary
    )
}

fn is_exponent(style: Style) -> bool {
    matches!(style, Style::LowerExp | Style::UpperExp)
}

/// The lowest `bits` of `value`.
fn cut(value: i64, bits: u8) -> u64 {
    match u64::MAX.checked_shl(u32::from(bits)) {
        Some(above) => value as u64 & !above,
        None => value as u64,
    }
}

/// Zeros stand between sign and digits, where only the number's own formatting can put them.
fn write_number(
    out: &mut dyn fmt::Write,
    flags: Flags,
    fill: Fill,
    shown: &dyn Display,
) -> fmt::Result {
    match flags.zero {
        true => flags.write(out, fill.width.unwrap_or(0), shown),
        false => fill.around(out, Align::Right, flags, shown),
    }
}

/// Writes what has a `Debug` of its own, which sees nothing but whether it may use lines.
fn write_debug(out: &mut dyn fmt::Write, spec: &Spec<'_>, shown: &dyn Debug) -> fmt::Result {
    match spec.alternate {
        true => write!(out, "{shown:#?}"),
        false => write!(out, "{shown:?}"),
    }
}

/// A number in a style. It formats itself with the flags of the formatter that it is given.
struct Number<'a, T> {
    value: &'a T,
    style: Style,
}

impl<T> Display for Number<'_, T>
where
    T: Display + LowerHex + UpperHex + Octal + Binary + LowerExp + UpperExp,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.style {
            Style::LowerHex | Style::DebugLowerHex => LowerHex::fmt(self.value, f),
            Style::UpperHex | Style::DebugUpperHex => UpperHex::fmt(self.value, f),
            Style::Octal => Octal::fmt(self.value, f),
            Style::Binary => Binary::fmt(self.value, f),
            Style::LowerExp => LowerExp::fmt(self.value, f),
            Style::UpperExp => UpperExp::fmt(self.value, f),
            Style::Display | Style::Debug | Style::Pointer => Display::fmt(self.value, f),
        }
    }
}

/// A floating-point number in a style.
struct Float<'a, T> {
    value: &'a T,
    style: Style,
}

impl<T: Display + Debug + LowerExp + UpperExp> Display for Float<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.style {
            Style::LowerExp => LowerExp::fmt(self.value, f),
            Style::UpperExp => UpperExp::fmt(self.value, f),
            style if is_debug(style) => Debug::fmt(self.value, f),
            _ => Display::fmt(self.value, f),
        }
    }
}

/// A label. It sees no flags: what it says is its own.
struct Name<'a>(&'a dyn Display);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What `spec` asks of a list or an option is asked of what is in it; there, `{}` is `{:?}`.
fn inner_spec<'a>(spec: &Spec<'a>) -> Spec<'a> {
    match spec.style {
        Style::Display => Spec {
            style: Style::Debug,
            ..*spec
        },
        _ => *spec,
    }
}

/// A value in a list.
struct Element<'a> {
    argument: Argument<'a>,
    spec: Spec<'a>,
}

impl Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_argument(f, &self.spec, self.argument)
    }
}

/// A list, in brackets.
struct Elements<'a> {
    list: &'a dyn List,
    spec: &'a Spec<'a>,
}

impl Debug for Elements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = inner_spec(self.spec);
        let mut shown = f.debug_list();
        self.list.each(&mut |argument| {
            shown.entry(&Element { argument, spec });
            Ok(())
        })?;
        shown.finish()
    }
}

/// A value that may be missing.
struct Maybe<'a> {
    value: Option<&'a Argument<'a>>,
    spec: &'a Spec<'a>,
}

impl Debug for Maybe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = inner_spec(self.spec);
        match self.value {
            Some(argument) => {
                let argument = *argument;
                let mut shown = f.debug_tuple("Some");
                shown.field(&Element { argument, spec }).finish()
            }
            None => f.write_str("None"),
        }
    }
}
