//! `relayctl cat --follow`: what is there, and what comes.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use relay_decode::capture::{
    self, Capture, FollowError, GrowingFile, Live, LivePackets, OpenError, Options, Port, Scratch,
    Stream, Totals, Uuid,
};
use relay_decode::merge::{Filter, Merge};
use relay_decode::records::Schema;
use relay_decode::wire::Kind;
use serde_json::json;

use super::Damage;
use super::args::CatArgs;
use super::error::CatError;
use super::follow_boots::FollowedBoots;
use super::printer::Printer;
use super::wait::{self, POLL, pause};
use crate::commands::source::SourceError;
use crate::signals;
use crate::terminal::say;

/// How long a packet is held back for older ones that are still on their way.
const HOLD: Duration = Duration::from_millis(200);

/// The most packets that wait to be shown before more are looked for.
const MAX_WAITING: usize = 1 << 22;

/// Shows the records that are there, and those that come, of one boot after the other.
pub(super) fn follow(args: &CatArgs, filter: &Filter) -> Result<Damage, CatError> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    signals::on_end(move || asked.store(true, Ordering::Relaxed)).map_err(CatError::Signals)?;
    let name = wait::for_source(args.capture.as_deref(), &stop)?;
    let mut followed = Followed::open(&name)?;
    let mut boots = FollowedBoots::begin(&followed.live, args.boot);
    let mut printer = Printer::new(args);
    let mut is_damaged = false;
    while boots.number < boots.first {
        let is_over = followed.poll()?;
        match boots.next()? {
            Some(next) => followed.live = next,
            None if is_over => return Err(boots.no_boot()),
            None => pause(&stop)?,
        }
    }
    loop {
        if !show_boot(
            &mut followed,
            &boots,
            filter,
            &stop,
            &mut printer,
            &mut is_damaged,
        )? {
            return Ok(Damage::None);
        }
        match boots.next_wanted()? {
            Some(next) => boots.leave(std::mem::replace(&mut followed.live, next)),
            None => break,
        }
    }
    boots.say_what_came_late()?;
    Ok(Damage::of(is_damaged || printer.is_damaged))
}

/// Shows a boot until it is over, or the next one begins; false if the user does not wait for it.
fn show_boot(
    followed: &mut Followed,
    boots: &FollowedBoots,
    filter: &Filter,
    stop: &AtomicBool,
    printer: &mut Printer<'_>,
    is_damaged: &mut bool,
) -> Result<bool, CatError> {
    let Some((schema, streams)) = followed.metadata(stop)? else {
        return Ok(false);
    };
    if boots.number == boots.first {
        filter.check(&schema)?;
    }
    let title = format!("boot {}: {}", boots.number, Uuid(schema.uuid));
    printer.begin(boots.number, (boots.number > 1).then_some(title))?;
    let folder = followed.live.folder().to_owned();
    let is_own = followed.feed.is_some();
    let open = |stream| Ok(Some(LivePackets::new(&folder, stream, is_own)));
    let mut merge = Merge::new(&folder, &schema, &streams, filter, open)?;
    let mut unwanted: Vec<_> = streams
        .iter()
        .map(|stream| (&stream.file, LivePackets::new(&folder, stream, is_own)))
        .collect();
    loop {
        // Before what is there is looked for: all that came before the next one is shown then.
        let has_next = boots.has_next_wanted();
        let waiting: usize = merge.sources().map(LivePackets::waiting).sum();
        let has_room = waiting < MAX_WAITING;
        let polled = match has_room {
            true => followed.poll(),
            false => Ok(false),
        };
        for problem in followed.live.problems() {
            say(problem);
            *is_damaged = true;
        }
        let now = Instant::now();
        let mut packets = followed.live.take();
        merge.add(|stream, source| {
            if let Some(entries) = packets.remove(&stream.file) {
                source.add(entries, now);
            }
        })?;
        for (file, source) in &mut unwanted {
            if let Some(entries) = packets.get(*file) {
                source.skip(entries);
            }
        }
        let is_last = (has_next && has_room) || !matches!(polled, Ok(false));
        merge.each_while(
            |source| is_last || now.duration_since(source.noticed()) >= HOLD,
            |next| match stop.load(Ordering::Relaxed) {
                true => Err(CatError::Stopped),
                false => printer.show(next),
            },
        )?;
        printer.flush()?;
        if is_last || merge.is_over() {
            return polled.map(|_| true);
        }
        pause(stop)?;
    }
}

/// What is followed: a capture, or a raw stream of which one is made.
struct Followed {
    /// The capture.
    live: Live,
    /// What it is made of.
    feed: Option<Feed>,
}

impl Followed {
    /// Opens a capture, a raw file, or standard input.
    fn open(name: &Path) -> Result<Self, CatError> {
        let input = match name {
            name if name == Path::new("-") => Input::Stdin,
            name if is_packed(name) => return Err(CatError::Packed(name.into())),
            name if name.is_file() => {
                let file = GrowingFile::open(name)
                    .map_err(|error| CatError::Open(OpenError::Io(name.into(), error)))?;
                Input::Growing(file)
            }
            name if name.exists() && !name.is_dir() => Input::Pipe(name.to_owned()),
            name => return Self::capture(name),
        };
        let feed = Feed::start(name, input).map_err(CatError::Source)?;
        let live = Live::open(feed.scratch.path())?;
        Ok(Self {
            live,
            feed: Some(feed),
        })
    }

