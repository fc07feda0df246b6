//! Where packets go: each to its boot, which the UUID in its header names.

use std::collections::HashMap;
use std::path::Path;

use super::boot::Boot;
use super::boots::MAX_BOOTS;
use super::store::Store;
use super::strays::{Stray, Strays};
use crate::wire::Header;

/// How many bytes that came before their metadata are kept in memory, of all boots together.
const MAX_HELD: u64 = 256 << 20;

/// The most boots without metadata that are told from each other.
const MAX_UNDESCRIBED: usize = 1000;

/// What packets are given to.
#[derive(Debug)]
pub(super) struct Intake {
    /// The files.
    pub(super) store: Store,
    /// The boots, in the order of their first packets.
    pub(super) boots: Vec<Boot>,
    /// Their places there.
    places: HashMap<[u8; 16], usize>,
    /// How many of them have a trace.
    pub(super) begun: u32,
    /// Bytes of the others that are held in memory.
    waiting: u64,
    /// What came of more boots than are told from each other.
    others: (u64, u64),
}

impl Intake {
    /// Begins without any boot.
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            boots: Vec::new(),
            places: HashMap::new(),
            begun: 0,
            waiting: 0,
            others: (0, 0),
        }
    }

    /// Takes a whole packet.
    pub(super) fn packet(&mut self, port: u32, header: &Header, packet: &[u8], crc: u32) {
        let Some(place) = self.place_of(header.uuid) else {
            self.others.0 += 1;
            self.others.1 += packet.len() as u64;
            return self.store.fragment(Path::new(""), port, packet);
        };
        let Some(boot) = self.boots.get_mut(place) else {
            return;
        };
        let before = boot.held();
        if let Some((text, schema)) = boot.packet(&mut self.store, port, header, packet, crc) {
            let number = self.begun + 1;
            if number > MAX_BOOTS {
                let why = format!("a capture holds at most {MAX_BOOTS} boots");
                boot.give_up(&mut self.store, Some(&why));
            } else if boot.begin(&mut self.store, number, &text, schema) {
                self.begun = number;
                self.store.totals.boots = number;
                self.store.totals.has_metadata = true;
                if number > 1 {
                    self.store.say(&format!(
                        "boot {number} of the machine begins, in boot.{number}/"
                    ));
                }
            }
        }
        let now = boot.held();
        self.waiting = self.waiting.saturating_sub(before).saturating_add(now);
        while self.waiting > MAX_HELD && self.make_room() {}
    }

    /// The boot with a UUID; `None` if there are too many without metadata already.
    pub(super) fn boot(&mut self, uuid: [u8; 16]) -> Option<&mut Boot> {
        let place = self.place_of(uuid)?;
        self.boots.get_mut(place)
    }

    /// The place of a boot, which begins to wait for its metadata if it is new.
    fn place_of(&mut self, uuid: [u8; 16]) -> Option<usize> {
        if let Some(place) = self.places.get(&uuid) {
            return Some(*place);
        }
        let waiting = self.boots.len().saturating_sub(self.begun as usize);
        if waiting >= MAX_UNDESCRIBED {
            return None;
        }
        self.boots.push(Boot::new(uuid));
        self.places.insert(uuid, self.boots.len() - 1);
        Some(self.boots.len() - 1)
    }

    /// Gives up the boot of which the most waits; false if nothing does.
    fn make_room(&mut self) -> bool {
        let most = self.boots.iter_mut().max_by_key(|boot| boot.held());
        let Some(boot) = most.filter(|boot| boot.held() > 0) else {
            return false;
        };
        self.waiting = self.waiting.saturating_sub(boot.held());
        let why = format!("more than {MAX_HELD} bytes came before its end");
        boot.give_up(&mut self.store, Some(&why));
        true
    }

    /// Uses metadata of which packets are missing as far as it came, and makes fragments of what
    /// still waits for some: no more will come. Says what came of boots that have none.
    pub(super) fn conclude(&mut self) {
        self.waiting = 0;
        let mut strays = Strays::default();
        for boot in &mut self.boots {
            let number = self.begun + 1;
            if number <= MAX_BOOTS
                && let Some((text, schema)) = boot.take_what_came(&mut self.store)
                && boot.begin(&mut self.store, number, &text, schema)
            {
                self.begun = number;
                self.store.totals.boots = number;
                self.store.totals.has_metadata = true;
            }
            boot.give_up(&mut self.store, None);
            if boot.strays > 0 {
                strays.add(Stray {
                    uuid: boot.uuid,
                    packets: boot.strays,
                    bytes: boot.stray_bytes,
                    why: boot.lack(),
                });
            }
        }
        strays.add_others(self.others);
        if self.begun == 0
            && let Some(stray) = strays.named.first()
        {
            let error = &mut self.store.totals.metadata_error;
            error.get_or_insert_with(|| stray.why.clone());
        }
        self.store.totals.strays = strays;
    }
}
