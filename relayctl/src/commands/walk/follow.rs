//! What is there, and what comes.

use std::fs::File;
use std::io::{self, Read};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use relay_decode::capture::{
    self, Capture, EitherPort, FollowError, GrowingFile, Live, OpenError, Options, Scratch, Stream,
    Totals, Uuid,
};
use relay_decode::merge::{Filter, LiveMerge};
use relay_decode::records::Schema;
use relay_decode::wire::Kind;
use serde_json::json;

use super::error::WalkError;
use super::follow_boots::FollowedBoots;
use super::viewer::{Viewer, Walk, Walked, say_unknown_fields, step};
use super::wait::{self, POLL, pause};
use crate::commands::source::SourceError;
use crate::exit::Exit;
use crate::signals;
use crate::terminal::{say, talk_aside};

/// How long the output may take in the end, when the user has seen enough.
const GRACE: Duration = Duration::from_secs(1);

/// How often is looked for the end.
const LOOK: Duration = Duration::from_millis(10);

/// Shows the records that are there, and those that come, to the viewer that `make` makes; it is
/// told when the user has seen enough.
///
/// A thread does that: it may wait for whoever reads the output, and the user for neither.
///
/// # Errors
///
/// When there is nothing to read, or the viewer cannot go on.
pub(crate) fn follow<V: Viewer>(
    walk: Walk,
    make: impl FnOnce(&Arc<AtomicBool>) -> V + Send + 'static,
) -> Result<Exit, WalkError> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    signals::on_end(move || asked.store(true, Ordering::Relaxed)).map_err(WalkError::Signals)?;
    let name = wait::for_source(walk.capture.as_deref(), &stop)?;
    if is_packed(&name) {
        return Err(WalkError::Packed(name));
    }
    let scratch = is_raw(&name).then(|| {
        let scratch = Scratch::new();
        scratch.map_err(|error| WalkError::Source(SourceError::Raw(name.clone(), error)))
    });
    // Removed here in any case, when it is not needed any more.
    let scratch = scratch.transpose()?;
    let folder = scratch.as_ref().map(|scratch| scratch.path().to_owned());
    let asked = Arc::clone(&stop);
    let shown = thread::spawn(move || {
        let mut viewer = make(&asked);
        let walked = show(&walk, (&name, folder.as_deref()), &asked, &mut viewer);
        viewer.end(walked)
    });
    let mut looks = GRACE.as_millis() / LOOK.as_millis();
    while !shown.is_finished() {
        looks -= u128::from(stop.load(Ordering::Relaxed));
        if looks == 0 {
            return Err(WalkError::Stopped);
        }
        thread::sleep(LOOK);
    }
    shown.join().unwrap_or_else(|panic| resume_unwind(panic))
}

/// Shows what has this name, one boot after the other; a raw stream becomes a capture in `scratch`.
fn show(
    walk: &Walk,
    (name, scratch): (&Path, Option<&Path>),
    stop: &AtomicBool,
    viewer: &mut impl Viewer,
) -> Result<Walked, WalkError> {
    let mut followed = Followed::open(name, scratch)?;
    let mut boots = FollowedBoots::begin(&followed.live, walk.boot);
    let mut walked = Walked::default();
    while boots.number < boots.first {
        let is_over = followed.poll()?;
        match boots.next()? {
            Some(next) => followed.live = next,
            None if is_over => return Err(boots.no_boot()),
            None => pause(stop)?,
        }
    }
    loop {
        if !show_boot(
            &mut followed,
            &boots,
            &walk.filter,
            stop,
            viewer,
            &mut walked,
        )? {
            return Ok(Walked::default());
        }
        match boots.next_wanted()? {
            Some(next) => boots.leave(std::mem::replace(&mut followed.live, next)),
            None => break,
        }
    }
    boots.say_what_came_late()?;
    Ok(walked)
}

