//! What captures hold, added up.

use std::collections::BTreeMap;
use std::path::Path;

use relay_decode::audit::{Audit, StreamAudit};
use relay_decode::balance::{Balance, Verdict};
use relay_decode::capture::{Boots, OpenError, Stored};
use relay_decode::merge::{Filter, Merge, Next};
use relay_decode::records::Value;
use relay_format::{Context, Severity};
use serde_json::json;

use super::nestings::Nestings;
use crate::report::{self, Reasons, Sums};

/// The channel of the log.
const LOG: &str = "klog";
/// The channel of claims, which are no load.
const CLAIMS: &str = "claims";

/// What the writers of one CPU and context tried, and what of it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Part {
    attempted: u64,
    delivered: u64,
}

/// What captures hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// How many there are.
    pub(crate) captures: u64,
    /// The ledger of all channels.
    pub(crate) balance: Balance,
    /// By CPU, or of the stream of all, and context.
    parts: BTreeMap<(Option<u32>, u8), Part>,
    /// Records of the log that tell of an error, or worse.
    errors: u64,
    /// What was interrupted where.
    nestings: Nestings,
    /// What is wrong.
    pub(crate) wrong: Vec<String>,
}

impl Totals {
    /// What the capture in `folder` holds, and what is wrong with it: whatever makes it less than
    /// complete. If the machine `has_failed`, its streams have no end, and its log says why.
    pub(super) fn of(folder: &Path, has_failed: bool) -> Self {
        let mut totals = Self {
            captures: 1,
            ..Self::default()
        };
        if let Err(error) = totals.read(folder, has_failed) {
            totals.wrong.push(error.to_string());
        }
        if has_failed && totals.errors == 0 {
            totals
                .wrong
                .push("the log does not say why the machine failed".to_owned());
        }
        totals
    }

    /// Reads all boots of a capture.
    fn read(&mut self, folder: &Path, has_failed: bool) -> Result<(), OpenError> {
        for boot in Boots::of(folder)?.all {
            let stored = Stored::open(&boot.folder)?;
            let audit = Audit::of(&stored)?;
            for stream in audit
                .streams
                .iter()
                .filter(|stream| stream.channel != CLAIMS)
            {
                let channel = stored.schema.channel(stream.channel_number);
                let is_of_all = channel.is_some_and(|channel| channel.is_global);
                self.take(stream, (!is_of_all).then_some(stream.cpu));
            }
            match audit.verdict() {
                Verdict::Complete if !has_failed => {}
                Verdict::Open if has_failed => {}
                Verdict::Complete => self
                    .wrong
                    .push("the capture is complete, although the machine failed".to_owned()),
                Verdict::Open => self
                    .wrong
                    .push("the capture is open, not complete".to_owned()),
                Verdict::Broken(problems) => self.wrong.extend(problems),
            }
            self.read_log(&stored)?;
        }
        Ok(())
    }

    /// Takes what a stream holds, that of a CPU or of all; nothing of one that programs take.
    fn take(&mut self, stream: &StreamAudit, cpu: Option<u32>) {
        if stream.is_taken {
            return;
        }
        let balance = stream.balance();
        self.balance += balance;
        if balance.unaccounted > 0 {
            let (count, file) = (balance.unaccounted, &stream.file);
            self.wrong
                .push(format!("{count} records of {file} are not accounted for"));
        }
        for context in Context::ALL {
            let part = self.parts.entry((cpu, context as u8)).or_default();
            part.attempted += stream.claimed[context as usize];
            part.delivered += stream.contexts[context as usize];
        }
    }

    /// Takes what the log says.
    fn read_log(&mut self, stored: &Stored) -> Result<(), OpenError> {
        let filter = Filter {
            channels: vec![LOG.to_owned()],
            ..Filter::default()
        };
        Merge::of(stored, &filter)?.each(|next| {
            if let Next::Record(shown, values) = next {
                let is_error = shown.severity.is_some_and(|is| is <= Severity::Error);
                self.errors += u64::from(is_error);
                let texts = values.iter().filter_map(|value| match value {
                    Value::Text(text) => std::str::from_utf8(text).ok(),
                    _ => None,
                });
                texts.for_each(|text| self.nestings.take(text));
            }
            Ok(())
        })
    }

    /// Adds others; what is wrong with them is left to who asks them.
    pub(crate) fn add(&mut self, other: &Self) {
        self.captures += other.captures;
        self.balance += other.balance;
        for (place, part) in &other.parts {
            let sum = self.parts.entry(*place).or_default();
            sum.attempted += part.attempted;
            sum.delivered += part.delivered;
        }
        self.nestings.add(&other.nestings);
    }

    /// What was interrupted too rarely for a proof.
    pub(crate) fn lacking(&self) -> Vec<String> {
        self.nestings.lacking()
    }

    /// Whether NMIs never came at a place where they matter.
    pub(crate) fn lacks_one(&self) -> bool {
        self.nestings.lacks_one()
    }

    /// A line for people: what was tried, and what became of it.
    pub(crate) fn line(&self) -> String {
        let Balance {
            attempted,
            delivered,
            lost,
            overwritten,
            uncommitted,
            unaccounted,
        } = self.balance;
        let lost = lost.total();
        format!(
            "attempted {attempted}, delivered {delivered}, lost {lost}, overwritten \
             {overwritten}, uncommitted {uncommitted}, unaccounted {unaccounted}"
        )
    }

    /// Tables for people.
    pub(crate) fn tables(&self) -> String {
        let heads = ["cpu", "context", "attempted", "delivered"];
        let mut rows = vec![heads.map(str::to_owned).to_vec()];
        for ((cpu, context), part) in &self.parts {
            let name = Context::ALL
                .get(usize::from(*context))
                .map_or("?", |is| is.name());
            let counts = [part.attempted, part.delivered].map(|count| count.to_string());
            let cpu = cpu.map_or_else(|| "all".to_owned(), |cpu| cpu.to_string());
            let row = [cpu, name.to_owned()].into_iter().chain(counts);
            rows.push(row.collect());
        }
        let lost = self.balance.lost.named();
        let lost = lost.iter().filter(|(_, count)| *count > 0);
        let lost: Vec<_> = lost
            .map(|(name, count)| format!("{name} {count}"))
            .collect();
        let lost = match lost.is_empty() {
            true => String::new(),
            false => format!("lost: {}\n", lost.join(", ")),
        };
        let parts = report::align(&rows);
        format!(
            "{parts}\n{}\n{lost}{}\n",
            self.nestings.table(),
            self.line()
        )
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> serde_json::Value {
        let parts = self.parts.iter().map(|((cpu, context), part)| {
            json!({
                "cpu": cpu,
                "context": Context::ALL.get(usize::from(*context)).map(|is| is.name()),
                "attempted": part.attempted,
                "delivered": part.delivered,
            })
        });
        let parts: Vec<_> = parts.collect();
        let sums: Sums<Reasons> = self.balance.into();
        json!({
            "captures": self.captures,
            "total": sums,
            "parts": parts,
            "nestings": self.nestings.json(),
        })
    }
}
