//! `logd klog evlog user`: tells syslog what these channels have (all three, if none is named), and
//! drains them.
//!
//! It takes their streams over from the kernel, merges the records of all CPUs by time, writes each
//! as a message of RFC 5424 to the port `relay.syslog`, and then has the packets leave as `draind`
//! does. What it has told the kernel knows with the messages themselves: whenever it dies, the next
//! one goes on with the next record. What syslog does not take is counted, and told in the log; the
//! capture does not wait for it. Without that port it drains, and no more.
//!
//! A program that calls its port, `logd` by name, is answered when all that was written before was
//! told, or passed over.
//!
//! It ends with code 0 when all its streams have ended or were taken back.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

extern crate alloc;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use programs::syslog::NAME;
use programs::syslog::classes::Classes;
use programs::syslog::date::Clock;
use programs::syslog::desk::{Desk, Way};
use programs::syslog::feed::{Feed, Held, Stream};
use relay_abi::{Error, Handle, Mark, Notice, PollItem, ready};
use relay_rt::files::{self, FILES, File, Files, Owned, Packet};
use relay_rt::names;
use relay_rt::port::{self, Bytes, Port, Says};
use relay_rt::{relay, sys, time};

relay_rt::entry!(run);

/// The channels, unless they are said.
const CHANNELS: &str = "klog evlog user";

/// The most packets of a stream that are held: as many as the kernel lets.
const HELD: u64 = 8;

/// The most streams and ways that are waited for.
const WAITED: usize = 64;

/// How long it sleeps: while records are held back for older ones, and otherwise. The kernel asks the
/// CPUs for what they have not handed over, and wakes who waits for it.
const HOLDING: Duration = Duration::from_millis(10);
const LOOK: Duration = Duration::from_secs(1);

/// How long the end of one that has died may take, and how often that is looked for.
const DYING: Duration = Duration::from_secs(1);
const DYING_LOOK: Duration = Duration::from_millis(1);

/// How often it is told how many records were not passed on.
const TELL: Duration = Duration::from_secs(1);

/// What tells that is written here, too, and may not be passed on: a line, and an event. It is no
/// reason to tell of it.
const OWN: u64 = 2;

fn run(arguments: &'static str) -> u32 {
    let channels = match arguments.trim() {
        "" => CHANNELS,
        channels => channels,
    };
    let files: Vec<_> = open(channels);
    let way = match patiently(time::now(), || sys::syslog_open(FILES)) {
        Ok(handle) => Some(Syslog(Owned::new(handle))),
        Err(error) => {
            relay::info!("logd: syslog is told nothing: {}", error);
            None
        }
    };
    let classes = match read_metadata().and_then(Classes::new) {
        Some(classes) => classes,
        None => {
            relay::error!("logd: the metadata cannot be read");
            return 1;
        }
    };
    let clock = Clock::new(classes.hz(), sys::started());
    let mut feeds = Vec::new();
    for (channel, file) in &files {
        match file.info() {
            Ok(info) => {
                let most = (info.subbuf_count / 2).clamp(1, HELD) as usize;
                feeds.push(Feed::new(Source(file), channel, info.cpu, info.told, most));
            }
            Err(error) => relay::error!("logd: nothing is known of a stream: {}", error),
        }
    }
    // Without it there is nobody to be asked by.
    let port = Questions::open().ok();
    let told = drain(Desk::new(feeds, way, classes, clock), port);
    match told {
        Ok(()) => 0,
        Err(error) => {
            relay::error!("logd: its streams cannot be waited for: {}", error);
            1
        }
    }
}

/// Tells and drains, until all streams have ended.
fn drain(mut desk: Desk<Source<'_>, Syslog>, mut port: Option<Questions>) -> Result<(), Error> {
    let mut items = Vec::new();
    let mut missing = Missing::default();
    loop {
        let now = desk.clock().ticks(sys::time());
        let turn = desk.turn(now)?;
        let is_asked = port.as_mut().is_some_and(|port| port.hear(&desk));
        missing.look(desk.counts()[1], is_asked);
        let is_asked = port.as_mut().is_some_and(|port| port.answer(&desk));
        if turn.has_moved {
            continue;
        }
        if desk.is_done() {
            return Ok(());
        }
        desk.wanted(&mut items, WAITED - 1);
        // Who has asked is answered before the next is heard.
        let hears = port.as_ref().filter(|_| !is_asked);
        items.extend(hears.map(|port| PollItem {
            handle: port.port.handle(),
            wanted: ready::READABLE,
            found: 0,
        }));
        let sleep = match turn.is_holding || is_asked {
            true => HOLDING,
            false => LOOK,
        };
        files::poll(&mut items, Some(sleep))?;
    }
}

/// Does what somebody else may still have: one that has died before, whose end is not over. Others are
/// not waited for, but for a moment from `begin` on.
fn patiently<R>(begin: Duration, mut act: impl FnMut() -> Result<R, Error>) -> Result<R, Error> {
    loop {
        match act() {
            Err(Error::Busy) if time::now() < begin + DYING => time::sleep(DYING_LOOK),
            other => return other,
        }
    }
}

