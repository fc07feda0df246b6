//! A machine that the runner script has started, and a host that reads its ports as it likes.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use e2e::{Turn, kernel, relayctl, workspace};
use tempfile::TempDir;

use super::noise::Noise;

/// After this something hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// Bytes that others get while a host is away.
const MEANWHILE: usize = 1024 * 1024;

/// How long a host that has come back waits for something to come, before it goes once more.
const ONCE_MORE: Duration = Duration::from_secs(2);

/// What the console says when all has been written.
const WRITTEN: &str = " records tried in ";

/// How a port is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// As fast as it can be.
    All,
    /// Not before the machine has ended.
    Never,
    /// So many bytes; the rest when all has been written.
    StopsAfter(usize),
    /// One at a time.
    ByteByByte,
    /// So many bytes, then never again.
    ClosesAfter(usize),
}

/// The machine, and who reads it.
pub(super) struct Host {
    qemu: Child,
    folder: TempDir,
    readers: Vec<JoinHandle<Vec<u8>>>,
    /// Who asks the machine, if somebody does.
    asker: Option<JoinHandle<()>>,
    noise: Noise,
    _turn: Turn,
}

/// What they have left.
pub(super) struct Left {
    folder: TempDir,
    status: Option<i32>,
    /// What the console has said.
    pub(super) console: String,
}

/// Waits until something is there.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begin.elapsed() < PATIENCE, "{what} does not come");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until the console in this folder says that all has been written.
fn wait_until_written(folder: &Path) {
    wait_for("the end of the flood", || {
        let said = fs::read_to_string(folder.join("console")).ok()?;
        said.contains(WRITTEN).then_some(())
    });
}

/// Reads up to `limit` bytes, at most `chunk` at a time.
fn read(port: &mut UnixStream, limit: usize, chunk: usize) -> Vec<u8> {
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; chunk]);
    while bytes.len() < limit {
        match port.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
        }
    }
    bytes
}

/// Bytes that are read at once.
const CHUNK: usize = 64 * 1024;

/// Reads a port to its end, or as far as it shall be read. Those that nobody shall read before the
/// end say nothing until then: what the socket holds stays there.
fn read_as(mut port: UnixStream, reading: Reading, folder: &Path) -> Vec<u8> {
    match reading {
        Reading::All => read(&mut port, usize::MAX, CHUNK),
        Reading::ByteByByte => read(&mut port, usize::MAX, 1),
        Reading::ClosesAfter(some) => read(&mut port, some, 1024),
        Reading::StopsAfter(some) => {
            let mut bytes = read(&mut port, some, 1024);
            wait_until_written(folder);
            bytes.extend(read(&mut port, usize::MAX, CHUNK));
            bytes
        }
        Reading::Never => {
            wait_for("the end of the machine", || {
                folder.join("ended").exists().then_some(())
            });
            read(&mut port, usize::MAX, CHUNK)
        }
    }
}

/// Connects to a port that listens, as soon as it does.
fn connect(path: &Path) -> UnixStream {
    wait_for("a port", || UnixStream::connect(path).ok())
}

/// Reads a port to its end, and counts its bytes for others to see.
fn read_and_count(mut port: UnixStream, count: &AtomicUsize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let more = read(&mut port, 1, CHUNK);
        count.fetch_add(more.len(), Ordering::Relaxed);
        match more.is_empty() {
            true => return bytes,
            false => bytes.extend(more),
        }
    }
}