/// Shows a boot until it is over, or the next one begins; false if the user does not wait for it.
fn show_boot(
    followed: &mut Followed,
    boots: &FollowedBoots,
    filter: &Filter,
    stop: &AtomicBool,
    viewer: &mut impl Viewer,
    walked: &mut Walked,
) -> Result<bool, WalkError> {
    let Some((schema, streams)) = followed.metadata(stop)? else {
        return Ok(false);
    };
    if boots.number == boots.first {
        filter.check(&schema)?;
        say_unknown_fields(filter, &schema);
    }
    let title = format!("boot {}: {}", boots.number, Uuid(schema.uuid));
    viewer.begin(boots.number, (boots.number > 1).then_some(title))?;
    let folder = followed.live.folder().to_owned();
    let is_own = followed.feed.is_some();
    let found = (&schema, streams.as_slice());
    let mut merge = LiveMerge::new(&folder, found, filter, is_own, LiveMerge::HOLD)?;
    loop {
        // Before what is there is looked for: all that came before the next one is shown then.
        let has_next = boots.has_next_wanted();
        let has_room = merge.has_room();
        let polled = match has_room {
            true => followed.poll(),
            false => Ok(false),
        };
        for problem in followed.live.problems() {
            say(problem);
            walked.is_damaged = true;
        }
        let is_last = (has_next && has_room) || !matches!(polled, Ok(false));
        merge.show(
            followed.live.take(),
            Instant::now(),
            is_last,
            |next| match stop.load(Ordering::Relaxed) {
                true => Err(WalkError::Stopped),
                false => step(viewer, walked, next),
            },
        )?;
        viewer.flush()?;
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
    /// Opens a capture, or in `scratch` a raw file or standard input.
    fn open(name: &Path, scratch: Option<&Path>) -> Result<Self, WalkError> {
        let Some(scratch) = scratch else {
            return Self::capture(name);
        };
        let input = match name {
            name if name == Path::new("-") => Input::Stdin,
            name if name.is_file() => {
                let file = GrowingFile::open(name)
                    .map_err(|error| WalkError::Open(OpenError::Io(name.into(), error)))?;
                Input::Growing(file)
            }
            name => Input::Pipe(name.to_owned()),
        };
        let feed = Feed::start(name, input, scratch).map_err(WalkError::Source)?;
        let live = Live::open(scratch)?;
        Ok(Self {
            live,
            feed: Some(feed),
        })
    }

    /// Opens a capture.
    fn capture(folder: &Path) -> Result<Self, WalkError> {
        let live = Live::open(folder)?;
        Ok(Self { live, feed: None })
    }

    /// Looks for what came; true if that is all.
    fn poll(&mut self) -> Result<bool, WalkError> {
        let fed = match &mut self.feed {
            Some(feed) => feed.poll(),
            None => Ok(()),
        };
        let is_finished = self.live.poll()?;
        fed.map(|()| is_finished)
    }

    /// Waits for the metadata; `None` if the user does not.
    fn metadata(&mut self, stop: &AtomicBool) -> Result<Option<(Schema, Vec<Stream>)>, WalkError> {
        loop {
            let polled = self.poll();
            let is_finished = !matches!(polled, Ok(false));
            match (self.live.metadata(is_finished), &self.feed) {
                (Ok(Some(found)), _) => return Ok(Some(found)),
                (Ok(None), _) => {}
                (Err(OpenError::NoMetadata { .. }), Some(feed)) => {
                    polled?;
                    let (name, totals) = (feed.name.clone(), feed.totals.clone());
                    return Err(WalkError::Source(SourceError::NoMetadata(
                        name,
                        Box::new(totals),
                    )));
                }
                (Err(error), _) => return polled.and(Err(error.into())),
            }
            match pause(stop) {
                Err(WalkError::Stopped) => return Ok(None),
                paused => paused?,
            }
        }
    }
}

/// Whether a file is a packed capture, which does not grow.
pub(crate) fn is_packed(path: &Path) -> bool {
    let mut head = Vec::new();
    let file = path.is_file().then(|| File::open(path).ok()).flatten();
    let read = file.map(|file| file.take(512).read_to_end(&mut head));
    read.is_some_and(|read| read.is_ok()) && capture::is_packed(&head)
}

/// Whether a name is that of a stream of bytes, and not of a capture.
fn is_raw(name: &Path) -> bool {
    name == Path::new("-") || name.exists() && !name.is_dir()
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
}

impl Feed {
    /// Begins.
    fn start(name: &Path, input: Input, scratch: &Path) -> Result<Self, SourceError> {
        // What comes is taken, whether somebody reads stderr or not.
        talk_aside();
        let options = Options {
            announce: |what| say(what),
            ..Options::new(scratch, Kind::Live)
        };
        let capture = Capture::create(&options).map_err(SourceError::Scratch)?;
        let port = capture.either(0);
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        Ok(Self {
            name: name.to_owned(),
            capture: Some(capture),
            // Not joined unless it has ended: it may wait for bytes for ever.
            thread: Some(thread::spawn(move || take(input, port, &over))),
            is_over,
            totals: Totals::default(),
        })
    }

    /// Finishes the capture when all has come.
    fn poll(&mut self) -> Result<(), WalkError> {
        if !self.thread.as_ref().is_some_and(JoinHandle::is_finished) {
            return Ok(());
        }
        self.finish().map_err(WalkError::Source)?;
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
            if !self.totals.line.is_empty() {
                say(self.totals.line.to_string());
            }
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

/// Gives all bytes of an input to a port. Text of a line is not shown: it is no record.
fn take(input: Input, mut port: EitherPort, is_over: &AtomicBool) -> Result<(), FollowError> {
    let mut buffer = vec![0; 1 << 18];
    let open = |path: &Path, error| FollowError::Open(OpenError::Io(path.to_owned(), error));
    let (mut stream, path): (Box<dyn Read>, _) = match input {
        Input::Growing(mut file) => {
            while !is_over.load(Ordering::Relaxed) {
                match file.read(&mut buffer)? {
                    0 => thread::sleep(POLL),
                    length => port.push(&buffer[..length], |_| {}),
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
            Ok(length) => port.push(&buffer[..length], |_| {}),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(open(&path, error)),
        }
    }
    port.finish(|_| {});
    Ok(())
}
