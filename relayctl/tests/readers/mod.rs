//! What two readers of a trace say about each record: babeltrace2, and `cat --json`; in one form, so
//! that they can be compared.
//!
//! babeltrace2 shows flags and options as the numbers that they are: fields whose names begin with
//! `flags` and `maybe` are taken for such. Of floating point numbers it
//! shows some digits.

use serde_json::{Map, Value, json};

/// Reads babeltrace2's text: `{ a = 1, b = "x", c = [ [0] = 1 ], d = ( "A" : container = 1 ) }`.
struct Text<'a>(&'a str);

impl Text<'_> {
    fn skip(&mut self, what: &str) -> bool {
        self.0 = self.0.trim_start();
        match self.0.strip_prefix(what) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, what: &str) {
        assert!(
            self.skip(what),
            "{what:?} should be in front of {:?}",
            self.0
        );
    }

    fn word(&mut self) -> String {
        self.0 = self.0.trim_start();
        let end = self
            .0
            .find(|c: char| !(c.is_alphanumeric() || "_-+.".contains(c)));
        let (word, rest) = self.0.split_at(end.unwrap_or(self.0.len()));
        self.0 = rest;
        word.to_owned()
    }

    fn quoted(&mut self) -> String {
        self.expect("\"");
        let mut text = String::new();
        let mut chars = self.0.char_indices();
        loop {
            match chars.next().expect("it ends").1 {
                '"' => break,
                '\\' => text.push(match chars.next().expect("it goes on").1 {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'x' => {
                        let digit = |c: Option<(usize, char)>| c.unwrap().1.to_digit(16).unwrap();
                        let high = digit(chars.next());
                        char::from(u8::try_from(high * 16 + digit(chars.next())).unwrap())
                    }
                    c => c,
                }),
                c => text.push(c),
            }
        }
        self.0 = chars.as_str();
        text
    }

    fn fields(&mut self) -> Map<String, Value> {
        let mut fields = Map::new();
        self.expect("{");
        while !self.skip("}") {
            let name = self.word();
            self.expect("=");
            fields.insert(name, self.value());
            self.skip(",");
        }
        fields
    }

    fn value(&mut self) -> Value {
        match self.0.trim_start().as_bytes()[0] {
            b'"' => self.quoted().into(),
            b'{' => self.fields().into(),
            b'[' => {
                let mut list = Vec::new();
                self.expect("[");
                while !self.skip("]") {
                    self.expect("[");
                    assert_eq!(self.word(), list.len().to_string());
                    self.expect("]");
                    self.expect("=");
                    list.push(self.value());
                    self.skip(",");
                }
                list.into()
            }
            b'(' => {
                self.expect("(");
                let is_known = !self.skip("<unknown>");
                let label = is_known.then(|| self.quoted());
                self.expect(": container =");
                let number = self.value();
                self.expect(")");
                match label.as_deref() {
                    Some("false") => false.into(),
                    Some("true") => true.into(),
                    _ => label.map_or(number, Value::from),
                }
            }
            _ => {
                let word = self.word();
                if let Some(digits) = word.strip_prefix("0x") {
                    return u64::from_str_radix(digits, 16).expect("a number").into();
                }
                match (word.parse::<u64>(), word.parse::<i64>()) {
                    (Ok(number), _) => number.into(),
                    (_, Ok(number)) => number.into(),
                    _ => word.parse::<f64>().expect("a number").into(),
                }
            }
        }
    }
}

/// What both readers say about a record: ticks, CPU, event, context, who wrote it, fields.
fn key(
    ticks: u64,
    cpu: &Value,
    event: &str,
    context: &Value,
    who: [&Value; 2],
    fields: &Value,
) -> String {
    json!([ticks, cpu, event, context, who, comparable(fields)]).to_string()
}

