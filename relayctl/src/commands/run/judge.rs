//! What became of the capture of a run.

use relay_decode::audit::{Audit, StreamAudit};
use relay_decode::balance::Verdict;
use relay_decode::capture::{Capture, Stored};
use relay_decode::escape::printable;

use super::summary::{CaptureFacts, ChannelFacts};

/// The ledger of each channel.
fn channels(audit: &Audit) -> Vec<ChannelFacts> {
    let of_one = audit
        .streams
        .chunk_by(|one, other| one.channel == other.channel);
    let facts = of_one.filter_map(|streams| {
        let balances = streams.iter().map(StreamAudit::balance);
        let verdicts = streams.iter().map(StreamAudit::verdict);
        Some(ChannelFacts {
            name: streams.first()?.channel.clone(),
            balance: balances.sum(),
            verdict: Verdict::of_all(Vec::new(), verdicts).name(),
        })
    });
    facts.collect()
}

/// Judges what was captured of a machine that was to have so many CPUs, if that is known, and adds
/// what is wrong to `problems`.
pub(super) fn judge(
    capture: &Capture,
    wanted: Option<u32>,
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
        channels: Vec::new(),
    };
    problems.extend(totals.contradictions);
    if let Some(error) = totals.metadata_error {
        problems.push(format!("the capture has no metadata: {error}"));
        facts.verdict = Some(Verdict::Broken(Vec::new()).name());
    }
    if totals.has_metadata {
        let audit = Stored::open(folder).and_then(|stored| {
            facts.cpus = Some(stored.schema.cpus);
            Audit::of(&stored)
        });
        let verdict = match audit {
            Ok(audit) => {
                facts.records = audit.balance().delivered;
                facts.channels = channels(&audit);
                audit.verdict()
            }
            Err(error) => Verdict::Broken(vec![error.to_string()]),
        };
        facts.verdict = Some(verdict.name());
        if let Verdict::Broken(reasons) = verdict {
            problems.extend(
                reasons
                    .into_iter()
                    .map(|reason| format!("capture: {reason}")),
            );
        }
    }
    if let (Some(cpus), Some(wanted)) = (facts.cpus, wanted)
        && cpus != wanted
    {
        problems.push(format!(
            "the machine was to have {wanted} CPUs, and the kernel found {cpus}"
        ));
    }
    facts
}