/// Reads so many bytes, goes, and comes back when the others have got a good deal more.
fn read_and_come_back(
    mut port: UnixStream,
    path: &Path,
    after: usize,
    others: &AtomicUsize,
) -> Vec<u8> {
    let mut bytes = read(&mut port, after, 1024);
    drop(port);
    let wanted = others.load(Ordering::Relaxed) + MEANWHILE;
    wait_for("what the others get", || {
        (others.load(Ordering::Relaxed) > wanted).then_some(())
    });
    // QEMU 7.2 may leave a port alone that was closed while it wrote to it, until it is opened once
    // more.
    loop {
        let mut port = connect(path);
        port.set_read_timeout(Some(ONCE_MORE))
            .expect("it is not zero");
        let first = read(&mut port, 1, CHUNK);
        if !first.is_empty() {
            port.set_read_timeout(None).expect("it is none");
            bytes.extend(first);
            bytes.extend(read(&mut port, usize::MAX, CHUNK));
            return bytes;
        }
    }
}

impl Host {
    /// A machine with a port for each CPU, which connects them in order, and one for panics.
    pub(super) fn with_ports(
        cpus: usize,
        words: &[&str],
        reading: impl Fn(usize) -> Reading,
    ) -> Self {
        Self::ports_on("tcg", cpus, words, reading)
    }

    /// The same, with what runs the guest's code.
    fn ports_on(
        accel: &str,
        cpus: usize,
        words: &[&str],
        reading: impl Fn(usize) -> Reading,
    ) -> Self {
        Self::ports_with(&[("RELAY_ACCEL", accel)], cpus, words, reading, |_| {})
    }