/// A value whose floating point numbers are as babeltrace2 shows them: six digits, and whole numbers
/// without a point.
fn comparable(value: &Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            let number = number.as_f64().expect("it is one");
            match number.fract() == 0.0 && number.abs() < 1e6 {
                true => (number as i64).into(),
                false => format!("{number:.5e}").into(),
            }
        }
        Value::Array(list) => list.iter().map(comparable).collect(),
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields = fields.map(|(name, value)| (name.clone(), comparable(value)));
            fields.collect::<Map<_, _>>().into()
        }
        other => other.clone(),
    }
}

/// The records by babeltrace2, fillers left out.
pub(crate) fn theirs(text: &str, flags: &[(&str, u64)]) -> Vec<String> {
    let mut records = Vec::new();
    for line in text.lines() {
        // `[00000281474976710566] host klog: { packet }, { stream's context }, { fields }`, and
        // before the fields `{ event's context }` if there is one.
        let (ticks, rest) = line[1..].split_once("] ").expect("a time");
        // Not of machines without a name.
        let rest = rest.strip_prefix("relay-kernel ").unwrap_or(rest);
        // A statement's name is a sentence.
        let (event, packet) = rest.split_once(": { ").expect("an event");
        let mut rest = Text(&rest[rest.len() - packet.len() - 2..]);
        let packet = rest.fields();
        rest.expect(",");
        let context = rest.fields();
        rest.expect(",");
        let mut fields = rest.fields();
        let mut who = Map::new();
        if rest.skip(",") {
            who = std::mem::replace(&mut fields, rest.fields());
        }
        let who = ["pid", "tid"].map(|name| who.get(name).unwrap_or(&Value::Null));
        if !event.starts_with("filler") {
            let ticks = ticks.parse().expect("a number");
            records.push(key(
                ticks,
                &packet["cpu_id"],
                event,
                &context["context"],
                who,
                &as_ours(&fields, flags),
            ));
        }
    }
    records
}

/// What the other reader says about fields, as `cat --json` has it: it shows the lengths, and knows
/// neither flags, nor what is there or not, nor that an element has no name.
fn as_ours(fields: &Map<String, Value>, flags: &[(&str, u64)]) -> Value {
    let names = fields
        .keys()
        .filter(|name| !(name.starts_with("__") && name.ends_with("_length")));
    let converted = names.map(|name| {
        let plain = |value: &Value| match value.get("v") {
            Some(text) => text.clone(),
            None => value.clone(),
        };
        let value = match &fields[name] {
            Value::Array(list) if name.starts_with("maybe") => {
                list.first().map_or(Value::Null, plain)
            }
            Value::Array(list) => list.iter().map(plain).collect(),
            Value::Number(bits) if name.starts_with("flags") => {
                names_of(bits.as_u64().expect("flags have no sign"), flags)
            }
            value if name.starts_with("flags") => json!([value]),
            value => value.clone(),
        };
        (name.clone(), value)
    });
    converted.collect::<Map<_, _>>().into()
}

/// The names of the bits that are set, and the number that is left.
fn names_of(bits: u64, flags: &[(&str, u64)]) -> Value {
    let mut rest = bits;
    let mut names: Vec<Value> = Vec::new();
    for (name, flag) in flags {
        if bits & flag == *flag {
            names.push((*name).into());
            rest &= !flag;
        }
    }
    if rest != 0 {
        names.push(rest.into());
    }
    names.into()
}

/// The records by `cat --json`.
pub(crate) fn ours(text: &str) -> Vec<String> {
    let parse = |line: &str| -> Value { serde_json::from_str(line).expect("it is JSON") };
    text.lines()
        .map(parse)
        .map(|record| {
            let event = record["event"].as_str().expect("a name");
            let ticks = record["ticks"].as_u64().expect("a number");
            key(
                ticks,
                &record["cpu"],
                event,
                &record["context"],
                [&record["process"], &record["thread"]],
                &record["fields"],
            )
        })
        .collect()
}
