//! What a run ends with: a table for people, a JSON object for programs.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use relay_decode::balance::{Balance, Verdict};
use relay_decode::console::Ledger;
use relay_decode::escape::printable;
use relay_format::{Context, Severity};
use relay_machine::syslog::Told;
use serde::{Serialize, Serializer};

use super::services::ServiceFacts;
use crate::report::{self, Reasons, Sums};
use crate::terminal;

/// How a run ended, apart from its records.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RunFacts {
    /// The scenario's name.
    pub(crate) scenario: String,
    /// The result in one word: `pass`, `fail`, `interrupted`, `timeout`, `no-progress`, `error`.
    pub(crate) result: &'static str,
    /// The exit code of relayctl.
    pub(crate) exit: u8,
    /// Milliseconds from QEMU's start to the first log line on the host.
    pub(crate) first_line_ms: Option<f64>,
    /// Milliseconds from QEMU's start to its end.
    pub(crate) wall_ms: f64,
    /// CPUs that the machine had, if that is known.
    pub(crate) smp: Option<u32>,
    /// What is wrong with the records.
    pub(crate) problems: Vec<String>,
    /// The capture.
    pub(crate) capture: Option<CaptureFacts>,
    /// What became of what the machine said to syslog, if that was passed on.
    pub(crate) syslog: Option<Told>,
}

/// What a run has captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct CaptureFacts {
    /// The capture's folder.
    pub(crate) path: String,
    /// `complete`, `open` or `broken`; nothing if no metadata came.
    pub(crate) verdict: Option<&'static str>,
    /// CPUs that have streams, by the metadata.
    pub(crate) cpus: Option<u32>,
    /// Packets of streams.
    pub(crate) packets: u64,
    /// Records in them.
    pub(crate) records: u64,
    /// Bytes that were written.
    pub(crate) bytes: u64,
    /// Records lost on CPUs that have no ring for them.
    pub(crate) no_ring: u64,
    /// Its channels.
    pub(crate) channels: Vec<ChannelFacts>,
    /// What it says of who took records away.
    pub(crate) services: Vec<ServiceFacts>,
}

/// What a capture has of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ChannelFacts {
    /// The channel's name.
    pub(crate) name: String,
    /// The ledger of its streams.
    #[serde(flatten, serialize_with = "sums")]
    pub(crate) balance: Balance,
    /// `complete`, `open` or `broken`; `taken`: by programs.
    pub(crate) verdict: &'static str,
}

/// A ledger as JSON shows it.
fn sums<S: Serializer>(balance: &Balance, serializer: S) -> Result<S::Ok, S::Error> {
    Sums::<u64>::from(*balance).serialize(serializer)
}

impl CaptureFacts {
    /// A line for people.
    fn line(&self) -> String {
        let path = terminal::near(Path::new(&self.path));
        let path = printable(path.as_os_str().as_encoded_bytes());
        match self.verdict {
            Some(verdict) => {
                let mut line = format!(
                    "capture {path}: {verdict}, {} records in {} packets, {} bytes",
                    self.records, self.packets, self.bytes
                );
                if self.no_ring > 0 {
                    let lost = self.no_ring;
                    // Writing to a `String` cannot fail.
                    let _ = write!(line, "; {lost} lost on CPUs that have no ring for them");
                }
                line
            }
            None => format!("capture {path}: no records came beside the console's text"),
        }
    }
}

/// Milliseconds, to the microsecond.
#[must_use]
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// What the console's text is about.
const CHANNEL: &str = "klog";

/// All streams of the log together, as JSON shows them.
#[derive(Debug, Serialize)]
struct Total {
    /// The channel: of others the console tells nothing, the capture does.
    channel: &'static str,
    #[serde(flatten)]
    sums: Sums<u64>,
    verdict: &'static str,
}

/// One CPU's stream, as JSON shows it. `packets` and `bytes` are not known from console text.
#[derive(Debug, Serialize)]
struct Cpu {
    cpu: u32,
    packets: Option<u64>,
    records: u64,
    bytes: Option<u64>,
    #[serde(flatten)]
    sums: Sums<Reasons>,
    verdict: &'static str,
    duplicates: u64,
    out_of_order: u64,
    severities: serde_json::Map<String, serde_json::Value>,
    contexts: serde_json::Map<String, serde_json::Value>,
}

/// One channel, as JSON shows it.
#[derive(Debug, Serialize)]
struct Channel {
    name: &'static str,
    cpus: Vec<Cpu>,
}

