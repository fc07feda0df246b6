//! Lists, and values that may be missing.

use super::write_argument;
use crate::argument::{Argument, List};
use crate::parse::{Spec, Style};
use core::fmt::{self, Debug};

/// What `spec` asks of a list or an option is asked of what is in it; there, `{}` is `{:?}`.
fn inner_spec<'a>(spec: &Spec<'a>) -> Spec<'a> {
    match spec.style {
        Style::Display => Spec {
            style: Style::Debug,
            ..*spec
        },
        _ => *spec,
    }
}

/// A value in a list.
struct Element<'a> {
    argument: Argument<'a>,
    spec: Spec<'a>,
}

impl Debug for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_argument(f, &self.spec, self.argument)
    }
}

/// A list, in brackets.
pub(super) struct Elements<'a> {
    pub(super) list: &'a dyn List,
    pub(super) spec: &'a Spec<'a>,
}

impl Debug for Elements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = inner_spec(self.spec);
        let mut shown = f.debug_list();
        self.list.each(&mut |argument| {
            shown.entry(&Element { argument, spec });
            Ok(())
        })?;
        shown.finish()
    }
}

/// A value that may be missing.
pub(super) struct Maybe<'a> {
    pub(super) value: Option<&'a Argument<'a>>,
    pub(super) spec: &'a Spec<'a>,
}

impl Debug for Maybe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = inner_spec(self.spec);
        match self.value {
            Some(argument) => {
                let argument = *argument;
                let mut shown = f.debug_tuple("Some");
                shown.field(&Element { argument, spec }).finish()
            }
            None => f.write_str("None"),
        }
    }
}
