//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::commands::{self, CaptureArgs, CatArgs, RecordArgs, StatArgs, VerifyArgs};
use crate::exit::Exit;
use crate::guest::Accel;
use crate::run::{self, Transport};
use crate::term::ColorChoice;

/// Boots the relay kernel, watches it, and checks what it logged.
///
/// Without a command it does `run`.
#[derive(Clone, Debug, Parser)]
#[command(name = "relayctl", version, args_conflicts_with_subcommands = true)]
#[command(
    after_help = "Exit status: 0 good, 1 the scenario or the check failed, 2 usage, \
                  3 infrastructure.\nCtrl-C ends the guest: good for the scenario idle, \
                  infrastructure for others.\nData goes to stdout, talk to stderr.\n\
                  RELAY_INSTALL=never keeps relayctl from installing what is missing, \
                  CI=true lets\nit install without asking."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// The options of `run`, for when there is no command.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Build the kernel, boot it in QEMU, show its log live, check and sum up
    Run(RunArgs),
    /// Make a capture from a machine that somebody else started
    Record(RecordArgs),
    /// Show the records of a capture, merged by time
    Cat(CatArgs),
    /// Show the ledger of a capture: packets, records, losses
    Stat(StatArgs),
    /// Prove that a capture misses nothing: complete, open (proven so far) or broken
    Verify(VerifyArgs),
}

/// The options of `run`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub struct RunArgs {
    /// CPUs of the machine
    #[arg(long, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=32))]
    pub smp: u32,

    /// Memory of the machine in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    #[arg(value_parser = clap::value_parser!(u32).range(32..=1_048_576))]
    pub memory: u32,

    /// End after S seconds, with exit 3
    ///
    /// Without this, a scenario that ends by itself ends with exit 3 after 60
    /// seconds without output, and `idle` goes on until Ctrl-C.
    #[arg(long, value_name = "S")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub timeout: Option<u32>,

    /// What the machine does after it has booted
    #[arg(long, value_name = "NAME", default_value = "smoke", value_parser = parse_name)]
    pub scenario: String,

    /// A word for the kernel's command line, such as loglevel=debug; may be given again
    #[arg(long = "set", value_name = "K=V", value_parser = parse_setting)]
    pub settings: Vec<String>,

    /// What runs the guest's code
    #[arg(long, value_enum, default_value_t)]
    pub accel: Accel,

    /// Let QEMU wait for a debugger, and print the command that starts it
    #[arg(long, conflicts_with = "timeout")]
    pub gdb: bool,

    /// Boot this ELF file and build nothing
    #[arg(long, value_name = "ELF")]
    pub kernel: Option<PathBuf>,

    /// How the guest's records leave it: over virtio ports, or not at all
    #[arg(long, value_enum, default_value_t)]
    pub transport: Transport,

    /// Where the capture and how large it may get
    #[command(flatten)]
    pub capture: CaptureArgs,

    /// Do not show the console's text
    #[arg(long, short)]
    pub quiet: bool,

    /// Print the summary as one JSON object on stdout; the console's text goes to stderr
    #[arg(long)]
    pub json: bool,

    /// When to use colour
    #[arg(long, value_enum, default_value_t)]
    pub color: ColorChoice,

    /// More arguments for QEMU
    #[arg(last = true, value_name = "QEMU-ARGS", value_parser = parse_qemu_arg())]
    pub qemu_args: Vec<OsString>,
}

/// The longest kernel command line that is passed on, in bytes.
const MAX_COMMAND_LINE: usize = 2000;

impl RunArgs {
    /// The words of the kernel's command line.
    ///
    /// # Errors
    ///
    /// When they are too long together.
    pub fn kernel_words(&self) -> Result<Vec<String>, String> {
        let mut words = vec![format!("scenario={}", self.scenario)];
        words.extend(self.settings.iter().cloned());
        let length = words.iter().map(|word| word.len() + 1).sum::<usize>() - 1;
        if length > MAX_COMMAND_LINE {
            return Err(format!(
                "the kernel's command line has {length} bytes, at most {MAX_COMMAND_LINE} are \
                 possible: use fewer or shorter --set"
            ));
        }
        Ok(words)
    }
}

