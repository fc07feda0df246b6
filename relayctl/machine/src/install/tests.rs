//! Every branch of the rules, on a machine that is only pretended.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

const DEBIAN: &str = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\n";
const MINT: &str = "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n";
const LIBDIR: &str = "/rust/lib/x86_64-unknown-none";

/// A machine without anything.
#[derive(Default)]
struct Fake {
    env: BTreeMap<&'static str, &'static str>,
    interactive: bool,
    root: bool,
    programs: BTreeSet<String>,
    paths: BTreeSet<PathBuf>,
    os_release: Option<&'static str>,
    answer: bool,
    /// What commands do: the first entry whose key the command contains, once.
    script: VecDeque<(&'static str, bool, &'static str)>,
    /// What installing brings.
    brings: BTreeSet<&'static str>,
    ran: Vec<String>,
    asked: Vec<String>,
    said: Vec<String>,
    slept: Duration,
}

impl Fake {
    fn debian() -> Self {
        let programs = ["apt-get", "sudo", "rustup"].map(str::to_owned).into();
        let brings = [QEMU, LIBDIR].into();
        Self {
            programs,
            brings,
            os_release: Some(DEBIAN),
            ..Self::default()
        }
    }

    fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.insert(name, value);
        self
    }

    fn root(mut self) -> Self {
        self.root = true;
        self
    }

    fn terminal(mut self, answer: bool) -> Self {
        (self.interactive, self.answer) = (true, answer);
        self
    }

    fn qemu(&mut self) -> Result<(), InstallError> {
        ensure(self, &[Need::Qemu])
    }

    fn rust(&mut self) -> Result<(), InstallError> {
        ensure(self, &[Need::RustTarget])
    }
}

impl System for Fake {
    fn env(&self, name: &str) -> Option<String> {
        self.env.get(name).map(|value| (*value).to_owned())
    }

    fn is_interactive(&self) -> bool {
        self.interactive
    }

    fn is_root(&self) -> bool {
        self.root
    }

    fn find_program(&self, name: &str) -> Option<PathBuf> {
        self.programs
            .contains(name)
            .then(|| Path::new("/bin").join(name))
    }

    fn exists(&self, path: &Path) -> bool {
        self.paths.contains(path)
    }

    fn read(&self, path: &Path) -> Option<String> {
        assert_eq!(path, Path::new("/etc/os-release"));
        self.os_release.map(str::to_owned)
    }

    fn probe(&mut self, cmd: &Cmd) -> io::Result<Done> {
        let text = cmd.to_string();
        if let Some(&(_, ok, output)) = self.script.iter().find(|(key, ..)| text.contains(key)) {
            return Ok(Done {
                ok,
                output: output.to_owned(),
            });
        }
        Ok(Done {
            ok: true,
            output: format!("{LIBDIR}\n"),
        })
    }

    fn run(&mut self, cmd: &Cmd) -> io::Result<Done> {
        let text = cmd.to_string();
        self.ran.push(text.clone());
        if let Some(at) = self.script.iter().position(|(key, ..)| text.contains(key)) {
            let (_, ok, output) = self.script.remove(at).expect("it was just found");
            return Ok(Done {
                ok,
                output: output.to_owned(),
            });
        }
        if text.contains("install") && self.brings.contains(QEMU) {
            self.programs.insert(QEMU.to_owned());
        }
        if text.contains("target add") && self.brings.contains(LIBDIR) {
            self.paths.insert(LIBDIR.into());
        }
        Ok(Done {
            ok: true,
            output: String::new(),
        })
    }

    fn ask(&mut self, question: &str) -> bool {
        self.asked.push(question.to_owned());
        self.answer
    }

    fn say(&mut self, text: &str) {
        self.said.push(text.to_owned());
    }

    fn sleep(&mut self, time: Duration) {
        self.slept += time;
    }
}

const BY_HAND: &str =
    "sudo apt-get update && sudo apt-get install -y --no-install-recommends qemu-system-x86";

fn refused(result: Result<(), InstallError>) -> (String, &'static str) {
    match result {
        Err(InstallError::NotAllowed { command, why, .. }) => (command, why),
        other => panic!("should be refused, is {other:?}"),
    }
}