/// Takes over the streams of these channels: each with the name of its channel.
fn open(channels: &str) -> Vec<(String, File)> {
    let begin = time::now();
    let mut all = Vec::new();
    for path in Files::given().paths() {
        let channel = path.text().rsplit_once('/').unwrap_or_default().0;
        let channel = channel.trim_start_matches('/');
        let mut wanted = channels.split_ascii_whitespace();
        if !wanted.any(|wanted| wanted.trim_start_matches('/') == channel) {
            continue;
        }
        match patiently(begin, || Files::given().drain(path.text())) {
            Ok(mut file) => {
                // What cannot be mapped is copied.
                let _ = file.map();
                all.push((channel.into(), file));
            }
            // Somebody else has it, or it stays here; the end of the machine.
            Err(Error::Busy | Error::NotFound | Error::Ended) => {}
            Err(error) => relay::error!("logd: {} is not read: {}", path.text(), error),
        }
    }
    all
}

/// The kernel's description of all records.
fn read_metadata() -> Option<String> {
    let file = Files::given().observe("/metadata/0").ok()?;
    let mut text = Vec::new();
    let mut room = vec![0; 64 * 1024];
    loop {
        match file.read(&mut room) {
            Ok(length) => text.extend_from_slice(room.get(..length)?),
            Err(Error::Again | Error::Ended) => return String::from_utf8(text).ok(),
            Err(_) => return None,
        }
    }
}

/// Records that were not passed on.
#[derive(Default)]
struct Missing {
    /// How many were told of.
    told: u64,
    /// When that was, since the machine's start.
    when: Option<Duration>,
}

impl Missing {
    /// Tells of them: at once, from time to time, and when somebody asks whether all was told, who may
    /// end it then.
    fn look(&mut self, unsaid: u64, is_asked: bool) {
        let own = if self.told == 0 { 0 } else { OWN };
        let now = time::now();
        let is_soon = self.when.is_some_and(|when| now < when + TELL);
        if unsaid <= self.told + own || (is_soon && !is_asked) {
            return;
        }
        let more = unsaid - self.told;
        self.told = unsaid;
        self.when = Some(now);
        relay::warn!("logd: {more} messages were not passed on, {unsaid} in all");
        // It is in the line, too.
        let _ = Files::given().report(Notice::Lost, unsaid, "logd");
    }
}

/// The port that it is asked through whether all was told.
struct Questions {
    port: Port,
    /// Since when somebody waits for the answer, in ticks.
    since: Option<u64>,
}

impl Questions {
    fn open() -> Result<Self, Error> {
        let port = Port::new()?;
        names::register(NAME, &port)?;
        Ok(Self { port, since: None })
    }

    /// Hears who asks; whether somebody waits for the answer.
    fn hear(&mut self, desk: &Desk<Source<'_>, Syslog>) -> bool {
        if self.since.is_none() {
            let mut bytes = Bytes::new();
            let asked = self.port.receive(&mut bytes, Some(Duration::ZERO));
            let asks = asked.is_ok_and(|message| message.sender.is_some());
            self.since = asks.then(|| desk.clock().ticks(sys::time()));
        }
        self.since.is_some()
    }

    /// Answers, if all was told; whether somebody still waits for the answer.
    fn answer(&mut self, desk: &Desk<Source<'_>, Syslog>) -> bool {
        if self.since.is_some_and(|since| desk.is_caught_up(since)) {
            self.since = None;
            // Who asked may be gone.
            let _ = port::reply(Says::words([0; 3]), &[]);
        }
        self.since.is_some()
    }
}

/// A stream, drained.
struct Source<'f>(&'f File);

impl<'f> Stream for Source<'f> {
    type Packet = Part<'f>;

    fn handle(&self) -> u32 {
        self.0.handle()
    }

    fn take(&self) -> Result<Part<'f>, Error> {
        self.0.take().map(Part)
    }

    fn quiet_since(&self) -> Result<u64, Error> {
        self.0.info().map(|info| info.quiet_since)
    }
}

/// A packet of it.
struct Part<'f>(Packet<'f>);

impl Held for Part<'_> {
    fn bytes(&self) -> Option<&[u8]> {
        self.0.bytes()
    }

    fn copy(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; self.0.taken().length];
        let copied = self.0.copy(0, &mut bytes)?;
        bytes.truncate(copied);
        Ok(bytes)
    }

    fn submit(self) -> Result<(), (Error, Self)> {
        self.0
            .submit()
            .map_err(|(error, packet)| (error, Self(packet)))
    }
}

/// The way to syslog.
struct Syslog(Owned);

impl Way for Syslog {
    fn write(&mut self, messages: &[u8], marks: &[Mark]) -> Result<(), Error> {
        sys::syslog_write(self.0.handle(), messages, marks)
    }

    fn has_room(&mut self) -> bool {
        let mut items = [PollItem {
            handle: self.0.handle(),
            wanted: ready::WRITABLE,
            found: 0,
        }];
        files::poll(&mut items, Some(Duration::ZERO)).is_ok_and(|ready| ready != 0)
    }

    fn handle(&self) -> Handle {
        self.0.handle()
    }
}
