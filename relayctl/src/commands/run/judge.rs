//! What became of the capture of a run.

use relay_decode::audit::Audit;
use relay_decode::balance::Verdict;
use relay_decode::capture::{Capture, Stored};

use super::summary::CaptureFacts;

/// Judges what was captured, and adds what is wrong to `problems`.
pub(super) fn judge(capture: &Capture, problems: &mut Vec<String>) -> CaptureFacts {
    let totals = capture.totals();
    let mut facts = CaptureFacts {
        path: capture.folder().display().to_string(),
        verdict: None,
        packets: totals.packets,
        records: 0,
        bytes: totals.bytes,
        no_ring: 0,
    };
    problems.extend(totals.contradictions);
    if let Some(error) = totals.metadata_error {
        problems.push(format!("the capture has no metadata: {error}"));
        facts.verdict = Some(Verdict::Broken(Vec::new()).name());
    }
    if totals.has_metadata {
        let audit = Stored::open(capture.folder()).and_then(|stored| Audit::of(&stored));
        let verdict = match audit {
            Ok(audit) => {
                let balance = audit.balance();
                facts.records = balance.delivered;
                facts.no_ring = balance.lost.no_ring;
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
    facts
}
