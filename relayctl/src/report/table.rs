//! Tables for people.

use std::fmt::Write as _;

/// Aligns columns to the right, the last one to the left.
pub(crate) fn align(rows: &[impl AsRef<[String]>]) -> String {
    let cell =
        |row: &[String], column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
    let width = |column: usize| {
        let widths = rows.iter().map(|row| cell(row.as_ref(), column));
        widths.max().unwrap_or(0)
    };
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.as_ref().iter().enumerate() {
            // Writing to a `String` cannot fail.
            let _ = match column + 1 == row.as_ref().len() {
                true => writeln!(text, "{cell}"),
                false => write!(text, "{cell:>width$}  ", width = width(column)),
            };
        }
    }
    text
}
