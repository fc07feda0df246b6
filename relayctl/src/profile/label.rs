//! What functions are called, and which one is meant by a name.

use crate::symbols::Frame;

/// A function, as people see it. One that was inlined may have no more than its own name, without
/// its module: its file tells it from others then.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Label {
    /// Its name.
    pub(crate) name: String,
    /// Its source file, if it needs it.
    pub(crate) file: Option<String>,
}

impl Label {
    /// The function of a frame.
    #[must_use]
    pub(crate) fn of(frame: &Frame) -> Self {
        let is_whole = !frame.is_inlined || frame.function.contains("::");
        Self {
            name: frame.function.clone(),
            file: frame.file.clone().filter(|_| !is_whole),
        }
    }

    /// As one text.
    #[must_use]
    pub(crate) fn text(&self) -> String {
        match &self.file {
            Some(file) => format!("{} ({file})", self.name),
            None => self.name.clone(),
        }
    }

    /// Whether a name that somebody wrote ends like this one, at the beginning of a word.
    fn ends_with(&self, name: &str) -> bool {
        let rest = self.name.strip_suffix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with("::"))
    }
}

/// What a name means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// One function.
    One(&'a Label),
    /// None.
    None,
    /// Several.
    Several(Vec<&'a Label>),
}

/// The function that somebody means: by its whole text, its whole name, or the end of it. The
/// first of these that one function has decides.
#[must_use]
pub(crate) fn find<'a>(labels: &'a [Label], name: &str) -> Found<'a> {
    let is_right: [&dyn Fn(&Label) -> bool; 3] = [
        &|label| label.text() == name,
        &|label| label.name == name,
        &|label| label.ends_with(name),
    ];
    for is_right in is_right {
        let found: Vec<_> = labels.iter().filter(|label| is_right(label)).collect();
        match found[..] {
            [] => {}
            [one] => return Found::One(one),
            _ => return Found::Several(found),
        }
    }
    Found::None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_a_function() {
        let label = |name: &str, file: Option<&str>| Label {
            name: name.to_owned(),
            file: file.map(str::to_owned),
        };
        let labels = [
            label("kernel::a::spin", None),
            label("kernel::b::spin", None),
            label("kernel::b::respin", None),
            label("next", Some("core/range.rs")),
            label("next", Some("core/slice.rs")),
            label("spin", None),
        ];
        let found = |name| match find(&labels, name) {
            Found::One(label) => label.text(),
            Found::None => "none".to_owned(),
            Found::Several(all) => all.len().to_string(),
        };
        assert_eq!(found("spin"), "spin");
        assert_eq!(found("a::spin"), "kernel::a::spin");
        assert_eq!(found("respin"), "kernel::b::respin");
        assert_eq!(found("pin"), "none");
        assert_eq!(found(""), "none");
        assert_eq!(found("next"), "2");
        assert_eq!(found("next (core/slice.rs)"), "next (core/slice.rs)");
        assert!(matches!(find(&labels[..2], "spin"), Found::Several(_)));
    }
}