/// The whole summary, as JSON shows it.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    run: &'a RunFacts,
    total: Total,
    channels: [Channel; 1],
}

/// Shows counts under their names.
fn named(
    names: impl IntoIterator<Item = impl Into<String>>,
    counts: &[u64],
) -> serde_json::Map<String, serde_json::Value> {
    names
        .into_iter()
        .zip(counts)
        .map(|(name, count)| (name.into(), (*count).into()))
        .collect()
}

/// The summary as one line of JSON.
#[must_use]
pub(crate) fn json(ledger: &Ledger, run: &RunFacts) -> String {
    let cpus = ledger.streams().map(|(cpu, stream)| {
        let balance = stream.balance();
        Cpu {
            cpu,
            packets: None,
            records: balance.delivered,
            bytes: None,
            sums: balance.into(),
            verdict: stream.verdict().name(),
            duplicates: stream.duplicates,
            out_of_order: stream.out_of_order,
            severities: named(Severity::ALL.map(lower), &stream.severities),
            contexts: named(Context::ALL.map(Context::name), &stream.contexts),
        }
    });
    report::line(&Summary {
        run,
        total: Total {
            channel: CHANNEL,
            sums: ledger.balance().into(),
            verdict: ledger.verdict().name(),
        },
        channels: [Channel {
            name: CHANNEL,
            cpus: cpus.collect(),
        }],
    })
}

/// The summary as a table, with a line for every CPU and one for all.
#[must_use]
pub(crate) fn table(ledger: &Ledger, run: &RunFacts) -> String {
    let mut sums = ([0u64; 3], [0u64; Severity::ALL.len()]);
    for (_, stream) in ledger.streams() {
        for (sum, count) in sums.0.iter_mut().zip(stream.contexts) {
            *sum += count;
        }
        for (sum, count) in sums.1.iter_mut().zip(stream.severities) {
            *sum += count;
        }
    }
    let shown = shown_severities(&sums.1);
    let heads = ["cpu", "records", "task", "irq", "nmi"].map(str::to_owned);
    let severities = shown.iter().map(|severity| lower(*severity));
    let counts = ["attempted", "lost", "uncommitted", "unaccounted", "stream"];
    let counts = counts.map(str::to_owned);
    let mut rows = vec![heads.into_iter().chain(severities).chain(counts).collect()];
    for (cpu, stream) in ledger.streams() {
        let verdict = stream.verdict();
        let state = match (&verdict, stream.next) {
            (Verdict::Open, 0) => "open".to_owned(),
            (Verdict::Open, next) => format!("open, proven up to {cpu}:{}", next - 1),
            (verdict, _) => verdict.name().to_owned(),
        };
        let severities = (&shown[..], stream.severities);
        let balance = stream.balance();
        rows.push(row(
            cpu.to_string(),
            &balance,
            stream.contexts,
            severities,
            state,
        ));
    }
    let verdict = ledger.verdict();
    rows.push(row(
        "all".to_owned(),
        &ledger.balance(),
        sums.0,
        (&shown[..], sums.1),
        verdict.name().to_owned(),
    ));
    let mut text = format!("{CHANNEL}, by the console's text:\n") + &report::align(&rows);
    let lost = ledger.balance().lost;
    if lost.total() > 0 {
        let reasons = lost.named().into_iter().filter(|(_, count)| *count > 0);
        let reasons: Vec<_> = reasons
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "lost: {}", reasons.join(", "));
    }
    let passed_over = ledger.passed_over();
    if passed_over > 0 {
        let _ = writeln!(
            text,
            "the console was too slow for {passed_over} more records: the capture has them"
        );
    }
    for problem in &run.problems {
        let _ = writeln!(text, "problem: {problem}");
    }
    if let Some(capture) = &run.capture {
        let _ = writeln!(text, "{}", capture.line());
        text += &channels(&capture.channels);
        let services: Vec<_> = capture.services.iter().map(ServiceFacts::line).collect();
        if !services.is_empty() {
            let _ = writeln!(text, "{}", services.join("; "));
        }
    }
    if let Some(syslog) = &run.syslog {
        let line = syslog.to_string();
        let _ = writeln!(text, "syslog: {}", printable(line.as_bytes()));
    }
    let first = match run.first_line_ms {
        Some(ms) => format!("first log line {:.3} s after QEMU's start", ms / 1e3),
        None => "no log line".to_owned(),
    };
    let _ = writeln!(text, "{first}, {:.3} s in all", run.wall_ms / 1e3);
    let cpus = match run.smp {
        None => String::new(),
        Some(1) => " on 1 CPU".to_owned(),
        Some(cpus) => format!(" on {cpus} CPUs"),
    };
    let _ = writeln!(text, "scenario {}{cpus}: {}", run.scenario, run.result);
    text
}