#[test]
fn what_is_there_is_left_alone() {
    let mut fake = Fake::debian().env("CI", "true").root();
    fake.programs.insert(QEMU.into());
    fake.paths.insert(LIBDIR.into());
    assert_eq!(ensure(&mut fake, &[Need::RustTarget, Need::Qemu]), Ok(()));
    assert!(fake.ran.is_empty() && fake.said.is_empty() && fake.asked.is_empty());
}

#[test]
fn ci_installs_without_asking() {
    let mut fake = Fake::debian().env("CI", "true").terminal(false);
    assert_eq!(fake.qemu(), Ok(()));
    let sudo = "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600";
    assert_eq!(
        fake.ran,
        [
            format!("{sudo} update"),
            format!("{sudo} install -y --no-install-recommends qemu-system-x86")
        ]
    );
    assert!(fake.asked.is_empty());
    assert_eq!(fake.said, [format!("{QEMU} is missing: {BY_HAND}")]);
}

#[test]
fn only_the_word_true_is_ci() {
    let (command, _) = refused(Fake::debian().env("CI", "false").qemu());
    assert_eq!(command, BY_HAND);
}

#[test]
fn root_without_a_terminal_installs_without_sudo() {
    let mut fake = Fake::debian().root();
    assert_eq!(fake.qemu(), Ok(()));
    assert!(
        fake.ran.iter().all(|cmd| cmd.starts_with("apt-get ")),
        "{:?}",
        fake.ran
    );
    assert_eq!(fake.ran.len(), 2);
}

#[test]
fn on_a_terminal_the_user_decides() {
    for root in [false, true] {
        let mut fake = Fake {
            root,
            ..Fake::debian().terminal(true)
        };
        assert_eq!(fake.qemu(), Ok(()));
        assert_eq!((fake.asked.len(), fake.ran.len()), (1, 2));
        let mut fake = Fake {
            root,
            ..Fake::debian().terminal(false)
        };
        assert_eq!(refused(fake.qemu()).1, "you chose not to install it");
        assert_eq!((fake.asked.len(), fake.ran.len()), (1, 0));
    }
}

#[test]
fn nobody_to_ask_names_the_command() {
    let mut fake = Fake::debian();
    let error = fake.qemu().expect_err("nothing may be installed");
    assert!(error.to_string().contains(BY_HAND), "{error}");
    assert!(fake.ran.is_empty());
}

#[test]
fn never_always_wins() {
    for fake in [
        Fake::debian(),
        Fake::debian().root(),
        Fake::debian().terminal(true),
    ] {
        let mut fake = fake.env("CI", "true").env("RELAY_INSTALL", "never");
        assert_eq!(refused(fake.qemu()).1, FORBIDDEN);
        let (command, why) = refused(fake.rust());
        assert_eq!(
            (command.as_str(), why),
            ("rustup target add x86_64-unknown-none", FORBIDDEN)
        );
        assert!(fake.ran.is_empty() && fake.asked.is_empty());
    }
}

#[test]
fn without_sudo_the_command_is_named() {
    let mut fake = Fake::debian().env("CI", "true");
    fake.programs.remove("sudo");
    assert_eq!(
        refused(fake.qemu()).1,
        "this needs root, and there is no sudo"
    );
    assert!(fake.ran.is_empty());
}

#[test]
fn relatives_of_debian_are_installed_on() {
    let mut fake = Fake {
        os_release: Some(MINT),
        ..Fake::debian().root()
    };
    assert_eq!(fake.qemu(), Ok(()));
}

#[test]
fn elsewhere_the_command_is_named() {
    let cases = [
        ("ID=fedora\n", "dnf"),
        (
            "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n",
            "zypper",
        ),
        ("ID=arch\n", "pacman"),
        ("ID=alpine\n", "apk"),
    ];
    for (os_release, tool) in cases {
        let mut fake = Fake {
            os_release: Some(os_release),
            ..Fake::debian().root().env("CI", "true")
        };
        assert!(refused(fake.qemu()).0.contains(tool));
        assert!(fake.ran.is_empty());
    }
    for os_release in [None, Some("ID=plan9\n")] {
        let mut fake = Fake {
            os_release,
            ..Fake::debian().root()
        };
        assert!(matches!(fake.qemu(), Err(InstallError::NoRecipe { .. })));
    }
    // Debian's name without Debian's tool.
    let mut fake = Fake::debian().root();
    fake.programs.remove("apt-get");
    assert!(refused(fake.qemu()).0.contains("apt-get install"));
}

