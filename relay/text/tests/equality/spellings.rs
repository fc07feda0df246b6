//! Every combination of flags as a literal, for `core::fmt` itself to format.
//!
//! Width and precision come through `w$` and `p$`, the rest is written out: 480 literals for each
//! of the eleven traits.

use std::fmt::{Binary, Debug, Display, LowerExp, LowerHex, Octal, UpperExp, UpperHex};

/// Returns from the function what `format!` says, if `$spec` is the literal.
macro_rules! say {
    ($value:ident $spec:ident [$($literal:literal)*] $($name:ident = $count:expr),*) => {
        if $spec == concat!($($literal),*) {
            return Some(format!(concat!("{:", $($literal,)* "}"), $value, $($name = $count),*));
        }
    };
}

/// With and without width and precision.
macro_rules! counted {
    ($value:ident $spec:ident $w:ident $p:ident $style:literal [$($head:literal)*]) => {
        say!($value $spec [$($head)* $style]);
        say!($value $spec [$($head)* "w$" $style] w = $w);
        say!($value $spec [$($head)* ".p$" $style] p = $p);
        say!($value $spec [$($head)* "w$" ".p$" $style] w = $w, p = $p);
    };
}

/// With and without the flag `0`.
macro_rules! zeroed {
    ($value:ident $spec:ident $w:ident $p:ident $style:literal [$($head:literal)*]) => {
        counted!($value $spec $w $p $style [$($head)*]);
        counted!($value $spec $w $p $style [$($head)* "0"]);
    };
}

/// With and without `#`.
macro_rules! alternating {
    ($value:ident $spec:ident $w:ident $p:ident $style:literal [$($head:literal)*]) => {
        zeroed!($value $spec $w $p $style [$($head)*]);
        zeroed!($value $spec $w $p $style [$($head)* "#"]);
    };
}

/// With each sign.
macro_rules! signed {
    ($value:ident $spec:ident $w:ident $p:ident $style:literal [$($head:literal)*]) => {
        alternating!($value $spec $w $p $style [$($head)*]);
        alternating!($value $spec $w $p $style [$($head)* "+"]);
        alternating!($value $spec $w $p $style [$($head)* "-"]);
    };
}

/// With each alignment, and each way to fill.
macro_rules! spelled {
    ($function:ident, $value:ty, $style:literal) => {
        /// What `format!` makes of `value` for the spec; `None` if there is no such literal.
        pub(crate) fn $function(value: $value, spec: &str, w: usize, p: usize) -> Option<String> {
            signed!(value spec w p $style [""]);
            signed!(value spec w p $style ["<"]);
            signed!(value spec w p $style [">"]);
            signed!(value spec w p $style ["*^"]);
            signed!(value spec w p $style ["é>"]);
            signed!(value spec w p $style ["0<"]);
            None
        }
    };
}

/// The alignments above.
pub(crate) const ALIGNS: [&str; 6] = ["", "<", ">", "*^", "é>", "0<"];

spelled!(display, &dyn Display, "");
spelled!(debug, &dyn Debug, "?");
spelled!(debug_lower_hex, &dyn Debug, "x?");
spelled!(debug_upper_hex, &dyn Debug, "X?");
spelled!(lower_hex, &dyn LowerHex, "x");
spelled!(upper_hex, &dyn UpperHex, "X");
spelled!(octal, &dyn Octal, "o");
spelled!(binary, &dyn Binary, "b");
spelled!(pointer, *const u8, "p");
spelled!(lower_exp, &dyn LowerExp, "e");
spelled!(upper_exp, &dyn UpperExp, "E");
