//! What the machine says to syslog, in the file of a real rsyslog: every message, once, as it was
//! said. This test says it in the machine's place, or logd does.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::UdpSocket;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use e2e::{boot, kernel, ramdisk, relayctl, rsyslog, workspace};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

use crate::programs::syslog::assert_told;

/// After this something hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Messages that a socket of datagrams holds, whatever the machine's settings are.
const FEW: usize = 8;

/// Waits until `look` finds something.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "no {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A syslog daemon with a port of each kind.
struct Daemon {
    folder: TempDir,
    child: Option<Child>,
    udp: u16,
    /// 0 before it is known.
    tcp: u16,
}

impl Daemon {
    fn start() -> Self {
        let free = UdpSocket::bind("127.0.0.1:0").expect("there are ports");
        let udp = free.local_addr().expect("it has one").port();
        drop(free);
        let mut daemon = Self {
            folder: tempfile::tempdir().expect("the temporary folder is writable"),
            child: None,
            udp,
            tcp: 0,
        };
        daemon.go_on();
        daemon
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts it, with the ports that it had.
    fn go_on(&mut self) {
        let folder = self.folder.path().display();
        let (udp, tcp) = (self.udp, self.tcp);
        let configuration = format!(
            r#"global(workDirectory="{folder}" maxMessageSize="64k")
module(load="imudp")
input(type="imudp" address="127.0.0.1" port="{udp}")
module(load="imtcp")
input(type="imtcp" address="127.0.0.1" port="{tcp}" listenPortFileName="{folder}/tcp")
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" socket="{folder}/unix" useSpecialParser="off" parseHostname="on")
template(name="raw" type="string" string="%rawmsg%\n")
action(type="omfile" file="{folder}/messages" template="raw")
"#
        );
        self.child = Some(rsyslog(self.folder.path(), &configuration));
        if tcp == 0 {
            self.tcp = wait_for("port of rsyslogd", || {
                let text = fs::read_to_string(self.path("tcp")).ok()?;
                text.trim().parse().ok()
            });
        }
        wait_for("TCP port of rsyslogd", || {
            is_bound("tcp", self.tcp).then_some(())
        });
        wait_for("socket of rsyslogd", || {
            UnixDatagram::unbound()
                .ok()?
                .connect(self.path("unix"))
                .ok()
        });
        wait_for("UDP port of rsyslogd", || {
            is_bound("udp", udp).then_some(())
        });
    }

    /// Ends it, as its service would be ended.
    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let number = i32::try_from(child.id()).expect("a process number");
            kill(Pid::from_raw(number), Signal::SIGTERM).expect("it is running");
            child.wait().expect("it ends");
        }
    }

    /// Waits until it has so many messages.
    fn messages(&self, count: usize) -> Vec<String> {
        wait_for("more messages", || {
            let text = fs::read_to_string(self.path("messages")).unwrap_or_default();
            let lines: Vec<_> = text.lines().map(str::to_owned).collect();
            (lines.len() >= count).then_some(lines)
        })
    }

    /// The ways to it.
    fn ways(&self) -> [String; 3] {
        [
            format!("udp:localhost:{}", self.udp),
            format!("tcp:127.0.0.1:{}", self.tcp),
            format!("unix:{}", self.path("unix").display()),
        ]
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether somebody has a port of this machine: proc(5). To try it would be in the way.
fn is_bound(protocol: &str, port: u16) -> bool {
    let ports = fs::read_to_string(format!("/proc/net/{protocol}")).expect("it is there");
    let local = format!(": 0100007F:{port:04X} 00000000:0000 ");
    ports.contains(&local)
}

/// A relayctl whose machine is this test.
struct Machine {
    child: Child,
    port: UnixStream,
    done: PathBuf,
}

impl Machine {
    /// Starts it; what it says to syslog goes to `to`.
    fn start(folder: &Path, to: &str) -> Self {
        let done = folder.join("done");
        let _ = fs::remove_file(&done);
        let script = format!(
            "for arg; do echo \"$arg\"; done; echo ready; until [ -e '{}' ]; do sleep 0.05; done
             echo '[    0.000001] 0:0 task INFO  m f.rs:1: x'; exit 33",
            done.display()
        );
        let mut child = Command::new(relayctl())
            .args(["run", "--smp", "1", "--json", "--force", "--syslog", to])
            .arg("--out")
            .arg(folder.join("capture"))
            .arg("--kernel")
            .arg(kernel())
            .env(
                "RELAY_QEMU",
                workspace().root.join("relayctl/tests/fake-qemu"),
            )
            .env("FAKE_QEMU", script)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("relayctl starts");
        let arguments = BufReader::new(child.stderr.take().expect("it is a pipe"));
        let mut lines = arguments.lines().map(|line| line.expect("it is text"));
        let path = lines.find_map(|line| {
            let path = line.strip_prefix("socket,id=syslog,path=")?;
            Some(path.to_owned())
        });
        let port = UnixStream::connect(path.expect("it has a port")).expect("relayctl listens");
        // Somebody reads the rest.
        thread::spawn(move || lines.for_each(drop));
        Self { child, port, done }
    }

    fn say(&mut self, messages: &[String]) {
        for message in messages {
            let frame = format!("{} {message}", message.len());
            self.port.write_all(frame.as_bytes()).expect("it is read");
        }
    }

    /// Ends it; what the summary says of syslog.
    fn end(self) -> Value {
        drop(self.port);
        fs::write(&self.done, "").expect("it is writable");
        let left = self.child.wait_with_output().expect("relayctl ends");
        let summary: Value = serde_json::from_slice(&left.stdout).expect("it is JSON");
        summary["run"]["syslog"].clone()
    }
}

/// What the machine says: hard cases, and numbers.
fn message(number: usize) -> String {
    let text = match number % 4 {
        0 => r#"quotes " and \ and ] and %s %n"#.to_owned(),
        1 => "\u{e4}\u{6f22}\u{1f980} and \\x0a".to_owned(),
        2 => "12 <34>1 x".to_owned(),
        _ => "y".repeat(number * 131 % 7000),
    };
    format!(
        "<{}>1 2026-11-30T19:05:15.{number:06}Z relay app/1 7:8 ID [relay@32473 cpu=\"0\" \
         number=\"{number}\" a=\"\\\"\\]\\\\\"] {text}",
        number % 192
    )
}

#[test]
fn rsyslog_gets_each_message_once_over_each_way() {
    let daemon = Daemon::start();
    let mut wanted = Vec::new();
    for to in daemon.ways() {
        let mut machine = Machine::start(daemon.folder.path(), &to);
        let before = wanted.len();
        for _ in 0..40 {
            let some: Vec<_> = (wanted.len()..wanted.len() + FEW).map(message).collect();
            machine.say(&some);
            wanted.extend(some);
            if to.starts_with("udp") {
                // It says nothing when it drops some.
                daemon.messages(wanted.len());
            }
        }
        let told = machine.end();
        let count = wanted.len() - before;
        assert_eq!(
            (&told["came"], &told["passed"]),
            (&count.into(), &count.into()),
            "{told}"
        );
        assert_eq!(
            (&told["why"], &told["broken"]),
            (&Value::Null, &0.into()),
            "{told}"
        );
        let got = daemon.messages(wanted.len());
        assert!(got == wanted, "{to}: {told}");
    }
}

#[test]
fn a_restart_of_rsyslog_costs_no_message() {
    let mut daemon = Daemon::start();
    let mut wanted = Vec::new();
    for to in daemon.ways() {
        let mut machine = Machine::start(daemon.folder.path(), &to);
        for round in 0..3 {
            if round > 0 {
                daemon.stop();
            }
            let some: Vec<_> = (wanted.len()..wanted.len() + FEW).map(message).collect();
            machine.say(&some);
            wanted.extend(some);
            if round > 0 {
                daemon.go_on();
            }
            let got = daemon.messages(wanted.len());
            assert!(got == wanted, "{to}, round {round}: {got:#?}");
        }
        let told = machine.end();
        assert_eq!(told["passed"], 3 * FEW, "{told}");
        assert_eq!(told["not_passed"], 0, "{told}");
    }
}

/// Over a way that tells of every loss: the file of rsyslog against the capture, line by line.
#[test]
fn the_file_of_rsyslog_has_what_the_capture_has() {
    let daemon = Daemon::start();
    let [_, tcp, _] = daemon.ways();
    let folder = tempfile::tempdir().expect("there is room");
    let capture = folder.path().join("capture");
    let out = capture.to_str().expect("it is UTF-8");
    let ramdisk = ramdisk().to_str().expect("it is UTF-8");
    let args = ["--scenario", "init", "--smp", "4", "--ramdisk", ramdisk];
    let run = boot(&[&args[..], &["--out", out, "--syslog", &tcp]].concat());
    run.assert_code(0);
    run.assert_complete(4);
    let told = &run.summary()["run"]["syslog"];
    let passed = told["passed"].as_u64().expect("a number");
    assert_eq!(
        (&told["not_passed"], &told["faults"]),
        (&0.into(), &Value::Null),
        "{told}"
    );
    assert_eq!(told["malformed"], 0, "{told}");
    let messages = daemon.messages(usize::try_from(passed).expect("few"));
    assert_eq!(messages.len() as u64, passed);
    let count = assert_told(&capture, &messages);
    assert!(count > 30, "{count}");
}
