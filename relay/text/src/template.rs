//! A whole sentence.

use crate::argument::{Argument, Fields};
use crate::parse::{Count, Piece, Placeholder, Position, Spec, pieces};
use crate::value::write_argument;
use core::fmt;

/// Writes the sentence of `template`, whose placeholders name `fields`. Any context.
///
/// What the template says wrongly, or asks of a field that is not there, is written as it stands:
/// the reader sees what is missing. So are placeholders without a name, `{}` and `{0}`.
///
/// # Errors
/// Those of `out`.
///
/// ```
/// use relay_text::Argument;
///
/// let fields = [
///     ("share", Argument::F64(12.345)),
///     ("digits", Argument::Unsigned { value: 1, bits: 64 }),
/// ];
/// let mut text = String::new();
/// relay_text::write(&mut text, "{share:.digits$} % of {what} {{}}", &fields)?;
/// assert_eq!(text, "12.3 % of {what} {}");
/// # Ok::<(), std::fmt::Error>(())
/// ```
pub fn write(out: &mut dyn fmt::Write, template: &str, fields: &dyn Fields) -> fmt::Result {
    pieces(template).try_for_each(|piece| match piece {
        Ok(Piece::Text(text)) => out.write_str(text),
        Ok(Piece::Placeholder(placeholder)) => fill_in(out, &placeholder, fields),
        Err(error) => out.write_str(error.source),
    })
}

/// Writes the value that `placeholder` asks for, or the placeholder.
fn fill_in(
    out: &mut dyn fmt::Write,
    placeholder: &Placeholder<'_>,
    fields: &dyn Fields,
) -> fmt::Result {
    let mut is_found = false;
    if let Position::Name(name) = placeholder.position
        && let Some(spec) = with_counts(&placeholder.spec, fields)
    {
        fields.find(name, &mut |argument| {
            // One value per placeholder, whatever the fields say.
            if is_found {
                return Ok(());
            }
            is_found = true;
            write_argument(out, &spec, argument)
        })?;
    }
    match is_found {
        true => Ok(()),
        false => out.write_str(placeholder.source),
    }
}

/// `spec` with numbers as its counts; `None` if a count is not there.
fn with_counts<'a>(spec: &Spec<'a>, fields: &dyn Fields) -> Option<Spec<'a>> {
    Some(Spec {
        width: number(spec.width, fields)?,
        precision: number(spec.precision, fields)?,
        ..*spec
    })
}

/// A count that is a number or none; `None` if it is not there, is no number, or is one that
/// `core::fmt` does not take.
fn number<'a>(count: Count<'a>, fields: &dyn Fields) -> Option<Count<'a>> {
    let name = match count {
        Count::None | Count::Given(_) => return Some(count),
        Count::Index(_) | Count::Star => return None,
        Count::Name(name) => name,
    };
    let mut number = None;
    let looked = fields.find(name, &mut |argument| {
        if let Argument::Unsigned { value, .. } = argument {
            number = u16::try_from(value).ok();
        }
        Ok(())
    });
    looked.ok()?;
    number.map(Count::Given)
}