    /// A machine with ports, and with one that it is asked through; `ask` does so, in a thread.
    pub(super) fn that_is_asked(
        cpus: usize,
        words: &[&str],
        ask: impl FnOnce(UnixStream) + Send + 'static,
    ) -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("ctl");
        let listener = UnixListener::bind(&path).expect("it is writable");
        let settings = [("RELAY_CTL_SOCKET", utf8(&path))];
        Self::ports_with(
            &settings,
            cpus,
            words,
            |_| Reading::All,
            |start| {
                let (port, _) = listener.accept().expect("QEMU connects");
                start.asker = Some(thread::spawn(move || ask(port)));
            },
        )
    }

    /// A machine with ports and more settings. When all ports are connected `more` is called.
    fn ports_with(
        settings: &[(&str, &str)],
        cpus: usize,
        words: &[&str],
        reading: impl Fn(usize) -> Reading,
        more: impl FnOnce(&mut Start<'_>),
    ) -> Self {
        let mut start = Start::new(cpus, words);
        let path = start.folder.path().join("ports");
        let listener = UnixListener::bind(&path).expect("it is writable");
        let ports = cpus.to_string();
        let own = [
            ("RELAY_PORTS", ports.as_str()),
            ("RELAY_PORTS_SOCKET", utf8(&path)),
        ];
        let qemu = start.qemu(&[settings, &own].concat());
        let readings = (0..=cpus).map(|port| {
            if port < cpus {
                reading(port)
            } else {
                Reading::All
            }
        });
        let readers = readings.map(|reading| {
            let (port, _) = listener.accept().expect("QEMU connects");
            start.reader(move |folder| read_as(port, reading, folder))
        });
        let readers = readers.collect();
        more(&mut start);
        start.finish(qemu, readers, Noise::none())
    }

    /// A machine of one CPU with a port, whose clock counts instructions.
    pub(super) fn that_counts(words: &[&str], reading: Reading) -> Self {
        Self::ports_on("icount", 1, words, |_| reading)
    }

    /// A machine with a second serial port, over which everything goes.
    pub(super) fn with_line(cpus: usize, words: &[&str], reading: Reading, noise: Noise) -> Self {
        let mut start = Start::new(cpus, words);
        let path = start.folder.path().join("line");
        let listener = UnixListener::bind(&path).expect("it is writable");
        let qemu = start.qemu(&[("RELAY_SERIAL_SOCKET", utf8(&path))]);
        let (line, _) = listener.accept().expect("QEMU connects");
        let readers = vec![start.reader(move |folder| read_as(line, reading, folder))];
        start.finish(qemu, readers, noise)
    }

    /// The same, without noise; `ask` sends what it likes over the line, in a thread.
    pub(super) fn with_line_that_is_asked(
        cpus: usize,
        words: &[&str],
        ask: impl FnOnce(UnixStream) + Send + 'static,
    ) -> Self {
        let mut start = Start::new(cpus, words);
        let path = start.folder.path().join("line");
        let listener = UnixListener::bind(&path).expect("it is writable");
        let qemu = start.qemu(&[("RELAY_SERIAL_SOCKET", utf8(&path))]);
        let (line, _) = listener.accept().expect("QEMU connects");
        let own = line.try_clone().expect("it is open");
        let readers = vec![start.reader(move |folder| read_as(line, Reading::All, folder))];
        start.asker = Some(thread::spawn(move || ask(own)));
        start.finish(qemu, readers, Noise::none())
    }

    /// A machine whose ports listen. The host of one of them goes after so many bytes, and comes
    /// back while the others go on.
    pub(super) fn that_comes_back(cpus: usize, words: &[&str], gone: usize, after: usize) -> Self {
        let mut start = Start::new(cpus, words);
        let path = |port: usize| start.folder.path().join(format!("port.{port}"));
        let paths: Vec<_> = (0..=cpus).map(path).collect();
        let mut arguments = vec![
            "-device".to_owned(),
            format!("virtio-serial-pci,max_ports={},vectors={0}", cpus + 2),
        ];
        for (port, path) in paths.iter().enumerate() {
            let name = if port < cpus {
                port.to_string()
            } else {
                "panic".to_owned()
            };
            arguments.extend([
                "-chardev".to_owned(),
                format!(
                    "socket,id=relay{port},path={},server=on,wait=on",
                    utf8(path)
                ),
                "-device".to_owned(),
                format!(
                    "virtserialport,chardev=relay{port},name=relay.{name},nr={}",
                    port + 1
                ),
            ]);
        }
        let qemu = start.qemu(&[("RELAY_QEMU_ARGS", &arguments.join("\n"))]);
        let others = Arc::new(AtomicUsize::new(0));
        let readers = paths.into_iter().enumerate().map(|(port, path)| {
            // In order: QEMU waits for each before it makes the next.
            let stream = connect(&path);
            let others = Arc::clone(&others);
            start.reader(move |_| match port == gone {
                true => read_and_come_back(stream, &path, after, &others),
                false => read_and_count(stream, &others),
            })
        });
        let readers = readers.collect();
        start.finish(qemu, readers, Noise::none())
    }

    /// Waits until the console says something, and ends the machine.
    pub(super) fn end_when_it_says(mut self, text: &str) -> Left {
        let console = self.folder.path().join("console");
        wait_for(text, || {
            let said = fs::read_to_string(&console).ok()?;
            said.contains(text).then_some(())
        });
        self.qemu.kill().expect("it is ours");
        self.end()
    }

    /// Waits for the end.
    pub(super) fn end(mut self) -> Left {
        let status = wait_for("the end", || self.qemu.try_wait().expect("it is ours"));
        let path = |name: &str| self.folder.path().join(name);
        fs::write(path("ended"), "").expect("it is writable");
        if let Some(asker) = self.asker.take() {
            asker.join().expect("it has asked");
        }
        let readers = std::mem::take(&mut self.readers);
        let read = readers
            .into_iter()
            .flat_map(|reader| reader.join().expect("it has read"));
        let bytes: Vec<u8> = read.collect();
        fs::write(path("clean"), &bytes).expect("it is writable");
        fs::write(path("bytes"), self.noise.pass(&bytes)).expect("it is writable");
        let console = fs::read(path("console")).expect("it is kept");
        let empty = tempfile::tempdir().expect("there is room");
        Left {
            folder: std::mem::replace(&mut self.folder, empty),
            status: status.code(),
            console: String::from_utf8_lossy(&console).into_owned(),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

/// A machine that is about to start.
struct Start<'a> {
    folder: TempDir,
    cpus: usize,
    words: &'a [&'a str],
    asker: Option<JoinHandle<()>>,
    turn: Option<Turn>,
}

impl<'a> Start<'a> {
    fn new(cpus: usize, words: &'a [&'a str]) -> Self {
        // Built before the machine starts.
        let _ = (kernel(), relayctl());
        Self {
            turn: Some(Turn::wait()),
            folder: tempfile::tempdir().expect("there is room"),
            cpus,
            words,
            asker: None,
        }
    }

    fn qemu(&self, settings: &[(&str, &str)]) -> Child {
        let console = self.folder.path().join("console");
        Command::new(workspace().root.join("qemu-runner.sh"))
            .arg(kernel())
            .args(self.words)
            .env("RELAY_SMP", self.cpus.to_string())
            .env("RELAY_SERIAL", format!("file:{}", utf8(&console)))
            .env("RELAY_EXEC", "1")
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("QEMU starts")
    }

    fn reader(&self, read: impl FnOnce(&Path) -> Vec<u8> + Send + 'static) -> JoinHandle<Vec<u8>> {
        let folder = self.folder.path().to_owned();
        thread::spawn(move || read(&folder))
    }

    fn finish(&mut self, qemu: Child, readers: Vec<JoinHandle<Vec<u8>>>, noise: Noise) -> Host {
        let empty = tempfile::tempdir().expect("there is room");
        Host {
            qemu,
            folder: std::mem::replace(&mut self.folder, empty),
            readers,
            asker: self.asker.take(),
            noise,
            _turn: self.turn.take().expect("it is its turn"),
        }
    }
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("a temporary folder's name is UTF-8")
}

