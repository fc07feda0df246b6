//! The floors as a picture: the highest on top, each with the floors below it that it imports.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::House;
use super::source::Crate;

/// Draws a house.
pub(crate) fn draw(house: &House, source: &Crate) -> String {
    let mut text = format!("{}\n", house.root);
    for floor in house.floors.split_whitespace().rev() {
        let files = source
            .files()
            .filter(|module| module.first().is_some_and(|first| first == floor));
        let below: BTreeSet<_> = files
            .flat_map(|module| source.imports(module))
            .filter_map(|module| module.first().cloned())
            .filter(|other| other != floor)
            .collect();
        let below: Vec<_> = below.iter().map(String::as_str).collect();
        let line = format!("  {floor:<10} {}", below.join(" "));
        writeln!(text, "{}", line.trim_end()).expect("a text takes everything");
    }
    text
}
