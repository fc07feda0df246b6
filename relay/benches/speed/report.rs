//! The table, and the same as JSON.

use crate::args::Args;
use crate::measure::{Outcome, Size};
use crate::outside::Outside;
use serde_json::{Value, json};

/// Prints what came out. `outside` is what programs of peers measured.
pub(crate) fn print(results: &[Outcome], outside: &Outside, args: &Args) {
    if args.json {
        println!("{:#}", as_json(results, outside, args));
    } else {
        print!("{}", as_text(results, outside, args));
    }
}

/// ns of the floor at the reference size.
fn floor(results: &[Outcome]) -> Option<f64> {
    let floor = results.iter().find(|row| row.whose == "floor")?;
    Some(floor.at(Size::REFERENCE)?.min)
}

fn as_text(results: &[Outcome], outside: &Outside, args: &Args) -> String {
    let mut text = format!(
        "ns per record: the minimum of {} batches; of 32 bytes also the median, and the minimum as a\n\
         multiple of the first row's\n\n",
        args.rounds()
    );
    let sizes = Size::ALL.map(|size| format!("{:>7}", size.name())).concat();
    text += &format!("{:<44}{sizes}{:>9}{:>8}  {}\n", "", "median", "x floor", "");
    let floor = floor(results);
    let mut whose = "";
    for row in results {
        if row.whose != whose && !whose.is_empty() {
            text.push('\n');
        }
        whose = row.whose;
        let cell = |size| match row.at(size) {
            Some(figures) => format!("{:>7.1}", figures.min),
            None => format!("{:>7}", "-"),
        };
        let cells = Size::ALL.map(cell).concat();
        let reference = row.at(Size::REFERENCE);
        let median = reference.map_or("-".into(), |at| format!("{:.1}", at.median));
        let ratio = match (reference, floor) {
            (Some(at), Some(floor)) => format!("{:.2}", at.min / floor),
            _ => "-".into(),
        };
        let name = format!("{:<12}{}", row.whose, row.name);
        text += &format!("{name:<44}{cells}{median:>9}{ratio:>8}  {}\n", row.note);
    }
    text.push('\n');
    for line in outside.lines(floor) {
        text += &line;
        text.push('\n');
    }
    text
}

fn as_json(results: &[Outcome], outside: &Outside, args: &Args) -> Value {
    let rows: Vec<Value> = results
        .iter()
        .map(|row| {
            let sizes: Vec<Value> = row
                .figures
                .iter()
                .map(|at| {
                    json!({
                        "size": at.size.name(),
                        "min_ns": at.min,
                        "median_ns": at.median,
                    })
                })
                .collect();
            let ratio = row
                .at(Size::REFERENCE)
                .zip(floor(results))
                .map(|(at, floor)| at.min / floor);
            json!({
                "whose": row.whose,
                "name": row.name,
                "note": row.note,
                "times_floor": ratio,
                "sizes": sizes,
            })
        })
        .collect();
    json!({
        "rounds": args.rounds(),
        "rows": rows,
        "outside": outside.as_json(floor(results)),
    })
}
