//! The command line.

use std::ffi::OsString;
use std::io;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::{
    self, BenchArgs, CatArgs, CtlArgs, ExportArgs, ProfileArgs, RecordArgs, ReportArgs, RunArgs,
    SoakArgs, StatArgs, StressArgs, WatchArgs,
};
use crate::exit::Exit;
use crate::help;
use crate::terminal::Output;

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
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// The options of `run`, for when there is no command.
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Build the kernel, boot it in QEMU, show its log live, check and sum up
    Run(RunArgs),
    /// Make a capture from a machine that somebody else started
    ///
    /// Exit status: 0 if what came is in the capture and can be read (verify judges it), 1 if
    /// nothing came that can, or if something was left out or contradicts the rest, 3 if the source
    /// or the disk failed.
    Record(RecordArgs),
    /// Ask a machine that runs, or switch what it logs: while run or record has it
    ///
    /// First what is set, then what is got, then the list. What a switch has then is a line
    /// NAME=VALUE on stdout. Exit status: 0 if all was done, 1 if the machine refused something, 3 if
    /// there is no machine that can be asked, or it did not answer.
    Ctl(CtlArgs),
    /// Show the records of a capture, merged by time
    Cat(CatArgs),
    /// Show the ledger of a capture: packets, records, losses
    ///
    /// With --where or another filter: how many records match, by channel and CPU; that is no
    /// ledger, and says nothing of losses.
    Stat(StatArgs),
    /// Tell of records as they come, or run a command for each
    ///
    /// Each match is one line of JSON: shown, or on the standard input of the command. Exit status:
    /// 0 at the end of the capture or Ctrl-C, 1 if something in it is damaged; with --once 0 at the
    /// first match and 1 if there was none. How commands end is told, and changes nothing.
    Watch(WatchArgs),
    /// Prove that a capture misses nothing: complete, open (proven so far) or broken
    Verify(ReportArgs),
    /// Show where CPUs spent their time, by the samples of the profiler
    ///
    /// A sample is where a CPU was when it was interrupted. The column self counts a function where
    /// it ran, total where it or what it had called ran: once a sample, also if it calls itself. +-
    /// is how much of the first share chance may be, in percent points: 95 of 100 profiles are that
    /// near to the truth, if nothing that runs keeps time with the samples. A function that was
    /// inlined is a function, too; its file tells it from others. What was lost is of the whole
    /// boot, whatever is wanted of it. Exit status: 1 if there is no sample, or if something is
    /// damaged, 2 if the capture has no profile.
    Profile(ProfileArgs),
    /// Write a capture in the format of others: folded stacks, speedscope, JSON
    ///
    /// What is wrong is said on stderr, also what is lost. Exit status: 1 if something is damaged,
    /// or if a profile has no sample.
    Export(ExportArgs),
    /// Run the scenario stress by seeds, each the same every time, and keep what fails
    ///
    /// A seed chooses everything that --set does not: who writes, how, and when what comes. QEMU's
    /// clock counts instructions, and nothing of the host reaches the guest, so that a seed gives
    /// the same capture each time, byte for byte. Exit status: 1 if any seed failed, or if NMIs
    /// came nowhere where they matter.
    Stress(StressArgs),
    /// Prove the kernel for hours, mixing everything by a seed, and keep what fails
    ///
    /// Runs of stress (with and without a host that stands still, over virtio ports and over a
    /// serial line, with a clock that counts instructions), floods and panics; each capture is
    /// checked to the last record and then removed. Exit status: 1 if any run failed, or if NMIs
    /// came nowhere where they matter in ten minutes or more.
    Soak(SoakArgs),
    /// Measure what records cost and how fast they leave: a table, and a chart beside it
    Bench(BenchArgs),
}

/// Reads the command line and does what it says.
pub(crate) fn main(args: impl IntoIterator<Item = OsString>) -> Exit {
    let args: Vec<_> = args.into_iter().collect();
    let mut command = Cli::command();
    if args.iter().any(|arg| arg == "--help" || arg == "help") {
        // What the kernel has is only looked for when somebody wants to know.
        let help = commands::run_help();
        let ends = command.get_after_help().map(ToString::to_string);
        let all = format!("{help}\n{}", ends.unwrap_or_default());
        command = command
            .after_long_help(all)
            .mut_subcommand("run", |run| run.after_long_help(help));
    }
    let parsed = command.try_get_matches_from(args);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            if error.use_stderr() {
                // There is nobody to tell about a stderr that cannot be written.
                let _ = error.print();
                return Exit::Usage;
            }
            // Help and version go to stdout and are not errors; a reader that
            // has gone does not make them one.
            let text = help::wrapped(&error.to_string());
            let _ = Output::new(io::stdout()).put(&text);
            return Exit::Good;
        }
    };
    match cli.command {
        Some(Command::Run(args)) => commands::run(&args),
        Some(Command::Record(args)) => commands::record(&args),
        Some(Command::Ctl(args)) => commands::ctl(&args),
        Some(Command::Cat(args)) => commands::cat(&args),
        Some(Command::Stat(args)) => commands::stat(&args),
        Some(Command::Watch(args)) => commands::watch(&args),
        Some(Command::Verify(args)) => commands::verify(&args),
        Some(Command::Profile(args)) => commands::profile(&args),
        Some(Command::Export(args)) => commands::export(&args),
        Some(Command::Stress(args)) => commands::stress(&args),
        Some(Command::Soak(args)) => commands::soak(&args),
        Some(Command::Bench(args)) => commands::bench(&args),
        None => commands::run(&cli.run),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::ColorChoice;

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
    fn help_fits() {
        let mut command = Cli::command();
        command.build();
        let mut all: Vec<_> = command.get_subcommands().cloned().collect();
        all.push(command);
        for mut command in all {
            let texts = [command.render_help(), command.render_long_help()];
            for text in texts.map(|text| help::wrapped(&text.to_string())) {
                let is_long = |line: &&str| line.chars().count() > help::WIDTH;
                assert_eq!(text.lines().find(is_long), None, "{}", command.get_name());
            }
        }
    }

    #[test]
    fn help_is_not_an_error() {
        for flag in ["--help", "-h", "--version"] {
            assert!(!parse(&[flag]).expect_err("it ends here").use_stderr());
        }
    }
}