impl Left {
    /// All that was read, as it was understood.
    pub(super) fn bytes(&self) -> PathBuf {
        self.folder.path().join("bytes")
    }

    /// The same without noise.
    pub(super) fn clean(&self) -> PathBuf {
        self.folder.path().join("clean")
    }

    /// Whether the console says this.
    pub(super) fn says(&self, text: &str) -> bool {
        self.console.contains(text)
    }

    /// Whether the console names the port of a CPU among those that have not got all.
    pub(super) fn names_port(&self, cpu: usize) -> bool {
        let name = format!("(port relay.{cpu}: ");
        let mut lines = self.console.lines();
        lines.any(|line| line.starts_with("-- ") && line.contains(&name))
    }

    /// The number that the console says behind these words, and the next one in the same line, or 0.
    pub(super) fn after(&self, words: &str) -> Option<(u64, u64)> {
        let (_, rest) = self.console.split_once(words)?;
        let line = rest.lines().next()?;
        let mut numbers = line.split(' ').filter_map(|word| word.parse().ok());
        Some((numbers.next()?, numbers.next().unwrap_or(0)))
    }

    /// Whether the kernel has reported a pass.
    pub(super) fn passes(&self) -> bool {
        self.status == Some(33)
    }

    #[track_caller]
    pub(super) fn assert_passes(&self) {
        assert!(self.passes(), "{:?}: {}", self.status, self.console);
    }

    #[track_caller]
    pub(super) fn assert_fails(&self) {
        assert_eq!(self.status, Some(35), "{}", self.console);
    }

    /// The records that were read, each as a line of JSON without what depends on others.
    pub(super) fn records(&self) -> BTreeSet<String> {
        records(&self.bytes())
    }

    /// The same without noise.
    pub(super) fn clean_records(&self) -> BTreeSet<String> {
        records(&self.clean())
    }
}

fn records(bytes: &Path) -> BTreeSet<String> {
    let cat = Command::new(relayctl())
        .args(["cat", "--json"])
        .arg(bytes)
        .output();
    let text = String::from_utf8(cat.expect("relayctl starts").stdout).expect("it prints UTF-8");
    text.lines().map(str::to_owned).collect()
}