/// The channels of a capture as a table, if it has some.
fn channels(channels: &[ChannelFacts]) -> String {
    if channels.is_empty() {
        return String::new();
    }
    let heads = ["channel", "records", "attempted", "lost"];
    let ends = ["overwritten", "uncommitted", "unaccounted", "streams"];
    let heads = heads.iter().chain(&ends).map(|head| (*head).to_owned());
    let mut rows = vec![heads.collect::<Vec<_>>()];
    for ChannelFacts {
        name,
        balance,
        verdict,
    } in channels
    {
        let counts = [
            balance.delivered,
            balance.attempted,
            balance.lost.total(),
            balance.overwritten,
            balance.uncommitted,
            balance.unaccounted,
        ];
        let mut row = vec![printable(name.as_bytes()).into_owned()];
        row.extend(counts.map(|count| count.to_string()));
        row.push((*verdict).to_owned());
        rows.push(row);
    }
    report::align(&rows)
}

/// The severities that have a column: those that nearly every log has, and what else occurred.
fn shown_severities(counts: &[u64; Severity::ALL.len()]) -> Vec<Severity> {
    let is_usual = |severity: Severity| {
        !matches!(
            severity,
            Severity::Emerg | Severity::Alert | Severity::Crit | Severity::Notice
        )
    };
    let all = Severity::ALL.into_iter().zip(counts);
    all.filter(|(severity, count)| is_usual(*severity) || **count > 0)
        .map(|(severity, _)| severity)
        .collect()
}

/// A severity's name in lower case, as a column and JSON have it.
fn lower(severity: Severity) -> String {
    severity.name().to_ascii_lowercase()
}

