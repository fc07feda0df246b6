//! `relayctl ctl`: asks a machine that runs, or switches what it logs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgGroup, Args};
use relay_decode::capture::CONTROL;
use relay_decode::escape::printable;
use relay_format::control::{MAX_TEXT, Request};
use relay_machine::control::{Client, Desk, Reply};

use super::captures;
use crate::exit::Exit;
use crate::terminal::{Output, near, say};

/// The options of `ctl`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
#[command(group(ArgGroup::new("what").required(true).multiple(true).args(["settings", "names", "list", "snapshot"])))]
pub(crate) struct CtlArgs {
    /// The capture that is being made of the machine; that of the newest machine that runs if not
    /// given
    pub(crate) capture: Option<PathBuf>,

    /// Give a switch a value, such as log=debug; may be given again
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_setting)]
    pub(crate) settings: Vec<(String, String)>,

    /// Show the value of a switch; may be given again
    #[arg(long = "get", value_name = "NAME", value_parser = parse_name)]
    pub(crate) names: Vec<String>,

    /// Show all switches and their values
    #[arg(long)]
    pub(crate) list: bool,

    /// Take a snapshot: have what flight recorders hold sent to the capture (kernels booted with
    /// trace-mode=continuous)
    #[arg(long)]
    pub(crate) snapshot: bool,

    /// How long each answer is waited for, in seconds
    #[arg(long, value_name = "S", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) timeout: u32,
}

/// Reads the name of a switch.
fn parse_name(text: &str) -> Result<String, String> {
    let is_good = |c: char| !c.is_whitespace() && !c.is_control() && c != '=';
    if text.is_empty() || !text.chars().all(is_good) {
        return Err("a switch's name has no blanks and no '=', such as log".to_owned());
    }
    if text.len() >= MAX_TEXT {
        return Err(format!("at most {} bytes are possible", MAX_TEXT - 1));
    }
    Ok(text.to_owned())
}

/// Reads `NAME=VALUE`.
fn parse_setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("a setting is NAME=VALUE, such as log=debug")?;
    let name = parse_name(name)?;
    if value.chars().any(char::is_control) {
        return Err("a value has no control characters".to_owned());
    }
    match text.len() <= MAX_TEXT {
        true => Ok((name, value.to_owned())),
        false => Err(format!("at most {MAX_TEXT} bytes are possible")),
    }
}

/// A desk in the folder of a capture, at which others may ask; if there cannot be one, the user is
/// told, and the capture is made without.
pub(super) fn desk(folder: &Path) -> Option<Desk> {
    let opened = Desk::open(folder);
    let told = opened.inspect_err(|error| {
        say(format!(
            "{}: the machine cannot be asked while it runs: {error}",
            near(folder).display()
        ));
    });
    told.ok()
}

/// Does `relayctl ctl`.
pub(crate) fn ctl(args: &CtlArgs) -> Exit {
    let found = match &args.capture {
        Some(folder) => named(folder),
        None => newest(),
    };
    let mut client = match found {
        Ok(client) => client,
        Err(what) => {
            say(what);
            return Exit::Infrastructure;
        }
    };
    let patience = Duration::from_secs(args.timeout.into());
    let mut exit = Exit::Good;
    for (what, request) in requests(args) {
        let shown = match client.ask(&request, patience) {
            Ok(Reply::Done(text)) => show(&request, &text),
            Ok(Reply::Refused(why)) => {
                say(format!("{what}: refused: {}", printable(why.as_bytes())));
                exit = Exit::Failed;
                continue;
            }
            Err(error) => {
                say(format!(
                    "{what}: {}",
                    printable(error.to_string().as_bytes())
                ));
                return Exit::Infrastructure;
            }
        };
        if let Err(error) = shown {
            say(format!("stdout: {error}"));
            return Exit::Infrastructure;
        }
    }
    exit
}

