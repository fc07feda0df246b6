//! Files that import each other, directly or through others.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Crate, ModulePath};

/// All circles: sets of at least two files, each of which imports itself through the others.
pub(crate) fn find(source: &Crate) -> Vec<Vec<ModulePath>> {
    let imports: BTreeMap<_, _> = source
        .files()
        .map(|module| (module.clone(), source.imports(module)))
        .collect();
    let reaches: BTreeMap<_, _> = imports
        .keys()
        .map(|module| (module, reachable(&imports, module)))
        .collect();
    let mut circles = BTreeSet::new();
    for (module, reached) in &reaches {
        if reached.contains(*module) {
            let others = reached
                .iter()
                .filter(|other| reaches[other].contains(*module));
            circles.insert(others.cloned().collect::<Vec<_>>());
        }
    }
    circles.into_iter().collect()
}

/// What can be reached from `start` over one import or more.
fn reachable(
    imports: &BTreeMap<ModulePath, BTreeSet<ModulePath>>,
    start: &ModulePath,
) -> BTreeSet<ModulePath> {
    let mut reached = BTreeSet::new();
    let mut left = vec![start];
    while let Some(at) = left.pop() {
        for next in &imports[at] {
            if reached.insert(next.clone()) {
                left.push(next);
            }
        }
    }
    reached
}
