//! Any expression and any record, and a plain reading of both.

use std::cmp::Ordering;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use relay_decode::query::{Attribute, Expr, Literal, Op, Operand, Path, Pattern, Step, Test};
use relay_format::{Context, Severity};

use crate::made::Made;

/// Any record.
pub(crate) fn record() -> impl Strategy<Value = Made> {
    let ratio = select(vec![-1.5, 0.0, 0.5, 2.0, f64::NAN, f64::INFINITY]);
    let name = select(vec!["", "a", "ab", "AB", "bc", "c\"\\"]);
    let context = select(Context::ALL.to_vec());
    (
        (0..5u64, -3..3i32, ratio, 0..3u8, 0..8u32),
        (
            name,
            vec(0..4u16, 0..3),
            option::of(0..3u16),
            0..3u32,
            context,
            0..3u64,
        ),
    )
        .prop_map(|((lba, code, ratio, state, flags), rest)| {
            let (name, list, maybe, cpu, context, ms) = rest;
            Made {
                lba,
                code,
                ratio,
                state,
                flags,
                name: name.to_owned(),
                list,
                maybe,
                cpu,
                context,
                ms,
            }
        })
}

/// The operands that may occur.
fn operand() -> impl Strategy<Value = Operand> {
    let field = |name: &str, steps: &[Step]| {
        Operand::Field(Path {
            name: name.to_owned(),
            steps: steps.to_vec(),
        })
    };
    let names = [
        "lba", "code", "ratio", "state", "flags", "name", "list", "maybe", "none",
    ];
    let mut all: Vec<_> = names.iter().map(|name| field(name, &[])).collect();
    all.extend([
        field("list", &[Step::Index(0)]),
        field("inner", &[Step::Name("x".to_owned())]),
        // These look like something else without `field.`.
        field("severity", &[]),
        field("field", &[Step::Name("x".to_owned())]),
        field("cpu", &[]),
    ]);
    all.extend(Attribute::ALL.map(|(_, attribute)| Operand::Attribute(attribute)));
    select(all)
}

/// The values that may occur.
fn literal() -> impl Strategy<Value = Literal> {
    let texts = [
        "",
        "a",
        "b",
        "AB",
        "disk",
        "Run",
        "c\"\\",
        "\u{202e}\n\t\u{7}",
        "warn",
    ];
    let words = [
        "a", "ab", "Disk", "run", "IDLE", "read", "WRITE", "warning", "irq", "true",
    ];
    let patterns = ["^a", "[bc]", "x|y", "", "\\\"", "(?i)AB", "\\bout\\b"];
    let pattern = |text: &str| Literal::Pattern(Pattern::new(text).expect("it is one"));
    prop_oneof![
        (-3..8i128).prop_map(Literal::Integer),
        any::<u64>().prop_map(|number| Literal::Integer(number.into())),
        any::<i64>().prop_map(|number| Literal::Integer(number.into())),
        select(vec![-1.5, 0.0, 0.5, 1.5, 1e300, 5e-324, 123_456.75]).prop_map(Literal::Float),
        any::<f64>()
            .prop_filter("it is finite", |number| number.is_finite())
            .prop_map(Literal::Float),
        select(texts.to_vec()).prop_map(|text| Literal::Text(text.to_owned())),
        select(words.to_vec()).prop_map(|word| Literal::Word(word.to_owned())),
        select(vec![
            0,
            999_999,
            1_000_000,
            1_000_001,
            3_600_000_000_000,
            u64::MAX
        ])
        .prop_map(Literal::Duration),
        select(patterns.to_vec()).prop_map(pattern),
    ]
}

/// Any expression; some compare what cannot be compared.
pub(crate) fn expr() -> impl Strategy<Value = Expr> {
    let op = select(Op::ALL.to_vec()).prop_map(|(_, op)| op);
    let test = (operand(), op, literal());
    let test = test.prop_filter_map("patterns are matched", |(operand, op, value)| {
        let test = Test { operand, op, value };
        // Most of the others would be refused, and nothing else be tried.
        is_sound_test(&test).then_some(Expr::Test(test))
    });
    test.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(Expr::All),
            vec(inner.clone(), 2..4).prop_map(Expr::Any),
            inner.prop_map(|expr| Expr::Not(Box::new(expr))),
        ]
    })
}

/// Whether everything in it can be compared.
pub(crate) fn is_sound(expr: &Expr) -> bool {
    match expr {
        Expr::All(all) | Expr::Any(all) => all.iter().all(is_sound),
        Expr::Not(expr) => is_sound(expr),
        Expr::Test(test) => is_sound_test(test),
    }
}

