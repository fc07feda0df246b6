//! What became of the capture of a run.

use relay_decode::audit::Audit;
use relay_decode::balance::Verdict;
use relay_decode::capture::{Capture, Stored};
use relay_decode::escape::printable;

use super::summary::CaptureFacts;

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