    /// Opens a capture.
    fn capture(folder: &Path) -> Result<Self, CatError> {
        let live = Live::open(folder)?;
        Ok(Self { live, feed: None })
    }

    /// Looks for what came; true if that is all.
    fn poll(&mut self) -> Result<bool, CatError> {
        let fed = match &mut self.feed {
            Some(feed) => feed.poll(),
            None => Ok(()),
        };
        let is_finished = self.live.poll()?;
        fed.map(|()| is_finished)
    }

    /// Waits for the metadata; `None` if the user does not.
    fn metadata(&mut self, stop: &AtomicBool) -> Result<Option<(Schema, Vec<Stream>)>, CatError> {
        loop {
            let polled = self.poll();
            let is_finished = !matches!(polled, Ok(false));
            match (self.live.metadata(is_finished), &self.feed) {
                (Ok(Some(found)), _) => return Ok(Some(found)),
                (Ok(None), _) => {}
                (Err(OpenError::NoMetadata { .. }), Some(feed)) => {
                    polled?;
                    let (name, totals) = (feed.name.clone(), feed.totals.clone());
                    return Err(CatError::Source(SourceError::NoMetadata(
                        name,
                        Box::new(totals),
                    )));
                }
                (Err(error), _) => return polled.and(Err(error.into())),
            }
            match pause(stop) {
                Err(CatError::Stopped) => return Ok(None),
                paused => paused?,
            }
        }
    }
}

/// Whether a file is a packed capture, which does not grow.
fn is_packed(path: &Path) -> bool {
    let mut head = Vec::new();
    let file = path.is_file().then(|| File::open(path).ok()).flatten();
    let read = file.map(|file| file.take(512).read_to_end(&mut head));
    read.is_some_and(|read| read.is_ok()) && capture::is_packed(&head)
}

/// Where raw bytes come from.
enum Input {
    /// A file that grows.
    Growing(GrowingFile),
    /// A pipe or a device; somebody may have to be waited for when it is opened.
    Pipe(PathBuf),
    /// Standard input.
    Stdin,
}

/// Makes a capture of raw bytes as they come.
struct Feed {
    /// What it is called.
    name: PathBuf,
    /// The capture, until all has come.
    capture: Option<Capture>,
    /// Takes the bytes.
    thread: Option<JoinHandle<Result<(), FollowError>>>,
    /// Whether they are not wanted any more.
    is_over: Arc<AtomicBool>,
    /// What came.
    totals: Totals,
    /// Where the capture is.
    scratch: Scratch,
}

impl Feed {
    /// Begins.
    fn start(name: &Path, input: Input) -> Result<Self, SourceError> {
        let raw = |error| SourceError::Raw(name.into(), error);
        let scratch = Scratch::new().map_err(raw)?;
        let options = Options {
            announce: |what| say(what),
            ..Options::new(scratch.path(), Kind::Live)
        };
        let capture = Capture::create(&options).map_err(SourceError::Scratch)?;
        let port = capture.port(0);
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        Ok(Self {
            name: name.to_owned(),
            capture: Some(capture),
            // Not joined unless it has ended: it may wait for bytes for ever.
            thread: Some(thread::spawn(move || take(input, port, &over))),
            is_over,
            totals: Totals::default(),
            scratch,
        })
    }

    /// Finishes the capture when all has come.
    fn poll(&mut self) -> Result<(), CatError> {
        if !self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            return Ok(());
        }
        self.finish().map_err(CatError::Source)?;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => Ok(result?),
            // A thread that panicked has said so.
            Some(Err(_)) | None => Ok(()),
        }
    }

    /// Finishes the capture: what comes later is not taken.
    fn finish(&mut self) -> Result<(), SourceError> {
        if let Some(capture) = self.capture.take() {
            let finished = capture.finish(json!({ "command": "raw" }));
            self.totals = finished.map_err(SourceError::Scratch)?;
        }
        Ok(())
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // What went wrong is of no interest any more.
        let _ = self.finish();
    }
}

/// Gives all bytes of an input to a port.
fn take(input: Input, mut port: Port, is_over: &AtomicBool) -> Result<(), FollowError> {
    let mut buffer = vec![0; 1 << 18];
    let open = |path: &Path, error| FollowError::Open(OpenError::Io(path.to_owned(), error));
    let (mut stream, path): (Box<dyn Read>, _) = match input {
        Input::Growing(mut file) => {
            while !is_over.load(Ordering::Relaxed) {
                match file.read(&mut buffer)? {
                    0 => thread::sleep(POLL),
                    length => port.push(&buffer[..length]),
                }
            }
            return Ok(());
        }
        Input::Pipe(path) => {
            let file = File::open(&path).map_err(|error| open(&path, error))?;
            (Box::new(file), path)
        }
        Input::Stdin => (Box::new(io::stdin()), "standard input".into()),
    };
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => port.push(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(open(&path, error)),
        }
    }
    port.finish();
    Ok(())
}
