//! What is wrong with expressions, as it is shown.

use relay_decode::query::Query;

/// What is said about an expression that is wrong.
fn said(text: &str) -> String {
    match text.parse::<Query>() {
        Ok(query) => panic!("{query} is an expression"),
        Err(error) => error.to_string(),
    }
}

/// An expression, a place in it, and what would be right there.
fn check(text: &str, place: usize, right: &str) {
    let caret = format!("{:1$}^", "", place - 1);
    let shown = text.trim_end();
    let wanted = format!("at character {place}:\n  {shown}\n  {caret}\n{right}");
    assert_eq!(said(text), wanted);
}

/// The same with several things that would be right.
fn one_of(text: &str, place: usize, right: &str) {
    check(
        text,
        place,
        &format!("one of these would be right here: {right}"),
    );
}

#[test]
fn what_would_be_right_is_said_below_a_caret() {
    const OPERAND: &str = "a name of an attribute or field, !, (";
    const FIELD: &str = "==, !=, <=, >=, <, >, =~, !~, &, contains";
    const SEVERITY: &str = "emerg, alert, crit, error, warn, notice, info, debug, trace, 0 to 8";
    const NUMBER: &str = "12, -12, 0xff, 0o17, 0b11, 1.5, 1e9, 2ms";
    // Where something begins.
    one_of("cpu == 1 && ", 13, OPERAND);
    one_of("cpu == 1 || && cpu == 2", 13, OPERAND);
    one_of("(", 2, OPERAND);
    one_of("()", 2, OPERAND);
    one_of("== 1", 1, OPERAND);
    one_of("!", 2, OPERAND);
    // Where something ends.
    one_of("(cpu == 1", 10, "), &&, ||");
    one_of("(cpu == 1 cpu == 2)", 11, "), &&, ||");
    one_of("cpu == 1)", 9, "&&, ||, the end");
    one_of("cpu == 1 and cpu == 2", 10, "&&, ||, the end");
    one_of("cpu == 1 & cpu == 2", 10, "&&, ||, the end");
    // How something is compared.
    one_of("lba", 4, FIELD);
    one_of("lba = 1", 5, FIELD);
    one_of("lba && cpu == 1", 5, FIELD);
    one_of("lba containsx 1", 5, FIELD);
    one_of("severity =~ \"x\"", 10, "==, !=, <=, >=, <, >");
    one_of("context < irq", 9, "==, !=");
    one_of("time contains 2ms", 6, "==, !=, <=, >=, <, >");
    one_of("cpu contains 2", 5, "==, !=, <=, >=, <, >, &");
    one_of("msg < \"x\"", 5, "==, !=, =~, !~, contains");
    // With what.
    one_of("severity >= grave", 13, SEVERITY);
    one_of("severity == 5.5", 13, SEVERITY);
    one_of("severity == 9", 13, SEVERITY);
    one_of("severity >= ", 13, SEVERITY);
    one_of("context == user", 12, "task, irq, nmi");
    check(
        "time > 2",
        8,
        "a time with its unit, such as 2ms or 1.5s would be right here",
    );
    check(
        "cpu == 1.5",
        8,
        "a whole number from 0 to 2^64-1 would be right here",
    );
    check(
        "cpu == -1",
        8,
        "a whole number from 0 to 2^64-1 would be right here",
    );
    one_of("facility == 5", 13, "a text in quotes, a name");
    check(
        "msg =~ x",
        8,
        "a regular expression in quotes would be right here",
    );
    one_of("lba < \"x\"", 7, "a number, a time such as 2ms");
    one_of(
        "lba & 1.5",
        7,
        "a whole number from 0 to 2^64-1, a flag's name",
    );
    one_of("lba contains 2ms", 14, "a text in quotes, a number, a name");
    one_of(
        "lba == %",
        8,
        "a number, a text in quotes, a name, a time such as 2ms",
    );
    // Texts, patterns, numbers.
    check("name == \"x", 11, "\" would be right here");
    check("name =~ \"x\\\"", 13, "\" would be right here");
    one_of(
        "name == \"\\q\"",
        11,
        "\\\", \\\\, \\n, \\r, \\t, \\u{1f600}",
    );
    one_of(
        "name == \"\\u{110000}\"",
        11,
        "\\\", \\\\, \\n, \\r, \\t, \\u{1f600}",
    );
    check(
        "msg =~ \"tim(e|ed out\"",
        8,
        "a pattern that can be compiled: unclosed group would be right here",
    );
    check(
        "lba == 010",
        8,
        "no 0 before the other digits; 0o10 is octal would be right here",
    );
    check("lba == -", 9, "a digit would be right here");
    one_of("lba == 12x", 8, NUMBER);
    one_of("lba == 0xg", 8, NUMBER);
    one_of("lba == 2min", 8, NUMBER);
    one_of("lba == -2ms", 8, NUMBER);
    one_of("lba == 1.2.3", 8, NUMBER);
    // What is within a field.
    check(
        "a.1 == 1",
        3,
        "a name of a field within it would be right here",
    );
    check(
        "a[x] == 1",
        3,
        "the number of an element, from 0 would be right here",
    );
    check(
        "a[4294967296] == 1",
        3,
        "the number of an element, from 0 would be right here",
    );
    check("a[1 == 1", 4, "] would be right here");
}

