//! What docs/PORTING.md shows is the example that runs.

const PAGE: &str = include_str!("../../docs/PORTING.md");
const PORT: &str = include_str!("../examples/port.rs");

/// The blocks of Rust in the page.
fn shown() -> impl Iterator<Item = &'static str> {
    let blocks = PAGE.split("```rust\n").skip(1);
    blocks.map(|rest| rest.split("```").next().expect("a block ends"))
}

#[test]
fn the_page_shows_the_example() {
    for block in shown() {
        assert!(
            PORT.contains(block),
            "examples/port.rs does not have this:\n{block}"
        );
    }
}

#[test]
fn the_page_leaves_nothing_of_the_port_out_but_how_a_geometry_is_made() {
    let (_, port) = PORT.split_once("// ---- the port ---").expect("it begins");
    let (port, _) = port
        .split_once("// ---- end of the port ---")
        .expect("it ends");
    let (_, mut port) = port.split_once('\n').expect("the rule is a line");
    let mut left_out = String::new();
    for block in shown() {
        let (before, after) = port.split_once(block).expect("in the same order");
        left_out.push_str(before);
        port = after;
    }
    left_out.push_str(port);
    assert!(
        left_out.trim().starts_with("const fn geometry("),
        "{left_out}"
    );
    assert_eq!(left_out.matches("fn ").count(), 1, "{left_out}");
}

#[test]
fn the_port_is_about_as_long_as_it_is_said_to_be() {
    let code = shown().flat_map(str::lines).map(str::trim);
    let lines = code.filter(|line| line.len() > 1 && !line.starts_with("//"));
    assert!((40..=60).contains(&lines.count()));
}
