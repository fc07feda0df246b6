//! What fields, events and channels may be called.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt as _;
use syn::{Expr, Member};

/// Whether readers of captures take `text` for a name: ASCII letters, digits and `_`, no digit
/// first.
pub(crate) fn is_name(text: &str) -> bool {
    !text.starts_with(|first: char| first.is_ascii_digit()) && is_word(text, "_")
}

/// Whether `text` is ASCII letters, digits and what is in `others`, and not empty.
pub(crate) fn is_word(text: &str, others: &str) -> bool {
    let is_right = |letter: char| letter.is_ascii_alphanumeric() || others.contains(letter);
    !text.is_empty() && text.chars().all(is_right)
}

/// `TaskWoken` as `task_woken`, `IOError` as `io_error`.
pub(crate) fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (place, letter) in letters.iter().enumerate() {
        let before = place.checked_sub(1).map(|place| letters[place]);
        let after = letters.get(place + 1);
        let begins_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                let ends_capitals = after.is_some_and(|after| after.is_lowercase());
                before.is_lowercase() || before.is_ascii_digit() || (before != '_' && ends_capitals)
            });
        if begins_word {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

/// An identifier as the name of a statement's field; `None` if that would not be one.
pub(crate) fn field(identifier: &Ident) -> Option<String> {
    field_of(&identifier.unraw().to_string())
}

/// The same of a name.
pub(crate) fn field_of(name: &str) -> Option<String> {
    // `_` is put before all names, and readers take away as many as there are.
    let name = name.trim_start_matches('_');
    is_name(name).then(|| name.to_owned())
}

/// The variable that a placeholder with this name means; `None` if it can be none. Keywords are
/// names there, but those of paths.
pub(crate) fn variable(name: &str, place: Span) -> Option<Ident> {
    match name {
        "self" => Some(Ident::new(name, place)),
        "crate" | "Self" | "super" => None,
        name => {
            let plain = syn::parse_str::<Ident>(name);
            let mut variable = plain
                .or_else(|_| syn::parse_str(&format!("r#{name}")))
                .ok()?;
            variable.set_span(place);
            Some(variable)
        }
    }
}

/// What an argument would be called: by the last name in it.
pub(crate) fn of_expression(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Path(path) => field(&path.path.segments.last()?.ident),
        Expr::MethodCall(call) => field(&call.method),
        Expr::Call(call) => of_expression(&call.func),
        Expr::Field(access) => match &access.member {
            Member::Named(name) => field(name),
            Member::Unnamed(_) => of_expression(&access.base),
        },
        Expr::Index(index) => of_expression(&index.expr),
        Expr::Reference(reference) => of_expression(&reference.expr),
        Expr::Unary(unary) => of_expression(&unary.expr),
        Expr::Paren(inner) => of_expression(&inner.expr),
        Expr::Group(inner) => of_expression(&inner.expr),
        Expr::Cast(cast) => of_expression(&cast.expr),
        Expr::Try(tried) => of_expression(&tried.expr),
        Expr::Await(waited) => of_expression(&waited.base),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_called_by_their_last_name() {
        for (expression, name) in [
            ("task", Some("task")),
            ("self.count", Some("count")),
            ("self.0", Some("self")),
            ("queue.len()", Some("len")),
            ("a::b::LIMIT", Some("LIMIT")),
            ("cpu::current()", Some("current")),
            ("&*(x as u64)", Some("x")),
            ("-x", Some("x")),
            ("tasks[3].id", Some("id")),
            ("tasks[3]", Some("tasks")),
            ("x.load(Relaxed)?", Some("load")),
            ("r#type", Some("type")),
            ("__hidden", Some("hidden")),
            ("_", None),
            ("größe", None),
            ("7", None),
            ("a + b", None),
            ("(a, b)", None),
            ("{ x }", None),
        ] {
            let parsed: Expr = syn::parse_str(expression).expect("an expression");
            assert_eq!(of_expression(&parsed).as_deref(), name, "{expression}");
        }
    }

    #[test]
    fn words_of_a_type_are_told_apart() {
        for (name, snake) in [
            ("TaskWoken", "task_woken"),
            ("IOError", "io_error"),
            ("Irq0Entry", "irq0_entry"),
            ("Ipi", "ipi"),
            ("TLB", "tlb"),
            ("X", "x"),
            ("a_B", "a_b"),
        ] {
            assert_eq!(snake_case(name), snake);
        }
    }

    #[test]
    fn names_are_those_of_readers() {
        assert!(is_name("a_1") && is_name("_"));
        assert!(!is_name("1a") && !is_name("") && !is_name("a-b") && !is_name("é"));
        assert!(is_word("a-1", "-") && !is_word("a_1", "-"));
    }
}
