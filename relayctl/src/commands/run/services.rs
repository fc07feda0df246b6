//! What the machine says of who took its records away: the kernel, and programs that serve.

use relay_decode::capture::{OpenError, Stored};
use relay_decode::escape::printable;
use relay_decode::merge::{Filter, Merge, Next};
use relay_decode::records::{Event, Value};
use serde::Serialize;

/// Where it says so.
const CHANNEL: &str = "evlog";

/// The most that are told apart: nobody has more, and the machine may say anything.
const MOST: usize = 64;

/// What is known of a service, or of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ServiceFacts {
    /// Its name; `kernel` is the kernel itself.
    pub(crate) name: String,
    /// The packets that it has sent.
    pub(crate) packets: u64,
    /// How often it was started again.
    pub(crate) restarts: u64,
    /// Whether it died too often.
    pub(crate) given_up: bool,
    /// The records that it could not pass on.
    pub(crate) lost: u64,
    /// The process that said so last, and how many: it counts its own.
    #[serde(skip)]
    pub(super) said: Option<(Option<i64>, u64)>,
}

impl ServiceFacts {
    /// A process of this name says that it could not pass on so many records by now. Those before it
    /// had others.
    fn lose(&mut self, process: Option<i64>, number: u64) {
        let before = self.said.filter(|(said, _)| *said == process);
        let before = before.map_or(0, |(_, before)| before);
        self.lost = (self.lost - before.min(self.lost)).saturating_add(number);
        self.said = Some((process, number));
    }

    /// A line for people, without an end.
    pub(super) fn line(&self) -> String {
        let count = |count: u64, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        let mut line = format!(
            "{} sent {}",
            printable(self.name.as_bytes()),
            count(self.packets, "packet")
        );
        if self.restarts > 0 {
            line += &format!(", was restarted {}", count(self.restarts, "time"));
        }
        if self.given_up {
            line += ", was given up";
        }
        if self.lost > 0 {
            line += &format!(", could not pass on {}", count(self.lost, "record"));
        }
        line
    }
}

/// What a boot says of services, in the order in which it names them. Each number is the last that
/// was told; of records that were lost, the last of each process.
///
/// # Errors
///
/// When the capture cannot be read.
pub(super) fn services(stored: &Stored) -> Result<Vec<ServiceFacts>, OpenError> {
    let mut services = Vec::new();
    let mut channels = stored.schema.channels.iter();
    if !channels.any(|channel| channel.name == CHANNEL) {
        return Ok(services);
    }
    let filter = Filter {
        channels: vec![CHANNEL.to_owned()],
        ..Filter::default()
    };
    Merge::of(stored, &filter)?.each(|next| {
        // What is damaged the audit knows.
        if let Next::Record(shown, values) = next {
            take(
                shown.record.event,
                shown.record.who.process,
                values,
                &mut services,
            );
        }
        Ok(())
    })?;
    Ok(services)
}

/// Takes what an event says, if it is about a service.
fn take(
    event: &Event,
    process: Option<i64>,
    values: &[Value<'_>],
    services: &mut Vec<ServiceFacts>,
) {
    let (name, number) = match event.name.as_str() {
        "drained" => ("by", "packets"),
        "service_restarted" | "service_given_up" => ("service", "times"),
        "service_lost" => ("service", "records"),
        _ => return,
    };
    let value = |field| event.field(field).and_then(|at| values.get(at));
    let (Some(Value::Text(name)), Some(number)) =
        (value(name), value(number).and_then(Value::as_unsigned))
    else {
        return;
    };
    let name = String::from_utf8_lossy(name);
    let known = services.iter().position(|service| service.name == name);
    let at = known.unwrap_or(services.len());
    if known.is_none() {
        if services.len() == MOST {
            return;
        }
        services.push(ServiceFacts {
            name: name.into_owned(),
            ..ServiceFacts::default()
        });
    }
    let service = &mut services[at];
    match event.name.as_str() {
        "drained" => service.packets = number,
        "service_lost" => service.lose(process, number),
        told => {
            service.restarts = number;
            service.given_up |= told == "service_given_up";
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_process_of_a_service_has_lost_is_added_up() {
        let mut service = ServiceFacts::default();
        for (process, number, all) in [(7, 5, 5), (7, 9, 9), (8, 2, 11), (8, 3, 12), (9, 40, 52)] {
            service.lose(Some(process), number);
            assert_eq!(service.lost, all);
        }
        service.lose(Some(9), u64::MAX);
        assert_eq!(service.lost, u64::MAX);
    }
}