/// Whether a name, in quotes or not, is what a value is.
fn name_of(value: &Literal) -> Option<&str> {
    match value {
        Literal::Word(name) | Literal::Text(name) => Some(name),
        _ => None,
    }
}

fn is_sound_test(Test { operand, op, value }: &Test) -> bool {
    use Attribute as A;
    let is_pattern = matches!(value, Literal::Pattern(_));
    if is_pattern != matches!(op, Op::Match | Op::NoMatch) {
        return false;
    }
    let is_order = matches!(op, Op::Lt | Op::Le | Op::Gt | Op::Ge);
    let is_equality = matches!(op, Op::Eq | Op::Ne);
    let is_number = matches!(value, Literal::Integer(0..=0xFFFF_FFFF_FFFF_FFFF));
    let name = name_of(value);
    match operand {
        Operand::Attribute(A::Severity) => {
            let number = matches!(value, Literal::Integer(0..=8));
            let known = name.is_some_and(|name| Severity::from_name(name).is_some());
            (is_order || is_equality) && (number || known)
        }
        Operand::Attribute(A::Context) => {
            let name = name.map(str::to_lowercase);
            is_equality && name.is_some_and(|name| Context::from_name(&name).is_some())
        }
        Operand::Attribute(A::Time) => {
            (is_order || is_equality) && matches!(value, Literal::Duration(_))
        }
        Operand::Attribute(
            A::Cpu | A::Number | A::Packet | A::Line | A::Type | A::Process | A::Thread,
        ) => (is_order || is_equality || *op == Op::Bits) && is_number,
        Operand::Attribute(_) => !is_order && *op != Op::Bits && (is_pattern || name.is_some()),
        Operand::Field(_) => match op {
            Op::Bits => is_number || matches!(value, Literal::Word(_)),
            Op::Contains => !matches!(value, Literal::Duration(_)),
            _ => !is_order || name.is_none(),
        },
    }
}

/// What a record has.
enum Has {
    Nothing,
    Number(f64, i128),
    Float(f64),
    Text(String),
    /// The number, the names of numbers, and whether they are bits.
    Named(i128, &'static [(&'static str, i128)], bool),
    List(Vec<u16>),
}

/// Whether an expression is true of a record.
pub(crate) fn holds(expr: &Expr, record: &Made) -> bool {
    match expr {
        Expr::All(all) => all.iter().all(|expr| holds(expr, record)),
        Expr::Any(all) => all.iter().any(|expr| holds(expr, record)),
        Expr::Not(expr) => !holds(expr, record),
        Expr::Test(test) => compare(has(&test.operand, record), test, record),
    }
}

/// What a record has.
fn has(operand: &Operand, record: &Made) -> Has {
    let number = |number: i128| Has::Number(number as f64, number);
    let text = |text: &str| Has::Text(text.to_owned());
    match operand {
        Operand::Field(Path { name, steps }) => match (name.as_str(), steps.as_slice()) {
            ("lba", []) => number(record.lba.into()),
            ("code", []) => number(record.code.into()),
            ("ratio", []) => Has::Float(record.ratio),
            ("state", []) => Has::Named(record.state.into(), &[("Idle", 0), ("Run", 1)], false),
            ("flags", []) => {
                const BITS: &[(&str, i128)] = &[("READ", 1), ("WRITE", 2), ("SYNC", 4)];
                Has::Named(record.flags.into(), BITS, true)
            }
            ("name", []) => text(&record.name),
            ("list", []) => Has::List(record.list.clone()),
            ("list", [_]) => record
                .list
                .first()
                .map_or(Has::Nothing, |it| number((*it).into())),
            ("maybe", []) => record.maybe.map_or(Has::Nothing, |it| number(it.into())),
            ("inner", [_]) => number(3),
            ("cpu", []) => number(7),
            _ => Has::Nothing,
        },
        Operand::Attribute(attribute) => match attribute {
            // Others are compared where they are.
            Attribute::Severity | Attribute::Context | Attribute::Time => Has::Nothing,
            // It is no event for operators, and has no such fields.
            Attribute::Type | Attribute::Process | Attribute::Thread => Has::Nothing,
            Attribute::Facility => text("disk"),
            Attribute::Channel => text("trace"),
            Attribute::Event => text("disk_error"),
            Attribute::Cpu => number(record.cpu.into()),
            Attribute::Number => number(12),
            Attribute::Packet => number(3),
            Attribute::Module => text("kernel::disk"),
            Attribute::File => text("disk.rs"),
            Attribute::Line => number(57),
            Attribute::Msg => Has::Text(format!("lba {} timed out after 1500 us", record.lba)),
        },
    }
}

