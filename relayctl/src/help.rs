//! Help in lines that fit.

use std::fmt::Write as _;

/// The longest line of help, in characters.
pub(crate) const WIDTH: usize = 100;

/// The most that a line is moved in.
const MAX_INDENT: usize = 60;

/// Breaks lines that are longer than [`WIDTH`] between words. What follows begins where the text of
/// the line does: behind the last gap of several blanks.
#[must_use]
pub(crate) fn wrapped(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let begin = line.rfind("  ").map_or(0, |gap| gap + 2);
        let indent = line[..begin].chars().count();
        let indent = if indent > MAX_INDENT { 0 } else { indent };
        let (head, words) = line.split_at(begin);
        let mut column = head.chars().count();
        out.push_str(head);
        for (place, word) in words.split(' ').enumerate() {
            let length = word.chars().count();
            if place > 0 {
                match column + 1 + length > WIDTH && column > indent {
                    // Writing to a `String` cannot fail.
                    true => {
                        let _ = write!(out, "\n{:indent$}", "");
                        column = indent;
                    }
                    false => {
                        out.push(' ');
                        column += 1;
                    }
                }
            }
            out.push_str(word);
            column += length;
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_broken_between_words() {
        let words = |count| vec!["four"; count].join(" ");
        let short = format!("Usage: x\n\n  -a, --all  {}\n", words(10));
        assert_eq!(wrapped(&short), short);
        let long = format!("  -a, --all  {}\n          {}\n", words(20), words(19));
        let wanted = format!(
            "  -a, --all  {}\n             {}\n          {}\n          four\n",
            words(17),
            words(3),
            words(18)
        );
        assert_eq!(wrapped(&long), wanted);
        // What has no blank stays whole.
        let whole = "x".repeat(2 * WIDTH) + "\n";
        assert_eq!(wrapped(&whole), whole);
    }
}