/// One line of the table.
fn row(
    cpu: String,
    balance: &Balance,
    contexts: [u64; 3],
    (shown, severities): (&[Severity], [u64; Severity::ALL.len()]),
    state: String,
) -> Vec<String> {
    let Balance {
        attempted,
        delivered,
        lost,
        uncommitted,
        unaccounted,
        ..
    } = balance;
    let shown = shown.iter().map(|severity| severities[*severity as usize]);
    let counts = std::iter::once(*delivered)
        .chain(contexts)
        .chain(shown)
        .chain([*attempted, lost.total(), *uncommitted, *unaccounted]);
    std::iter::once(cpu)
        .chain(counts.map(|count| count.to_string()))
        .chain([state])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use relay_decode::console::Line;
    use relay_machine::syslog::{Faults, FrameError};
    use serde_json::json;

    fn sample() -> (Ledger, RunFacts) {
        let mut ledger = Ledger::new();
        for line in [
            "[    0.000010] 0:0 task INFO  k main.rs:1: first",
            "[    0.000020] 1:0 nmi  WARN  k main.rs:2: other",
            "-- cpu 0: end of stream: attempted 3, delivered 1, lost 2 (full 2)",
        ] {
            ledger.take(&Line::parse(line));
        }
        let run = RunFacts {
            scenario: "smoke".into(),
            result: "pass",
            exit: 0,
            first_line_ms: Some(83.25),
            wall_ms: 1200.0,
            smp: Some(2),
            problems: Vec::new(),
            capture: Some(CaptureFacts {
                path: "captures/x".into(),
                verdict: Some("complete"),
                cpus: Some(2),
                packets: 2,
                records: 7,
                bytes: 4096,
                no_ring: 0,
                channels: vec![ChannelFacts {
                    name: "flood".to_owned(),
                    balance: Balance {
                        attempted: 9,
                        delivered: 7,
                        overwritten: 2,
                        ..Balance::default()
                    },
                    verdict: "complete",
                }],
                services: vec![
                    ServiceFacts {
                        name: "kernel".to_owned(),
                        packets: 1,
                        ..ServiceFacts::default()
                    },
                    ServiceFacts {
                        name: "logd".to_owned(),
                        packets: 9,
                        restarts: 2,
                        given_up: true,
                        lost: 1,
                        ..ServiceFacts::default()
                    },
                ],
            }),
            syslog: Some(Told {
                to: "tcp:\u{202e}:1".to_owned(),
                came: 8,
                passed: 5,
                not_passed: 3,
                why: Some("refused".to_owned()),
                malformed: 1,
                broken: 1,
                faults: Some(Faults {
                    first: FrameError::NoLength,
                    at: 9,
                    count: 2,
                    passed_over: 7,
                }),
            }),
        };
        (ledger, run)
    }

    #[test]
    fn json_has_the_agreed_shape() {
        let (ledger, run) = sample();
        let value: serde_json::Value =
            serde_json::from_str(&json(&ledger, &run)).expect("it is JSON");
        assert_eq!(value["run"]["scenario"], "smoke");
        assert_eq!(value["run"]["first_line_ms"], 83.25);
        assert_eq!(value["run"]["capture"]["verdict"], "complete");
        let total = &value["total"];
        for (key, count) in [
            ("attempted", 4),
            ("delivered", 2),
            ("lost", 2),
            ("overwritten", 0),
            ("uncommitted", 0),
            ("unaccounted", 0),
        ] {
            assert_eq!(total[key], count, "{key}");
        }
        assert_eq!(total["verdict"], "open");
        assert_eq!(total["channel"], "klog");
        let flood = &value["run"]["capture"]["channels"][0];
        assert_eq!(
            (
                &flood["name"],
                &flood["attempted"],
                &flood["overwritten"],
                &flood["lost"]
            ),
            (&"flood".into(), &9.into(), &2.into(), &0.into())
        );
        let logd = &value["run"]["capture"]["services"][1];
        assert_eq!(
            logd,
            &json!({"name": "logd", "packets": 9, "restarts": 2, "given_up": true, "lost": 1})
        );
        let syslog = &value["run"]["syslog"];
        assert_eq!(
            (&syslog["passed"], &syslog["why"]),
            (&5.into(), &"refused".into())
        );
        assert_eq!(syslog["faults"]["at"], 9);
        let channel = &value["channels"][0];
        assert_eq!(channel["name"], "klog");
        let cpu = &channel["cpus"][1];
        assert_eq!(cpu["cpu"], 1);
        assert_eq!(cpu["severities"]["warn"], 1);
        assert_eq!(cpu["contexts"]["nmi"], 1);
        assert_eq!(channel["cpus"][0]["lost"]["full"], 2);
    }

    #[test]
    fn the_table_names_everything() {
        let (ledger, run) = sample();
        let text = table(&ledger, &run);
        let (title, rest) = text.split_once('\n').expect("it has lines");
        assert_eq!(title, "klog, by the console's text:");
        let lines: Vec<_> = rest.lines().collect();
        assert!(lines[0].ends_with("unaccounted  stream"));
        assert!(lines[1].trim_start().starts_with("0 ") && lines[1].ends_with("complete"));
        assert!(lines[2].ends_with("open, proven up to 1:0"));
        assert!(lines[3].starts_with("all"));
        assert_eq!(lines[4], "lost: full 2");
        assert_eq!(
            lines[5],
            "capture captures/x: complete, 7 records in 2 packets, 4096 bytes"
        );
        assert_eq!(
            lines[6..8].join("\n"),
            "channel  records  attempted  lost  overwritten  uncommitted  unaccounted  streams\n\
             \x20 flood        7          9     0            2            0            0  complete"
        );
        assert_eq!(
            lines[8],
            "kernel sent 1 packet; logd sent 9 packets, was restarted 2 times, was given up, could \
             not pass on 1 record"
        );
        assert_eq!(
            lines[9],
            "syslog: 5 messages passed to tcp:\\u{202e}:1, 3 not passed on: refused; the connection \
             broke 1 time: what was under way then may be missing; control characters of 1 were \
             escaped; 7 bytes that came at 2 places are no messages, first at byte 9: no length, as \
             in '123 <14>1 '"
        );
        assert_eq!(
            lines[10],
            "first log line 0.083 s after QEMU's start, 1.200 s in all"
        );
        assert_eq!(lines[11], "scenario smoke on 2 CPUs: pass");
    }

    #[test]
    fn what_was_lost_for_want_of_a_ring_is_told() {
        let (_, run) = sample();
        let mut facts = run.capture.expect("there is a capture");
        facts.no_ring = 20;
        assert_eq!(
            facts.line(),
            "capture captures/x: complete, 7 records in 2 packets, 4096 bytes; 20 lost on CPUs \
             that have no ring for them"
        );
    }
}