/// Whether an order is right.
fn is_right(op: Op, order: Option<Ordering>) -> bool {
    match op {
        Op::Eq => order == Some(Ordering::Equal),
        Op::Ne => order != Some(Ordering::Equal),
        Op::Lt => order == Some(Ordering::Less),
        Op::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Op::Gt => order == Some(Ordering::Greater),
        Op::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        _ => false,
    }
}

/// Whether a comparison is true.
fn compare(has: Has, test: &Test, record: &Made) -> bool {
    let Test { operand, op, value } = test;
    match (operand, value) {
        (Operand::Attribute(Attribute::Severity), value) => {
            let wanted = match value {
                Literal::Integer(number) => *number as i32,
                value => Severity::from_name(name_of(value).unwrap()).unwrap() as i32,
            };
            // The graver one has the smaller number.
            return is_right(*op, wanted.partial_cmp(&(Severity::Error as i32)));
        }
        (Operand::Attribute(Attribute::Context), value) => {
            let name = name_of(value).expect("it is one").to_lowercase();
            return (record.context.name() == name) == (*op == Op::Eq);
        }
        (Operand::Attribute(Attribute::Time), Literal::Duration(ns)) => {
            return is_right(*op, (record.ms * 1_000_000).partial_cmp(ns));
        }
        _ => {}
    }
    let of_text = |text: &str| match (op, value) {
        (Op::Eq, Literal::Text(other)) => text == other,
        (Op::Ne, Literal::Text(other)) => text != other,
        (Op::Contains, Literal::Text(other)) => text.contains(other.as_str()),
        (Op::Eq, Literal::Word(other)) => text.to_lowercase() == other.to_lowercase(),
        (Op::Ne, Literal::Word(other)) => text.to_lowercase() != other.to_lowercase(),
        (Op::Contains, Literal::Word(other)) => text.to_lowercase().contains(&other.to_lowercase()),
        (Op::Match, Literal::Pattern(pattern)) => pattern.is_in(text.as_bytes()),
        (Op::NoMatch, Literal::Pattern(pattern)) => !pattern.is_in(text.as_bytes()),
        _ => false,
    };
    let of_integer = |float: f64, number: i128| match (op, value) {
        (Op::Bits, Literal::Integer(mask)) => number & mask != 0,
        (_, Literal::Integer(other)) => is_right(*op, number.partial_cmp(other)),
        // These are small: nothing is rounded.
        (_, Literal::Float(other)) => is_right(*op, float.partial_cmp(other)),
        _ => false,
    };
    match has {
        Has::Nothing => false,
        Has::Number(float, number) => of_integer(float, number),
        Has::Float(float) => match value {
            // Those that are not near are far beyond what is rounded.
            Literal::Integer(other) => is_right(*op, float.partial_cmp(&(*other as f64))),
            Literal::Float(other) => is_right(*op, float.partial_cmp(other)),
            _ => false,
        },
        Has::Text(text) => of_text(&text),
        Has::List(list) => match (op, value) {
            (Op::Contains, Literal::Integer(wanted)) => {
                list.iter().any(|it| i128::from(*it) == *wanted)
            }
            (Op::Contains, Literal::Float(wanted)) => {
                list.iter().any(|it| f64::from(*it) == *wanted)
            }
            _ => false,
        },
        Has::Named(number, names, are_bits) => {
            let wanted = names.iter().find(|(name, _)| match value {
                Literal::Word(other) => name.to_lowercase() == other.to_lowercase(),
                Literal::Text(other) => name == other,
                _ => false,
            });
            let label = names.iter().find(|(_, value)| *value == number);
            match (op, name_of(value), wanted) {
                (Op::Eq, Some(_), wanted) => wanted.is_some_and(|(_, it)| *it == number),
                (Op::Ne, Some(_), wanted) => wanted.is_some_and(|(_, it)| *it != number),
                (Op::Bits, Some(_), wanted) => wanted.is_some_and(|(_, it)| number & it != 0),
                (Op::Contains, _, wanted) if are_bits => {
                    wanted.is_some_and(|(_, it)| number & it == *it)
                }
                (Op::Contains | Op::Match | Op::NoMatch, ..) if !are_bits => {
                    label.is_some_and(|(label, _)| of_text(label))
                }
                _ => of_integer(number as f64, number),
            }
        }
    }
}
