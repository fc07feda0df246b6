//! The grammar, by examples whose outcome rustc has said.

extern crate std;

use super::*;
use std::string::ToString as _;
use std::vec::Vec;

/// The only placeholder of `template`.
fn placeholder(template: &str) -> Result<Placeholder<'_>, ErrorKind> {
    let all: Vec<_> = pieces(template).collect();
    match all.as_slice() {
        [Ok(Piece::Placeholder(placeholder))] => Ok(*placeholder),
        all => Err(all
            .iter()
            .find_map(|piece| piece.err())
            .expect("an error, or one placeholder")
            .kind),
    }
}

#[test]
fn what_rustc_takes_is_taken_and_written_back() {
    // Each with its canonical form.
    for (template, position, spec) in [
        ("{}", Position::Next, ""),
        ("{ }", Position::Next, ""),
        ("{\n}", Position::Next, ""),
        ("{0 }", Position::Index(0), ""),
        ("{0 :x}", Position::Index(0), "x"),
        ("{name:x }", Position::Name("name"), "x"),
        ("{0:> }", Position::Index(0), ">"),
        ("{:5 }", Position::Next, "5"),
        ("{:}<5}", Position::Next, "}<5"),
        ("{:{<5}", Position::Next, "{<5"),
        ("{:<>5}", Position::Next, "<>5"),
        ("{:é<5}", Position::Next, "é<5"),
        ("{:-5}", Position::Next, "-5"),
        ("{:-#05}", Position::Next, "-#05"),
        ("{:0<5}", Position::Next, "0<5"),
        ("{:00005}", Position::Next, "05"),
        ("{:0$}", Position::Next, "0$"),
        ("{:00$}", Position::Next, "00$"),
        ("{:00$.1$}", Position::Next, "00$.1$"),
        ("{:01$}", Position::Next, "01$"),
        ("{:.0$}", Position::Next, ".0$"),
        ("{:.*}", Position::Next, ".*"),
        ("{:.*x}", Position::Next, ".*x"),
        ("{:.}", Position::Next, ""),
        ("{:.x}", Position::Next, "x"),
        ("{:x$}", Position::Next, "x$"),
        ("{:w_0$.größe$X?}", Position::Next, "w_0$.größe$X?"),
        ("{größe:x?}", Position::Name("größe"), "x?"),
        ("{:#x?}", Position::Next, "#x?"),
        ("{:+}", Position::Next, "+"),
        ("{: }", Position::Next, ""),
        ("{:065535}", Position::Next, "065535"),
        ("{_a:08.3e}", Position::Name("_a"), "08.3e"),
    ] {
        let found = placeholder(template).unwrap_or_else(|kind| panic!("{template}: {kind}"));
        assert_eq!(found.source, template);
        assert_eq!(found.position, position, "{template}");
        assert_eq!(found.spec.to_string(), spec, "{template}");
    }
}

#[test]
fn what_rustc_refuses_is_refused() {
    for (template, kind) in [
        ("{ 0}", ErrorKind::Unexpected('0')),
        ("{0: x}", ErrorKind::Unexpected('x')),
        ("{0:> 5}", ErrorKind::Unexpected('5')),
        ("{0x}", ErrorKind::Unexpected('x')),
        ("{:+-5}", ErrorKind::Unexpected('-')),
        ("{:0+}", ErrorKind::Unexpected('+')),
        ("{:x5}", ErrorKind::UnknownStyle),
        ("{:5?x}", ErrorKind::Unexpected('x')),
        ("{:x ?}", ErrorKind::Unexpected('?')),
        ("{:r#x$}", ErrorKind::UnknownStyle),
        ("{0:?#}", ErrorKind::Unexpected('#')),
        ("{:> <5}", ErrorKind::Unexpected('<')),
        ("{:0$x$}", ErrorKind::Unexpected('$')),
        ("{:65536}", ErrorKind::TooLarge),
        ("{:.65536}", ErrorKind::TooLarge),
        ("{65536}", ErrorKind::TooLarge),
        ("{:foo}", ErrorKind::UnknownStyle),
        ("{:ee}", ErrorKind::UnknownStyle),
        ("{_}", ErrorKind::Underscore),
        ("{:_}", ErrorKind::Underscore),
        ("{a.b}", ErrorKind::Unexpected('.')),
        ("{", ErrorKind::Unclosed),
        ("{a:", ErrorKind::Unclosed),
        ("}", ErrorKind::Unopened),
    ] {
        let refused = placeholder(template).map(|found| found.spec.to_string());
        assert_eq!(refused, Err(kind), "{template}");
    }
}

#[test]
fn braces_are_escaped_by_doubling() {
    let all: Result<Vec<_>, _> = pieces("a {{b}} }}{{ c").collect();
    let texts = ["a ", "{b", "} ", "}", "{ c"].map(Piece::Text);
    assert_eq!(all, Ok(texts.to_vec()));
}

#[test]
fn reading_goes_on_behind_an_error_and_leaves_nothing_out() {
    let template = "{a!}} x {b {c} }{{ {:99999}{";
    let all: Vec<_> = pieces(template)
        .map(|piece| match piece {
            Ok(Piece::Text(text)) => text,
            Ok(Piece::Placeholder(placeholder)) => placeholder.source,
            Err(error) => error.source,
        })
        .collect();
    let expected = [
        "{a!}", "}", " x ", "{b ", "{c}", " ", "}", "{ ", "{:99999}", "{",
    ];
    assert_eq!(all, expected);
}