/// Reads a scenario's name.
fn parse_name(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    match !text.is_empty() && text.chars().all(good) {
        true => Ok(text.to_owned()),
        false => Err("a scenario's name is made of a-z, 0-9, - and _".to_owned()),
    }
}

/// Reads one `key=value` for the kernel's command line, whose words are
/// separated by spaces.
fn parse_setting(text: &str) -> Result<String, String> {
    let (key, value) = text.split_once('=').ok_or("a setting is KEY=VALUE")?;
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
    if key.is_empty() || !key.chars().all(good) {
        return Err("a setting's key is made of letters, digits, _, - and .".to_owned());
    }
    if key == "scenario" {
        return Err("use --scenario".to_owned());
    }
    if !value.chars().all(|c| c.is_ascii_graphic()) {
        return Err("a setting's value is made of printable ASCII without spaces".to_owned());
    }
    Ok(text.to_owned())
}

/// Reads an argument for QEMU: any bytes but a line end, which separates the
/// arguments on their way through the runner script.
fn parse_qemu_arg() -> impl clap::builder::TypedValueParser<Value = OsString> {
    use clap::builder::{OsStringValueParser, TypedValueParser};
    OsStringValueParser::new().try_map(|arg| match arg.as_encoded_bytes().contains(&b'\n') {
        true => Err("an argument for QEMU cannot contain a line end"),
        false => Ok(arg),
    })
}

/// Reads the command line and does what it says.
pub fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout and are not errors; a reader that
            // has gone does not make them one.
            let _ = error.print();
            return match error.use_stderr() {
                true => Exit::Usage,
                false => Exit::Good,
            };
        }
    };
    match cli.command {
        Some(Command::Run(args)) => run::run(&args),
        Some(Command::Record(args)) => commands::record(&args),
        Some(Command::Cat(args)) => commands::cat(&args),
        Some(Command::Stat(args)) => commands::stat(&args),
        Some(Command::Verify(args)) => commands::verify(&args),
        None => run::run(&cli.run),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(args: &[&str]) -> Result<RunArgs, clap::Error> {
        let cli = Cli::try_parse_from([&["relayctl"], args].concat())?;
        Ok(match cli.command {
            Some(Command::Run(args)) => args,
            Some(other) => panic!("{other:?} is not run"),
            None => cli.run,
        })
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_is_the_default() {
        assert_eq!(parse(&[]).unwrap(), parse(&["run"]).unwrap());
        let options = [
            "--smp", "4", "--set", "seed=1", "--color", "never", "--", "-d", "int",
        ];
        let direct = parse(&options).unwrap();
        assert_eq!(direct, parse(&[&["run"], &options[..]].concat()).unwrap());
        assert_eq!((direct.smp, direct.qemu_args.len()), (4, 2));
        assert_eq!(direct.color, ColorChoice::Never);
    }

    #[test]
    fn wrong_command_lines_are_usage_errors() {
        for args in [
            &["--smp", "0"][..],
            &["--smp", "33"],
            &["--smp", "many"],
            &["--memory", "1"],
            &["--timeout", "0"],
            &["--timeout", "-1"],
            &["--scenario", "two words"],
            &["--scenario", ""],
            &["--set", "novalue"],
            &["--set", "=x"],
            &["--set", "k=two words"],
            &["--set", "scenario=idle"],
            &["--accel", "hvf"],
            &["--color", "sometimes"],
            &["--no-such-option"],
            &["no-such-command"],
            &["--kernel"],
            &["--", "two\nlines"],
        ] {
            let error = parse(args).expect_err(&format!("{args:?} is wrong"));
            assert!(error.use_stderr(), "{args:?}");
        }
    }

    #[test]
    fn help_is_not_an_error() {
        for flag in ["--help", "-h", "--version"] {
            assert!(!parse(&[flag]).expect_err("it ends here").use_stderr());
        }
    }

    #[test]
    fn settings_become_the_kernels_command_line() {
        let args = parse(&["--scenario", "idle", "--set", "seed=7", "--set", "x="]).unwrap();
        assert_eq!(
            args.kernel_words().unwrap(),
            ["scenario=idle", "seed=7", "x="]
        );
        let long = format!("k={}", "x".repeat(MAX_COMMAND_LINE));
        let error = parse(&["--set", &long])
            .unwrap()
            .kernel_words()
            .unwrap_err();
        assert!(error.contains("2017 bytes"), "{error}");
    }
}
