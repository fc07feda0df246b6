//! What `run` is asked for.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use relay_machine::guest::Accel;
use relay_machine::syslog::Destination;

use crate::commands::captures::CaptureArgs;
use crate::terminal::ColorChoice;

/// How records leave the guest, apart from its console.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// Over virtio-console ports, one per CPU
    #[default]
    Virtio,
    /// Over virtio-console ports into files, read at the end: no host can be too slow for the guest
    File,
    /// Over a second serial port, COM2, in frames
    Serial,
    /// Over nothing beside COM1: the console's text, and frames if --set serial=... asks for them
    None,
}

impl Transport {
    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Virtio => "virtio",
            Self::File => "file",
            Self::Serial => "serial",
            Self::None => "none",
        }
    }
}

/// The options of `run`.
#[derive(Args, Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunArgs {
    /// CPUs of the machine
    #[arg(long, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=32))]
    pub(crate) smp: u32,

    /// Memory of the machine in MiB
    #[arg(long, value_name = "MIB", default_value_t = 256)]
    #[arg(value_parser = clap::value_parser!(u32).range(32..=1_048_576))]
    pub(crate) memory: u32,

    /// End after S seconds, with exit 3
    ///
    /// Without this, a scenario that ends by itself ends with exit 3 after 60
    /// seconds without output, and `idle` goes on until Ctrl-C.
    #[arg(long, value_name = "S")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) timeout: Option<u32>,

    /// What the machine does after it has booted; --list names all
    ///
    /// Without this, init, which starts programs; or smoke, if the machine has none: with --kernel
    /// and without --ramdisk, or with --no-ramdisk.
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub(crate) scenario: Option<String>,

    /// A setting of the kernel or the scenario, such as log=debug; may be given again
    #[arg(long = "set", value_name = "K=V", value_parser = parse_setting)]
    pub(crate) settings: Vec<String>,

    /// Boot nothing: list the kernel's scenarios and their settings
    #[arg(long)]
    pub(crate) list: bool,

    /// What runs the guest's code
    #[arg(long, default_value = Accel::default().name(), value_parser = accel())]
    pub(crate) accel: Accel,

    /// Let QEMU wait for a debugger, and print the command that starts it
    #[arg(long, conflicts_with = "timeout")]
    pub(crate) gdb: bool,

    /// Boot this ELF file and build nothing; without --ramdisk it has no ramdisk
    #[arg(long, value_name = "ELF")]
    pub(crate) kernel: Option<PathBuf>,

    /// Give the kernel this file as its ramdisk, instead of the programs that are built with it
    #[arg(long, value_name = "FILE")]
    pub(crate) ramdisk: Option<PathBuf>,

    /// Give the kernel no ramdisk: it has no programs then
    #[arg(long, conflicts_with = "ramdisk")]
    pub(crate) no_ramdisk: bool,

    /// How the guest's records leave it: over virtio ports, a serial port, or COM1
    #[arg(long, value_enum, default_value_t)]
    pub(crate) transport: Transport,

    /// Pass on what the machine says to syslog: udp:HOST:PORT, tcp:HOST:PORT, unix:PATH, or a file
    ///
    /// The machine gets one more port, over which its program logd says every record of its log,
    /// of its events and of its programs as a message of RFC 5424. A file gets a line for each.
    #[arg(long, value_name = "TO", value_parser = Destination::from_str)]
    pub(crate) syslog: Option<Destination>,

    /// Where the capture and how large it may get
    #[command(flatten)]
    pub(crate) capture: CaptureArgs,

    /// Do not show the console's text
    #[arg(long, short)]
    pub(crate) quiet: bool,

    /// Print the summary as one JSON object on stdout; the console's text goes to stderr
    #[arg(long)]
    pub(crate) json: bool,

    /// When to use colour
    #[arg(long, value_enum, default_value_t)]
    pub(crate) color: ColorChoice,

    /// More arguments for QEMU
    #[arg(last = true, value_name = "QEMU-ARGS", value_parser = parse_qemu_arg())]
    pub(crate) qemu_args: Vec<OsString>,
}

/// The longest kernel command line that is passed on, in bytes.
const MAX_COMMAND_LINE: usize = 2000;

