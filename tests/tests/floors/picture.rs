//! The floors as a picture: the highest on top, with its files and what it imports.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::House;
use super::source::{Crate, ModulePath};

/// Files of a floor on a line of the picture, at most.
const PER_LINE: usize = 6;

/// Draws a house.
pub(crate) fn draw(house: &House, source: &Crate) -> String {
    let mut text = format!("{}\n", house.root);
    for floor in house.floors.split_whitespace().rev() {
        let on_it = |module: &ModulePath| module.first().is_some_and(|first| first == floor);
        let files: Vec<_> = source.files().filter(|module| on_it(module)).collect();
        let below: BTreeSet<_> = files
            .iter()
            .flat_map(|module| source.imports(module))
            .filter_map(|module| module.first().cloned())
            .filter(|other| other != floor)
            .collect();
        let below: Vec<_> = below.iter().map(String::as_str).collect();
        let imports = match below.is_empty() {
            true => "nothing".to_owned(),
            false => below.join(", "),
        };
        writeln!(text, "  {floor:<10} imports {imports}").expect("a text takes everything");
        let names = files.iter().filter_map(|module| module.get(1));
        let names: Vec<_> = names.collect::<BTreeSet<_>>().into_iter().collect();
        for some in names.chunks(PER_LINE) {
            let some: Vec<_> = some.iter().map(|name| name.as_str()).collect();
            writeln!(text, "      {}", some.join(" ")).expect("a text takes everything");
        }
    }
    text
}
