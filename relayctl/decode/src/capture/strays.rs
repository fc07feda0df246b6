//! Packets of boots whose metadata did not come: nobody can read them, and they are told.

use serde_json::{Value, json};

use super::boots::Uuid;
use crate::escape::printable;

/// The most boots without metadata that are named.
const MAX_NAMED: usize = 16;

/// Packets of a boot whose metadata did not come: they are among the fragments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// Which boot.
    pub uuid: [u8; 16],
    /// How many.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Why it has no metadata.
    pub why: String,
}

/// Packets of all boots whose metadata did not come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strays {
    /// Some of the boots.
    pub named: Vec<Stray>,
    /// Packets of all others.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Strays {
    /// Adds a boot's.
    pub(super) fn add(&mut self, stray: Stray) {
        match self.named.len() < MAX_NAMED {
            true => self.named.push(stray),
            false => self.add_others((stray.packets, stray.bytes)),
        }
    }

    /// Adds packets, and their bytes, of boots that are not named.
    pub(super) fn add_others(&mut self, (packets, bytes): (u64, u64)) {
        self.packets = self.packets.saturating_add(packets);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.named.is_empty() && self.packets == 0
    }

    /// What there is to say about them, a sentence for each boot.
    pub fn sentences(&self) -> impl Iterator<Item = String> {
        let named = self.named.iter().map(|stray| {
            sentence(
                &format!("boot {}", Uuid(stray.uuid)),
                stray.packets,
                stray.bytes,
                &stray.why,
            )
        });
        let others = (self.packets > 0).then(|| {
            let why = "they are of more boots than are told apart";
            sentence("other boots", self.packets, self.bytes, why)
        });
        named.chain(others)
    }

    /// As `run.json` has them.
    pub(super) fn json(&self) -> Value {
        let named = self.named.iter().map(|stray| {
            json!({
                "uuid": Uuid(stray.uuid).to_string(),
                "packets": stray.packets,
                "bytes": stray.bytes,
                "why": stray.why,
            })
        });
        let others = (self.packets > 0).then(
            || json!({ "uuid": null, "packets": self.packets, "bytes": self.bytes, "why": null }),
        );
        named.chain(others).collect()
    }
}

/// What there is to say about packets without metadata.
fn sentence(of: &str, packets: u64, bytes: u64, why: &str) -> String {
    format!(
        "{of}: {packets} packets of {bytes} bytes cannot be read without its metadata ({why}); \
         they are among the fragments"
    )
}

/// What was written about packets of boots without metadata.
pub(super) fn sentences_of(strays: &Value) -> Vec<String> {
    let strays = strays.as_array().into_iter().flatten();
    let sentences = strays.take(MAX_NAMED + 1).map(|stray| {
        let text = |key: &str| stray[key].as_str().map(|text| printable(text.as_bytes()));
        let number = |key: &str| stray[key].as_u64().unwrap_or(0);
        let of = text("uuid").map_or("other boots".to_owned(), |uuid| format!("boot {uuid}"));
        let why = text("why").unwrap_or("they are of more boots than are told apart".into());
        sentence(&of, number("packets"), number("bytes"), &why)
    });
    sentences.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strays_are_told_alike_before_and_after_they_were_written() {
        let mut strays = Strays::default();
        assert_eq!(strays.json(), json!([]));
        for n in 0..20 {
            strays.add(Stray {
                uuid: [n; 16],
                packets: n.into(),
                bytes: 10,
                why: "none came".to_owned(),
            });
        }
        let told: Vec<_> = strays.sentences().collect();
        assert_eq!(told.len(), MAX_NAMED + 1);
        assert_eq!(sentences_of(&strays.json()), told);
        assert!(told[16].starts_with("other boots: 70 packets of 40 bytes"));
    }
}