#[test]
fn what_is_too_much_is_refused() {
    let deep = |depth: usize| format!("{}cpu == 1{}", "(".repeat(depth), ")".repeat(depth));
    assert!(deep(64).parse::<Query>().is_ok());
    assert!(said(&deep(65)).ends_with("\nan expression is at most 64 deep"));
    assert!(said(&"(".repeat(4000)).ends_with("an expression is at most 64 deep"));
    assert!(said(&"!".repeat(4000)).ends_with("an expression is at most 64 deep"));
    // What is written for it is not deeper.
    let not: Query = format!("{}cpu == 1", "!".repeat(64))
        .parse()
        .expect("it is not too deep");
    assert_eq!(not.to_string().parse(), Ok(not));
    // Depth is how deep, not how many.
    let flat = vec!["!(cpu == 1)"; 100].join(" && ");
    assert!(flat.parse::<Query>().is_ok());
    let many = |count: usize, test: &str| vec![test; count].join("||");
    assert!(many(128, "cpu==1").parse::<Query>().is_ok());
    assert!(said(&many(129, "cpu==1")).ends_with("\nan expression has at most 128 comparisons"));
    assert!(many(16, "msg=~\"x\"").parse::<Query>().is_ok());
    let said_of = said(&many(17, "msg=~\"x\""));
    assert!(
        said_of.ends_with("\nan expression has at most 16 regular expressions"),
        "{said_of}"
    );
    assert!(said(&"\u{fc}".repeat(3000)).ends_with("\nan expression has at most 4096 bytes"));
    let pattern = said("msg =~ \"(\\w{100}){100}\"");
    assert!(pattern.contains("too large when compiled"), "{pattern}");
    let groups = format!("msg =~ \"{}{}\"", "(".repeat(1000), ")".repeat(1000));
    assert!(
        said(&groups).contains("a pattern that can be compiled: "),
        "{}",
        said(&groups)
    );
    for number in [
        "18446744073709551616",
        "-9223372036854775809",
        "1e999",
        "0xfffffffffffffffff",
    ] {
        let said = said(&format!("lba == {number}"));
        assert!(said.ends_with("a number has 64 bits here, and a time is less than 584 years"));
    }
    assert!(said("lba == 99999999h").contains("less than 584 years"));
    for number in [
        "18446744073709551615",
        "-9223372036854775808",
        "1e308",
        "5000000h",
    ] {
        assert!(
            format!("lba == {number}").parse::<Query>().is_ok(),
            "{number}"
        );
    }
}

#[test]
fn a_long_expression_is_shown_around_the_place() {
    let text = format!(
        "{}cpu = 1{}",
        "cpu == 1 && ".repeat(10),
        " && cpu == 1".repeat(10)
    );
    let said = said(&text);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "at character 125:");
    assert!(
        lines[1].starts_with("  ...") && lines[1].ends_with("..."),
        "{}",
        lines[1]
    );
    assert!(lines[1].len() < 100);
    let place = lines[2].find('^').expect("it is there");
    assert!(lines[1][place..].starts_with("= 1 && cpu"), "{}", lines[1]);
    // What would move the caret does not.
    let said = self::said("n\u{e4}me == 1");
    assert!(
        said.starts_with("at character 2:\n  n\u{e4}me == 1\n   ^\n"),
        "{said}"
    );
    let said = self::said("\tname\u{1b}[31m == 1");
    assert!(
        said.starts_with("at character 6:\n   name\u{fffd}[31m == 1\n       ^\n"),
        "{said}"
    );
}
