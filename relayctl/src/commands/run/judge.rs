//! What became of the capture of a run.

use std::path::Path;

use relay_decode::audit::{Audit, StreamAudit, TAKEN};
use relay_decode::balance::Verdict;
use relay_decode::capture::{Boots, Capture, OpenError, Stored};
use relay_decode::escape::printable;

use super::services::services;
use super::summary::{CaptureFacts, ChannelFacts};

/// The ledger of each channel.
fn channels(audit: &Audit) -> Vec<ChannelFacts> {
    let of_one = audit
        .streams
        .chunk_by(|one, other| one.channel == other.channel);
    let facts = of_one.filter_map(|streams| {
        let balances = streams.iter().map(StreamAudit::balance);
        let verdicts = streams.iter().map(StreamAudit::verdict);
        let verdict = match Verdict::of_all(Vec::new(), verdicts) {
            Verdict::Complete if streams.iter().all(|stream| stream.is_taken) => TAKEN,
            verdict => verdict.name(),
        };
        Some(ChannelFacts {
            name: streams.first()?.channel.clone(),
            balance: balances.sum(),
            verdict,
        })
    });
    facts.collect()
}

/// Judges what was captured of a machine that was to have so many CPUs, if that is known, and adds
/// what is wrong to `problems`. `is_due` says that the guest claims to have sent all of it, so that
/// what is not complete is wrong.
pub(super) fn judge(
    capture: &Capture,
    wanted: Option<u32>,
    is_due: bool,
    problems: &mut Vec<String>,
) -> CaptureFacts {
    let (totals, folder) = (capture.totals(), capture.folder());
    let mut facts = CaptureFacts {
        path: match folder.to_str() {
            Some(path) => path.to_owned(),
            None => printable(folder.as_os_str().as_encoded_bytes()).into_owned(),
        },
        verdict: None,
        cpus: None,
        packets: totals.packets,
        records: 0,
        bytes: totals.bytes,
        no_ring: 0,
        channels: Vec::new(),
        services: Vec::new(),
    };
    let is_consistent = totals.contradictions.is_empty();
    let mut wrong = totals.contradictions;
    if totals.left_out > 0 {
        let left_out = totals.left_out;
        wrong.push(format!("{left_out} bytes that came are left out"));
    }
    if let Some(error) = totals.metadata_error {
        wrong.push(format!("it has no metadata: {error}"));
        facts.verdict = Some(Verdict::Broken(Vec::new()).name());
    } else if !totals.has_metadata && totals.fragments > 0 {
        let fragments = totals.fragments;
        wrong.push(format!(
            "{fragments} bytes came, and none of them can be read"
        ));
        facts.verdict = Some(Verdict::Broken(Vec::new()).name());
    }
    wrong.extend(totals.strays.sentences());
    if totals.has_metadata {
        let verdict = match judge_boots(folder, is_due, &mut facts, &mut wrong) {
            Ok(Verdict::Complete) if totals.left_out > 0 => Verdict::Open,
            Ok(verdict) => verdict,
            Err(error) => Verdict::Broken(vec![error.to_string()]),
        };
        facts.verdict = Some(match totals.strays.is_empty() && is_consistent {
            true => verdict.name(),
            false => Verdict::Broken(Vec::new()).name(),
        });
        wrong.extend(verdict.problems());
    }
    problems.extend(wrong.into_iter().map(|what| format!("capture: {what}")));
    if let (Some(cpus), Some(wanted)) = (facts.cpus, wanted)
        && cpus != wanted
    {
        problems.push(format!(
            "the machine was to have {wanted} CPUs, and the kernel found {cpus}"
        ));
    }
    facts
}

/// Judges each boot of a capture: one, unless the machine was reset. The CPUs, the channels and the
/// services are those of the last.
fn judge_boots(
    folder: &Path,
    is_due: bool,
    facts: &mut CaptureFacts,
    wrong: &mut Vec<String>,
) -> Result<Verdict, OpenError> {
    let mut verdicts = Vec::new();
    for boot in Boots::of(folder)?.all {
        let stored = Stored::open(&boot.folder)?;
        let audit = Audit::of(&stored)?;
        let balance = audit.balance();
        facts.cpus = Some(stored.schema.cpus);
        facts.records = facts.records.saturating_add(balance.delivered);
        facts.no_ring = facts.no_ring.saturating_add(balance.lost.no_ring);
        facts.channels = channels(&audit);
        facts.services = services(&stored)?;
        if is_due {
            wrong.extend(unsent(&audit));
        }
        verdicts.push(audit.verdict_so_far());
    }
    Ok(Verdict::of_all(Vec::new(), verdicts))
}

/// The streams that did not come to their end, but for those of which something is left out.
fn unsent(audit: &Audit) -> Option<String> {
    let open = audit.streams.iter();
    let open = open.filter(|stream| stream.verdict() == Verdict::Open && !stream.is_left_out());
    let files: Vec<_> = open.map(|stream| stream.file.as_str()).collect();
    let what = match files.len() {
        0 => return None,
        1 => "stream did",
        _ => "streams did",
    };
    let count = files.len();
    let names = files.join(" ");
    Some(format!("{count} {what} not come to an end: {names}"))
}
