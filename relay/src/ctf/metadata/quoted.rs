//! Texts between quotes.

use core::fmt;

/// A text between quotes.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(['"', '\\', '\n', '\r', '\t', '\0']) {
            let Some(last) = part.chars().next_back() else {
                continue;
            };
            let escaped = match last {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                // Readers take it for the end.
                '\0' => "?",
                _ => {
                    f.write_str(part)?;
                    continue;
                }
            };
            f.write_str(&part[..part.len() - last.len_utf8()])?;
            f.write_str(escaped)?;
        }
        Ok(())
    }
}
