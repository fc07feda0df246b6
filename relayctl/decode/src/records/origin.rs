//! Where an event class comes from, as its attribute `model.emf.uri` says.
//!
//! `relay:statement?module=kernel::sched&file=kernel/src/sched.rs&line=42` of a statement, and
//! `relay:event?...&facility=sched&text=from {from} to {to}` of other events. Nothing in it is
//! escaped: `text` is last, and takes all that follows. Keys that are not known are passed over.

/// The longest module, file or facility, in bytes. Whatever is longer is none.
const MAX_WORD: usize = 1024;

/// Where in the sources a record is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The Rust module.
    pub module: String,
    /// The source file, with folders.
    pub file: String,
    /// The line in it, from 1.
    pub line: u32,
}

/// What a class is, and where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Description {
    /// Whether it is a statement, not an event that was declared.
    pub(super) is_statement: bool,
    /// Where it is in the sources.
    pub(super) origin: Option<Origin>,
    /// Which part of the system it is about.
    pub(super) facility: Option<String>,
    /// The code of that.
    pub(super) facility_code: Option<u32>,
    /// Its type in that.
    pub(super) kind: Option<u32>,
    /// The sentence that its fields make.
    pub(super) text: Option<String>,
}

/// Reads what is said; `None` if it is said by somebody else than relay.
pub(super) fn parse(uri: &str) -> Option<Description> {
    let rest = uri.strip_prefix("relay:")?;
    let (kind, query) = rest.split_once('?').unwrap_or((rest, ""));
    let is_statement = match kind {
        "statement" => true,
        "event" => false,
        _ => return None,
    };
    let mut found = Description {
        is_statement,
        ..Description::default()
    };
    let (mut module, mut file, mut line) = (None, None, None);
    let mut rest = query;
    while !rest.is_empty() {
        if let Some(text) = rest.strip_prefix("text=") {
            found.text = Some(text.to_owned());
            break;
        }
        let (pair, behind) = rest.split_once('&').unwrap_or((rest, ""));
        rest = behind;
        let Some((key, value)) = pair.split_once('=') else {
            continue;
        };
        let word = (!value.is_empty() && value.len() <= MAX_WORD).then(|| value.to_owned());
        // What comes first counts.
        match key {
            "module" => module = module.or(word),
            "file" => file = file.or(word),
            "line" => line = line.or_else(|| number(value)),
            "code" => found.facility_code = found.facility_code.or_else(|| number(value)),
            "type" => found.kind = found.kind.or_else(|| number(value)),
            "facility" => found.facility = found.facility.or(word),
            _ => {}
        }
    }
    found.origin = module
        .zip(file)
        .zip(line)
        .map(|((module, file), line)| Origin { module, file, line });
    Some(found)
}

/// Reads a number that is digits only.
fn number(digits: &str) -> Option<u32> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_says_where_a_class_comes_from() {
        let said = "relay:event?module=kernel::sched&file=kernel/src/sched.rs&line=57&later=x&\
                    facility=sched&code=88&type=7&code=9&text=from {from}&line=9 to {to}?";
        let origin = Origin {
            module: "kernel::sched".to_owned(),
            file: "kernel/src/sched.rs".to_owned(),
            line: 57,
        };
        let wanted = Description {
            is_statement: false,
            origin: Some(origin.clone()),
            facility: Some("sched".to_owned()),
            facility_code: Some(88),
            kind: Some(7),
            text: Some("from {from}&line=9 to {to}?".to_owned()),
        };
        assert_eq!(parse(said), Some(wanted));
        let said = "relay:statement?module=kernel::sched&file=kernel/src/sched.rs&line=57&line=9";
        let wanted = Description {
            is_statement: true,
            origin: Some(origin),
            ..Description::default()
        };
        assert_eq!(parse(said), Some(wanted));
    }

    #[test]
    fn what_is_strange_is_absent() {
        let bare = |is_statement| {
            Some(Description {
                is_statement,
                ..Description::default()
            })
        };
        for said in [
            "",
            "relay:",
            "relay:class?line=1",
            "http://x/relay:event?line=1",
        ] {
            assert_eq!(parse(said), None, "{said}");
        }
        assert_eq!(parse("relay:event"), bare(false));
        let long = "x".repeat(MAX_WORD + 1);
        for query in [
            "?",
            "&&=&?",
            "module=a&line=1",
            "module=&file=f&line=1",
            "module=a&file=f&line=",
            "module=a&file=f&line=-1",
            "module=a&file=f&line=+1",
            "module=a&file=f&line=4294967296",
            "module=a&file=f",
            &format!("module={long}&file=f&line=1"),
            &format!("facility={long}"),
            "code=4294967296&type=+7",
            "code=&type=-1",
        ] {
            let said = format!("relay:statement?{query}");
            assert_eq!(parse(&said), bare(true), "{query}");
        }
    }

    proptest! {
        /// Whatever is said, only what is there is found.
        #[test]
        fn nothing_is_made_up(said in "(relay:(event|statement)\\?)?[a-z=&:1 \\PC]{0,60}") {
            if let Some(found) = parse(&said) {
                let texts = [found.facility, found.text];
                let origin = found.origin.into_iter().flat_map(|o| [o.module, o.file]);
                for text in texts.into_iter().flatten().chain(origin) {
                    prop_assert!(said.contains(&text));
                }
            }
        }
    }
}
