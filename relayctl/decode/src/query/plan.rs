//! An expression as it concerns one kind of record: names are looked up once, and what the class
//! decides is decided once. What costs least is looked at first.

use relay_format::{Context, Severity};

use super::ast::{Expr, Literal, Op, Operand, Path, Step, Test};
use super::attribute::Attribute;
use super::{compare, kind};
use crate::records::{Channel, Event, Line, Schema, Value, Who};
use crate::tsdl::Type;

/// What is known of a record before its fields are read.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Its time, in ticks.
    pub ticks: u64,
    /// The CPU that wrote it.
    pub cpu: u32,
    /// Its number in the stream.
    pub number: u64,
    /// The number of its packet.
    pub packet: u64,
    /// Where the writer ran.
    pub context: Context,
}

/// An expression, made ready for one kind of record.
#[derive(Debug)]
pub struct Plan<'a> {
    schema: &'a Schema,
    event: &'a Event,
    node: Node<'a>,
}

/// A part of it.
#[derive(Debug)]
enum Node<'a> {
    /// The same for all records.
    Always(bool),
    All(Vec<Node<'a>>),
    Any(Vec<Node<'a>>),
    Not(Box<Node<'a>>),
    Check(Check<'a>),
}

/// A comparison that has to be looked at for each record.
#[derive(Debug)]
enum Check<'a> {
    /// Whether the time is from the first to before the second of these, or not.
    Ticks(u128, u128, bool),
    Cpu(Op, u64),
    Number(Op, u64),
    Packet(Op, u64),
    Context(Op, Context),
    /// The process.
    Process(&'a Test),
    /// The thread.
    Thread(&'a Test),
    /// Of a field that is an integer, with one.
    Integer(usize, Op, i128),
    Severity(Op, Severity),
    /// The line in the source file.
    Line(Op, u64),
    Field(usize, &'a Type, &'a [Step], &'a Test),
    Module(&'a Test),
    File(&'a Test),
    Msg(&'a Test),
}

impl<'a> Plan<'a> {
    /// Makes an expression ready for a kind of record of a channel.
    pub(super) fn new(
        expr: &'a Expr,
        schema: &'a Schema,
        channel: &'a Channel,
        event: &'a Event,
    ) -> Self {
        let maker = Maker {
            schema,
            channel,
            event,
        };
        Self {
            schema,
            event,
            node: maker.node(expr),
        }
    }

    /// Whether it is true of a record, if that can be said before its fields are read.
    #[must_use]
    pub fn before_fields(&self, head: &Head) -> Option<bool> {
        self.node.before_fields(head)
    }

    /// Whether it is true of a record that `who` wrote, with these fields.
    #[must_use]
    pub fn holds(&self, head: &Head, who: Who, values: &[Value<'_>]) -> bool {
        let line = Line::new(self.event, values);
        let record = Record {
            schema: self.schema,
            head,
            who,
            values,
            line: &line,
        };
        self.node.holds(&record)
    }
}

/// A record with its fields.
struct Record<'r> {
    schema: &'r Schema,
    head: &'r Head,
    who: Who,
    values: &'r [Value<'r>],
    line: &'r Line<'r>,
}

impl Node<'_> {
    fn before_fields(&self, head: &Head) -> Option<bool> {
        // Of several one is enough to say this; of none it cannot be said while any is open.
        let first = |nodes: &[Self], enough: bool| {
            let mut said = Some(!enough);
            for node in nodes {
                match node.before_fields(head) {
                    Some(holds) if holds == enough => return Some(enough),
                    Some(_) => {}
                    None => said = None,
                }
            }
            said
        };
        match self {
            Self::Always(holds) => Some(*holds),
            Self::All(nodes) => first(nodes, false),
            Self::Any(nodes) => first(nodes, true),
            Self::Not(node) => node.before_fields(head).map(|holds| !holds),
            Self::Check(check) => check.before_fields(head),
        }
    }

    fn holds(&self, record: &Record<'_>) -> bool {
        match self {
            Self::Always(holds) => *holds,
            Self::All(nodes) => nodes.iter().all(|node| node.holds(record)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(record)),
            Self::Not(node) => !node.holds(record),
            Self::Check(check) => match check.before_fields(record.head) {
                Some(holds) => holds,
                None => check.holds(record),
            },
        }
    }

    /// What it costs, roughly.
    fn cost(&self) -> u32 {
        match self {
            Self::Always(_) => 0,
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().map(Self::cost).sum(),
            Self::Not(node) => node.cost(),
            Self::Check(check) => check.cost(),
        }
    }
}

impl Check<'_> {
    fn before_fields(&self, head: &Head) -> Option<bool> {
        let number = |op: Op, is: u64, wanted: u64| match op {
            Op::Bits => is & wanted != 0,
            op => compare::ordered(op, is.cmp(&wanted)),
        };
        Some(match self {
            Self::Ticks(from, to, is_within) => {
                (*from..*to).contains(&u128::from(head.ticks)) == *is_within
            }
            Self::Cpu(op, wanted) => number(*op, head.cpu.into(), *wanted),
            Self::Number(op, wanted) => number(*op, head.number, *wanted),
            Self::Packet(op, wanted) => number(*op, head.packet, *wanted),
            Self::Context(op, wanted) => (head.context == *wanted) == (*op == Op::Eq),
            _ => return None,
        })
    }

    fn holds(&self, record: &Record<'_>) -> bool {
        let text = |text: Option<&[u8]>, test: &Test| {
            text.is_some_and(|text| compare::text(text, test.op, &test.value))
        };
        let integer = |number: Option<i64>, test: &Test| {
            number.is_some_and(|number| compare::integer(number.into(), test.op, &test.value))
        };
        match self {
            Self::Process(test) => integer(record.who.process, test),
            Self::Thread(test) => integer(record.who.thread, test),
            Self::Integer(place, op, wanted) => {
                let number = record.values.get(*place).and_then(Value::as_integer);
                number.is_some_and(|number| match op {
                    Op::Bits => number & wanted != 0,
                    op => compare::ordered(*op, number.cmp(wanted)),
                })
            }
            Self::Severity(op, wanted) => {
                let severity = record.line.severity();
                severity.is_some_and(|severity| by_gravity(*op, severity, *wanted))
            }
            Self::Line(op, wanted) => {
                let line = record.line.number();
                line.is_some_and(|line| {
                    compare::integer(line.into(), *op, &Literal::Integer((*wanted).into()))
                })
            }
            Self::Field(place, kind, steps, test) => {
                let value = record.values.get(*place);
                value.is_some_and(|value| {
                    compare::field(record.schema, (kind, value), steps, test.op, &test.value)
                })
            }
            Self::Module(test) => text(record.line.module(), test),
            Self::File(test) => text(record.line.file(), test),
            Self::Msg(test) => text(record.line.message().as_deref(), test),
            // Said before.
            _ => false,
        }
    }

    /// What it costs, roughly: nothing, a look at a field, at a text, for a pattern; a sentence.
    fn cost(&self) -> u32 {
        let of_text = |test: &Test| match test.value {
            Literal::Pattern(_) => 8,
            _ => 4,
        };
        match self {
            Self::Ticks(..)
            | Self::Cpu(..)
            | Self::Number(..)
            | Self::Packet(..)
            | Self::Context(..) => 0,
            Self::Process(..)
            | Self::Thread(..)
            | Self::Integer(..)
            | Self::Severity(..)
            | Self::Line(..) => 1,
            Self::Field(.., test) => of_text(test),
            Self::Module(test) | Self::File(test) => of_text(test),
            Self::Msg(test) => 8 + of_text(test),
        }
    }
}

/// Whether one severity compares like that with another; the graver one is the greater.
fn by_gravity(op: Op, severity: Severity, wanted: Severity) -> bool {
    compare::ordered(op, wanted.cmp(&severity))
}

/// Makes plans for one kind of record.
struct Maker<'a> {
    schema: &'a Schema,
    channel: &'a Channel,
    event: &'a Event,
}

impl<'a> Maker<'a> {
    fn node(&self, expr: &'a Expr) -> Node<'a> {
        match expr {
            Expr::All(all) => self.connected(all, false, Node::All),
            Expr::Any(all) => self.connected(all, true, Node::Any),
            Expr::Not(expr) => match self.node(expr) {
                Node::Always(holds) => Node::Always(!holds),
                node => Node::Not(Box::new(node)),
            },
            Expr::Test(test) => self.test(test),
        }
    }

    /// Several, of which one that is `enough` decides.
    fn connected(
        &self,
        all: &'a [Expr],
        enough: bool,
        connect: fn(Vec<Node<'a>>) -> Node<'a>,
    ) -> Node<'a> {
        let mut nodes = Vec::new();
        for expr in all {
            match self.node(expr) {
                Node::Always(holds) if holds == enough => return Node::Always(enough),
                Node::Always(_) => {}
                node => nodes.push(node),
            }
        }
        nodes.sort_by_key(Node::cost);
        match nodes.pop() {
            None => Node::Always(!enough),
            Some(only) if nodes.is_empty() => only,
            Some(last) => {
                nodes.push(last);
                connect(nodes)
            }
        }
    }

    fn test(&self, test: &'a Test) -> Node<'a> {
        match &test.operand {
            Operand::Attribute(attribute) => self.attribute(*attribute, test),
            Operand::Field(path) => self.field(path, test),
        }
    }

    fn attribute(&self, attribute: Attribute, test: &'a Test) -> Node<'a> {
        let (event, op) = (self.event, test.op);
        let text = |text: Option<&str>| {
            Node::Always(text.is_some_and(|text| compare::text(text.as_bytes(), op, &test.value)))
        };
        let number = match &test.value {
            Literal::Integer(number) => u64::try_from(*number).unwrap_or(u64::MAX),
            _ => 0,
        };
        // What is the same for all records of the class is known without one.
        let known = Line::new(event, &[]);
        let bytes = |text: Option<&[u8]>| {
            Node::Always(text.is_some_and(|text| compare::text(text, op, &test.value)))
        };
        let is_own = event.has_own_origin();
        match attribute {
            Attribute::Channel => text(Some(&self.channel.name)),
            Attribute::Event => text(Some(&event.name)),
            Attribute::Facility => match &event.facility {
                Some(facility) => text(Some(facility)),
                None => self.named("facility", &[], test),
            },
            Attribute::Type => match event.kind {
                Some(kind) => Node::Always(compare::integer(kind.into(), op, &test.value)),
                None => self.named("type", &[], test),
            },
            Attribute::Process if event.has_process() => Node::Check(Check::Process(test)),
            Attribute::Process => self.named("process", &[], test),
            Attribute::Thread if event.has_thread() => Node::Check(Check::Thread(test)),
            Attribute::Thread => self.named("thread", &[], test),
            Attribute::Module if is_own => Node::Check(Check::Module(test)),
            Attribute::Module => bytes(known.module()),
            Attribute::File if is_own => Node::Check(Check::File(test)),
            Attribute::File => bytes(known.file()),
            Attribute::Line if is_own => Node::Check(Check::Line(op, number)),
            Attribute::Line => Node::Always(
                known
                    .number()
                    .is_some_and(|line| compare::integer(line.into(), op, &test.value)),
            ),
            Attribute::Msg => match is_own || event.template().is_some() {
                true => Node::Check(Check::Msg(test)),
                false => Node::Always(false),
            },
            Attribute::Severity => match kind::severity(&test.value) {
                None => Node::Always(false),
                Some(wanted) => match event.has_own_severity() {
                    true => Node::Check(Check::Severity(op, wanted)),
                    false => {
                        let severity = event.severity;
                        let holds = severity.is_some_and(|it| by_gravity(op, it, wanted));
                        Node::Always(holds)
                    }
                },
            },
            Attribute::Context => match &test.value {
                Literal::Word(name) | Literal::Text(name) => match kind::context(name) {
                    Some(context) => Node::Check(Check::Context(op, context)),
                    None => Node::Always(false),
                },
                _ => Node::Always(false),
            },
            Attribute::Time => match &test.value {
                Literal::Duration(ns) => Node::Check(self.ticks(op, *ns)),
                _ => Node::Always(false),
            },
            Attribute::Cpu => Node::Check(Check::Cpu(op, number)),
            Attribute::Number => Node::Check(Check::Number(op, number)),
            Attribute::Packet => Node::Check(Check::Packet(op, number)),
        }
    }

    /// A comparison of times, in ticks.
    fn ticks(&self, op: Op, ns: u64) -> Check<'a> {
        let first = self.schema.first_tick(ns);
        let behind = match ns.checked_add(1) {
            Some(ns) => self.schema.first_tick(ns),
            None => u128::MAX,
        };
        match op {
            Op::Eq => Check::Ticks(first, behind, true),
            Op::Ne => Check::Ticks(first, behind, false),
            Op::Lt => Check::Ticks(0, first, true),
            Op::Le => Check::Ticks(0, behind, true),
            Op::Gt => Check::Ticks(0, behind, false),
            _ => Check::Ticks(0, first, false),
        }
    }

    fn field(&self, path: &'a Path, test: &'a Test) -> Node<'a> {
        self.named(&path.name, &path.steps, test)
    }

    /// A comparison of a field with this name, and what the steps lead to within it.
    fn named(&self, name: &str, steps: &'a [Step], test: &'a Test) -> Node<'a> {
        let fields = &self.event.fields.fields;
        let place = self.event.field(name);
        let found = place.and_then(|place| Some((place, fields.get(place)?)));
        match (found, &test.value) {
            (Some((_, field)), _) if field.is_length => Node::Always(false),
            (Some((place, field)), Literal::Integer(wanted)) => match field.kind {
                Type::Int(_) if steps.is_empty() => {
                    Node::Check(Check::Integer(place, test.op, *wanted))
                }
                _ => Node::Check(Check::Field(place, &field.kind, steps, test)),
            },
            (Some((place, field)), _) => Node::Check(Check::Field(place, &field.kind, steps, test)),
            (None, _) => Node::Always(false),
        }
    }
}