impl RunArgs {
    /// The words of the kernel's command line.
    ///
    /// # Errors
    ///
    /// When they are too long together.
    pub(crate) fn kernel_words(&self) -> Result<Vec<String>, String> {
        let mut words = vec![format!("scenario={}", self.scenario())];
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

impl RunArgs {
    /// What the machine does.
    pub(crate) fn scenario(&self) -> &str {
        let has_programs = !self.no_ramdisk && (self.ramdisk.is_some() || self.kernel.is_none());
        match (&self.scenario, has_programs) {
            (Some(named), _) => named,
            (None, true) => "init",
            (None, false) => "smoke",
        }
    }

    /// Checks that the machine has a port for syslog, if that is asked for.
    ///
    /// # Errors
    ///
    /// When it cannot have one.
    pub(super) fn check_syslog(&self) -> Result<(), String> {
        match (&self.syslog, self.transport) {
            (None, _) | (Some(_), Transport::Virtio) => Ok(()),
            (Some(_), other) => Err(format!(
                "--syslog needs a virtio port: --transport virtio, not {}",
                other.name()
            )),
        }
    }

    /// What the machine's random numbers depend on: the scenario's seed, if it was given one.
    pub(super) fn seed(&self) -> u64 {
        let settings = self.settings.iter().rev();
        let mut seeds = settings.filter_map(|setting| setting.strip_prefix("seed="));
        seeds.find_map(|seed| seed.parse().ok()).unwrap_or(1)
    }

    /// How many CPUs the machine shall have; nothing if QEMU is told otherwise.
    pub(super) fn cpus(&self) -> Option<u32> {
        let mut own = self.qemu_args.iter();
        let is_smp = own.any(|argument| argument == "-smp" || argument == "--smp");
        (!is_smp).then_some(self.smp)
    }
}

/// Reads what runs the guest's code.
fn accel() -> impl TypedValueParser<Value = Accel> {
    let help = |accel| match accel {
        Accel::Tcg => "QEMU's own translator; works everywhere",
        Accel::Kvm => "The processor, through /dev/kvm (experimental)",
        Accel::Icount => {
            "The translator with a clock that counts instructions, one a tick; slow, one core \
             for all CPUs"
        }
    };
    let values = Accel::ALL.map(|accel| PossibleValue::new(accel.name()).help(help(accel)));
    PossibleValuesParser::new(values).map(|name| {
        let named = Accel::ALL.into_iter().find(|accel| accel.name() == name);
        named.unwrap_or_default()
    })
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
fn parse_qemu_arg() -> impl TypedValueParser<Value = OsString> {
    OsStringValueParser::new().try_map(|arg| match arg.as_encoded_bytes().contains(&b'\n') {
        true => Err("an argument for QEMU cannot contain a line end"),
        false => Ok(arg),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser;

    use super::*;

    /// The options by themselves.
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        run: RunArgs,
    }

    pub(crate) fn parse(args: &[&str]) -> RunArgs {
        Line::parse_from([&["run"], args].concat()).run
    }

    #[test]
    fn accelerators_have_names() {
        assert_eq!(parse(&[]).accel, Accel::Tcg);
        for accel in Accel::ALL {
            assert_eq!(parse(&["--accel", accel.name()]).accel, accel);
        }
    }

    #[test]
    fn a_machine_with_programs_starts_them() {
        for (args, scenario) in [
            (&[][..], "init"),
            (&["--kernel", "elf"], "smoke"),
            (&["--no-ramdisk"], "smoke"),
            (&["--kernel", "elf", "--ramdisk", "tar"], "init"),
            (&["--scenario", "flood"], "flood"),
            (&["--no-ramdisk", "--scenario", "init"], "init"),
        ] {
            assert_eq!(parse(args).scenario(), scenario, "{args:?}");
        }
    }

    #[test]
    fn settings_become_the_kernels_command_line() {
        let args = parse(&["--scenario", "idle", "--set", "seed=7", "--set", "x="]);
        assert_eq!(
            args.kernel_words().unwrap(),
            ["scenario=idle", "seed=7", "x="]
        );
        assert_eq!(args.seed(), 7);
        assert_eq!(parse(&[]).kernel_words().unwrap(), ["scenario=init"]);
        assert_eq!(parse(&["--set", "seed=8", "--set", "seed=9"]).seed(), 9);
        assert_eq!(parse(&["--set", "seed=x"]).seed(), 1);
        let long = format!("k={}", "x".repeat(MAX_COMMAND_LINE));
        let error = parse(&["--set", &long]).kernel_words().unwrap_err();
        assert!(error.contains("2016 bytes"), "{error}");
    }
}
