//! What became of the capture of a run.

use std::path::Path;

use relay_decode::audit::Audit;
use relay_decode::balance::Verdict;
use relay_decode::capture::{Boots, Capture, OpenError, Stored};

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
        let beside = totals.strays.sentences().collect();
        let verdict = match judge_boots(capture.folder(), &mut facts) {
            Ok(verdicts) => Verdict::of_all(beside, verdicts),
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

/// Judges each boot of a capture: one, unless the machine was reset.
fn judge_boots(folder: &Path, facts: &mut CaptureFacts) -> Result<Vec<Verdict>, OpenError> {
    let boots = Boots::of(folder)?;
    let verdicts = boots.all.iter().map(|boot| {
        let audit = Audit::of(&Stored::open(&boot.folder)?)?;
        let balance = audit.balance();
        facts.records = facts.records.saturating_add(balance.delivered);
        facts.no_ring = facts.no_ring.saturating_add(balance.lost.no_ring);
        Ok(audit.verdict())
    });
    verdicts.collect()
}