#[test]
fn a_failed_update_is_not_the_end() {
    let mut fake = Fake::debian().root();
    fake.script
        .push_back((" update", false, "E: Some index files failed to download."));
    assert_eq!(fake.qemu(), Ok(()));
    assert!(
        fake.said[1].contains("going on with the package lists"),
        "{:?}",
        fake.said
    );
}

#[test]
fn a_failed_installation_says_why() {
    let mut fake = Fake::debian().env("CI", "true");
    fake.script.push_back((
        " install",
        false,
        "Reading...\nsudo: a password is required\n\n",
    ));
    let error = fake.qemu().expect_err("it fails");
    assert!(
        error
            .to_string()
            .ends_with("failed: sudo: a password is required"),
        "{error}"
    );
}

#[test]
fn the_lock_is_waited_for() {
    let mut fake = Fake::debian().root();
    let taken = "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1\n\
                 E: Unable to lock directory /var/lib/apt/lists/\n";
    fake.script
        .extend([(" update", false, taken), (" update", false, taken)]);
    assert_eq!(fake.qemu(), Ok(()));
    assert_eq!((fake.ran.len(), fake.slept), (4, 2 * LOCK_PAUSE));
    assert!(fake.said[2].contains("waiting for the package manager's lock (5 s)"));
}

#[test]
fn the_lock_is_not_waited_for_for_ever() {
    let mut fake = Fake::debian().root();
    let taken = "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 1\n";
    fake.script
        .extend((0..1000).map(|_| (" install", false, taken)));
    assert!(matches!(fake.qemu(), Err(InstallError::Failed { .. })));
    assert_eq!(fake.slept, LOCK_WAIT);
}

#[test]
fn an_installation_without_effect_is_noticed() {
    let mut fake = Fake {
        brings: BTreeSet::new(),
        ..Fake::debian().root()
    };
    assert!(matches!(
        fake.qemu(),
        Err(InstallError::StillMissing { .. })
    ));
    assert!(matches!(
        fake.rust(),
        Err(InstallError::StillMissing { .. })
    ));
}

#[test]
fn an_emulator_that_does_not_start_is_not_installed_over() {
    let mut fake = Fake::debian().root();
    fake.programs.insert(QEMU.into());
    fake.script
        .push_back(("--version", false, "libfoo.so: not found"));
    let error = fake.qemu().expect_err("it does not start");
    assert!(
        error.to_string().contains("libfoo.so: not found"),
        "{error}"
    );
    assert!(fake.ran.is_empty());
}

#[test]
fn a_chosen_emulator_is_the_users_business() {
    let mut fake = Fake::debian()
        .root()
        .env("RELAY_QEMU", "/opt/qemu/bin/qemu");
    assert_eq!(fake.qemu(), Ok(()));
    assert!(fake.ran.is_empty());
}

#[test]
fn the_rust_target_needs_no_permission() {
    let mut fake = Fake::debian();
    assert_eq!(fake.rust(), Ok(()));
    assert_eq!(fake.ran, ["rustup target add x86_64-unknown-none"]);
    // The toolchain that runs us gets it.
    let mut fake = Fake::debian().env("RUSTUP_TOOLCHAIN", "1.95.0");
    assert_eq!(fake.rust(), Ok(()));
    assert_eq!(
        fake.ran,
        ["rustup target add x86_64-unknown-none --toolchain 1.95.0"]
    );
}

#[test]
fn without_rustup_there_is_advice() {
    let mut fake = Fake::debian();
    fake.programs.remove("rustup");
    let error = fake.rust().expect_err("there is no rustup");
    assert!(error.to_string().contains("https://rustup.rs"), "{error}");
}

#[test]
fn a_compiler_that_does_not_run_is_named() {
    let mut fake = Fake::debian();
    fake.script
        .push_back(("target-libdir", false, "error: toolchain is not installed"));
    let error = fake.rust().expect_err("there is no compiler");
    assert!(
        error.to_string().contains("toolchain is not installed"),
        "{error}"
    );
}