/// What is asked, in order, and in words.
fn requests(args: &CtlArgs) -> impl Iterator<Item = (String, Request<'_>)> {
    let sets = args.settings.iter().map(|(name, value)| {
        let request = Request::Set { name, value };
        (format!("--set {name}={value}"), request)
    });
    let gets = args
        .names
        .iter()
        .map(|name| (format!("--get {name}"), Request::Get { name }));
    let list = args.list.then(|| ("--list".to_owned(), Request::List));
    let snapshot = args
        .snapshot
        .then(|| ("--snapshot".to_owned(), Request::Snapshot));
    sets.chain(gets).chain(list).chain(snapshot)
}

/// Shows what was answered.
fn show(request: &Request<'_>, text: &str) -> io::Result<()> {
    let mut out = Output::new(io::stdout());
    match request {
        Request::Set { name, .. } | Request::Get { name } => {
            out.put(&format!("{name}={}\n", printable(text.as_bytes())))
        }
        Request::Snapshot => out.put(&format!("snapshot={}\n", printable(text.as_bytes()))),
        Request::List => text
            .lines()
            .try_for_each(|line| out.put(&format!("{}\n", printable(line.as_bytes())))),
    }
}

/// Goes to the machine that a capture is being made of.
fn named(folder: &Path) -> Result<Client, String> {
    Client::connect(folder).map_err(|error| {
        let shown = near(folder).display();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => format!(
                "{shown}: no machine runs there: it can be asked while 'relayctl run' or \
                 'relayctl record' makes the capture"
            ),
            _ => format!("{shown}: {error}"),
        }
    })
}

/// Goes to the machine that was begun last of those that run.
fn newest() -> Result<Client, String> {
    let root = captures::root();
    let entries = fs::read_dir(&root).into_iter().flatten().flatten();
    let mut running: Vec<_> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| {
            let folder = entry.path();
            let socket = fs::symlink_metadata(folder.join(CONTROL)).ok()?;
            Some((socket.modified().ok()?, folder))
        })
        .collect();
    running.sort();
    for (_, folder) in running.iter().rev() {
        // One that was killed leaves its socket.
        if let Ok(client) = Client::connect(folder) {
            say(format!("asking {}", near(folder).display()));
            return Ok(client);
        }
    }
    Err(format!(
        "no machine runs that is recorded in {}: start one with 'relayctl run', or name the folder \
         of a capture that is being made",
        near(&root).display()
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    /// The options by themselves.
    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        ctl: CtlArgs,
    }

    fn parse(args: &[&str]) -> Result<CtlArgs, clap::Error> {
        Line::try_parse_from([&["ctl"], args].concat()).map(|line| line.ctl)
    }

    #[test]
    fn what_is_set_comes_first() {
        let line = [
            "--snapshot",
            "--list",
            "--get",
            "log",
            "--set",
            "trace=a=b,c",
            "DIR",
        ];
        let args = parse(&line).unwrap();
        let asked: Vec<_> = requests(&args).collect();
        let wanted = [
            (
                "--set trace=a=b,c".to_owned(),
                Request::Set {
                    name: "trace",
                    value: "a=b,c",
                },
            ),
            ("--get log".to_owned(), Request::Get { name: "log" }),
            ("--list".to_owned(), Request::List),
            ("--snapshot".to_owned(), Request::Snapshot),
        ];
        assert_eq!(asked, wanted);
        assert_eq!(args.capture, Some("DIR".into()));
        assert_eq!(args.timeout, 10);
    }

    #[test]
    fn what_no_machine_could_understand_is_a_usage_error() {
        let long = format!("log={}", "x".repeat(MAX_TEXT - 3));
        for args in [
            &[][..],
            &["DIR"],
            &["--set", "log"],
            &["--set", "=debug"],
            &["--set", "a b=c"],
            &["--set", "log=a\nb"],
            &["--set", &long],
            &["--get", ""],
            &["--get", "log=debug"],
            &["--list", "--timeout", "0"],
        ] {
            let error = parse(args).expect_err("it is wrong");
            assert!(error.use_stderr(), "{args:?}");
        }
        assert!(parse(&["--set", &long[..MAX_TEXT]]).is_ok());
        assert!(parse(&["--set", "trace="]).is_ok());
    }
}
