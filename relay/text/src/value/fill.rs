//! What stands around a value, and what its formatting is told.

use crate::parse::{Align, Count, Sign, Spec};
use core::fmt::{self, Display};

/// What a value's own formatting sees in its `Formatter`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags {
    pub(super) plus: bool,
    pub(super) alternate: bool,
    pub(super) zero: bool,
    pub(super) precision: Option<u16>,
}

impl Flags {
    pub(super) fn new(spec: &Spec<'_>) -> Self {
        Self {
            plus: spec.sign == Some(Sign::Plus),
            alternate: spec.alternate,
            zero: spec.zero,
            precision: given(spec.precision),
        }
    }

    /// For what is no number: no zeros are put before it.
    pub(super) fn without_zero(self) -> Self {
        Self {
            zero: false,
            ..self
        }
    }

    /// Writes `shown` with these flags. Zeros fill it up to `width` characters; without the flag
    /// `zero`, nothing does.
    pub(super) fn write(
        self,
        out: &mut dyn fmt::Write,
        width: u16,
        shown: &dyn Display,
    ) -> fmt::Result {
        let width = usize::from(width);
        let Self {
            plus,
            alternate,
            zero,
            precision,
        } = self;
        let precision = precision.map(usize::from);
        match (plus, alternate, zero, precision) {
            (false, false, false, None) => write!(out, "{shown}"),
            (false, false, false, Some(p)) => write!(out, "{shown:.p$}"),
            (false, false, true, None) => write!(out, "{shown:0width$}"),
            (false, false, true, Some(p)) => write!(out, "{shown:0width$.p$}"),
            (false, true, false, None) => write!(out, "{shown:#}"),
            (false, true, false, Some(p)) => write!(out, "{shown:#.p$}"),
            (false, true, true, None) => write!(out, "{shown:#0width$}"),
            (false, true, true, Some(p)) => write!(out, "{shown:#0width$.p$}"),
            (true, false, false, None) => write!(out, "{shown:+}"),
            (true, false, false, Some(p)) => write!(out, "{shown:+.p$}"),
            (true, false, true, None) => write!(out, "{shown:+0width$}"),
            (true, false, true, Some(p)) => write!(out, "{shown:+0width$.p$}"),
            (true, true, false, None) => write!(out, "{shown:+#}"),
            (true, true, false, Some(p)) => write!(out, "{shown:+#.p$}"),
            (true, true, true, None) => write!(out, "{shown:+#0width$}"),
            (true, true, true, Some(p)) => write!(out, "{shown:+#0width$.p$}"),
        }
    }
}

/// The number that a count gives.
fn given(count: Count<'_>) -> Option<u16> {
    match count {
        Count::Given(number) => Some(number),
        Count::None | Count::Index(_) | Count::Name(_) | Count::Star => None,
    }
}

/// What stands around a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    pub(super) character: char,
    pub(super) align: Option<Align>,
    pub(super) width: Option<u16>,
}

impl Fill {
    pub(super) fn new(spec: &Spec<'_>) -> Self {
        Self {
            character: spec.fill.unwrap_or(' '),
            align: spec.align,
            width: given(spec.width),
        }
    }

    /// Writes `shown`, filled up to the width; it lies at the side `natural` unless told otherwise.
    pub(super) fn around(
        self,
        out: &mut dyn fmt::Write,
        natural: Align,
        flags: Flags,
        shown: &dyn Display,
    ) -> fmt::Result {
        let Some(width @ 1..) = self.width else {
            return flags.write(out, 0, shown);
        };
        let mut length = Length(0);
        flags.write(&mut length, 0, shown)?;
        let missing = usize::from(width).saturating_sub(length.0);
        let before = match self.align.unwrap_or(natural) {
            Align::Left => 0,
            Align::Center => missing / 2,
            Align::Right => missing,
        };
        self.repeat(out, before)?;
        flags.write(out, 0, shown)?;
        self.repeat(out, missing - before)
    }

    fn repeat(self, out: &mut dyn fmt::Write, count: usize) -> fmt::Result {
        (0..count).try_for_each(|_| out.write_char(self.character))
    }
}

/// Counts the characters of a text.
struct Length(usize);

impl fmt::Write for Length {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.saturating_add(text.chars().count());
        Ok(())
    }
}
