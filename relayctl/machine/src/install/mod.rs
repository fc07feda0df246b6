//! Finds what is missing on this machine, and installs it if that is allowed.
//!
//! The rules, in the order in which they are tried:
//!
//! 1. `RELAY_INSTALL=never` always wins: the exact command is named, nothing is run.
//! 2. A Rust target is installed by `rustup target add`: it changes nothing but
//!    the user's own toolchain.
//! 3. System packages are installed without asking when `CI=true`, or as root
//!    without a terminal; on a terminal the user is asked; otherwise the exact
//!    command is named.
//!
//! Who is not root goes through `sudo -n`, which never asks for a password.
//! Only Debian and its relatives are installed on; elsewhere the command is named.

mod need;
mod system;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::Duration;

pub use need::{BABELTRACE, InstallError, Need, QEMU, RSYSLOG};
pub use system::{Cmd, Done, RealSystem, System};

/// The Rust target of the kernel.
pub const KERNEL_TARGET: &str = "x86_64-unknown-none";

/// How long to wait for another package manager to give its lock back.
const LOCK_WAIT: Duration = Duration::from_secs(600);

/// How long to wait between two looks at the lock.
const LOCK_PAUSE: Duration = Duration::from_secs(5);

/// Makes sure that everything in `needs` is there.
///
/// # Errors
///
/// When something is missing and is not allowed to be installed, cannot be
/// installed, or is still missing afterwards.
pub fn ensure(system: &mut dyn System, needs: &[Need]) -> Result<(), InstallError> {
    for &need in needs {
        match need {
            Need::RustTarget => ensure_rust_target(system)?,
            Need::Qemu => ensure_qemu(system)?,
            Need::Babeltrace | Need::Rsyslog => ensure_program(system, need)?,
        }
    }
    Ok(())
}

/// Whether `RELAY_INSTALL=never` forbids every installation.
fn is_forbidden(system: &dyn System) -> bool {
    system.env("RELAY_INSTALL").as_deref() == Some("never")
}

/// What is said when it does.
const FORBIDDEN: &str = "RELAY_INSTALL=never forbids to install it";

/// Makes sure that the toolchain in use can build the kernel.
fn ensure_rust_target(system: &mut dyn System) -> Result<(), InstallError> {
    let need = Need::RustTarget;
    if has_rust_target(system)? {
        return Ok(());
    }
    // The toolchain is the one that runs us: rustup reads RUSTUP_TOOLCHAIN,
    // else the workspace's rust-toolchain.toml.
    let mut add = Cmd::new(&["rustup", "target", "add", KERNEL_TARGET]);
    if let Some(toolchain) = system
        .env("RUSTUP_TOOLCHAIN")
        .filter(|name| !name.is_empty())
    {
        add.words.extend(["--toolchain".to_owned(), toolchain]);
    }
    if system.find_program("rustup").is_none() {
        let advice = "there is no rustup; install the target with the package manager that \
                      installed Rust, or install Rust with rustup (https://rustup.rs)";
        return Err(InstallError::NoRecipe { need, advice });
    }
    if is_forbidden(system) {
        let command = add.to_string();
        return Err(InstallError::NotAllowed {
            need,
            why: FORBIDDEN,
            command,
        });
    }
    system.say(&format!("{need} is missing: {add}"));
    run(system, need, &add)?;
    match has_rust_target(system)? {
        true => Ok(()),
        false => Err(InstallError::StillMissing {
            need,
            command: add.to_string(),
        }),
    }
}

/// Whether the compiler has a core library for the kernel's target.
fn has_rust_target(system: &mut dyn System) -> Result<bool, InstallError> {
    let rustc = system
        .env("RUSTC")
        .filter(|name| !name.is_empty())
        .unwrap_or("rustc".to_owned());
    let probe = Cmd::new(&[
        &rustc,
        "--print",
        "target-libdir",
        "--target",
        KERNEL_TARGET,
    ]);
    let done = system
        .probe(&probe)
        .map_err(|error| InstallError::NoRustc {
            detail: format!("{rustc}: {error}"),
        })?;
    if !done.ok {
        return Err(InstallError::NoRustc {
            detail: last_line(&done.output),
        });
    }
    // The path is printed whether or not the folder is there.
    let folder = done.output.lines().next().unwrap_or_default().trim();
    Ok(!folder.is_empty() && system.exists(Path::new(folder)))
}

/// Makes sure that the emulator runs.
fn ensure_qemu(system: &mut dyn System) -> Result<(), InstallError> {
    // Whoever names another QEMU for the runner script looks after it.
    let own = system
        .env("RELAY_QEMU")
        .is_some_and(|name| !name.is_empty());
    match own {
        true => Ok(()),
        false => ensure_program(system, Need::Qemu),
    }
}

/// Makes sure that a program runs that is in a package of its own.
fn ensure_program(system: &mut dyn System, need: Need) -> Result<(), InstallError> {
    if has_program(system, need)? {
        return Ok(());
    }
    let os_release = system
        .read(Path::new("/etc/os-release"))
        .unwrap_or_default();
    if !is_debian(&os_release) || system.find_program("apt-get").is_none() {
        return Err(match need {
            Need::Qemu => foreign_qemu(&os_release),
            _ => InstallError::NoRecipe {
                need,
                advice: "install it with your system's package manager",
            },
        });
    }
    let sudo = if system.is_root() { "" } else { "sudo " };
    let by_hand = format!(
        "{sudo}apt-get update && {sudo}{}",
        apt(need.install_words())
    );
    may_install(system, need, &by_hand)?;
    if !system.is_root() && system.find_program("sudo").is_none() {
        let why = "this needs root, and there is no sudo";
        return Err(InstallError::NotAllowed {
            need,
            why,
            command: by_hand,
        });
    }
    system.say(&format!("{need} is missing: {by_hand}"));
    // Old lists may still name the package, so a failure here decides nothing.
    if let Err(error) = run_apt(system, need, UPDATE) {
        system.say(&format!(
            "{error}; going on with the package lists that are there"
        ));
    }
    run_apt(system, need, need.install_words())?;
    match has_program(system, need)? {
        true => Ok(()),
        false => Err(InstallError::StillMissing {
            need,
            command: by_hand,
        }),
    }
}

/// Whether a program is there and starts.
fn has_program(system: &mut dyn System, need: Need) -> Result<bool, InstallError> {
    let Some(path) = system.find_program(need.name()) else {
        return Ok(false);
    };
    let word = need.version_word();
    let command = format!("{} {word}", path.display());
    let failed = |detail| InstallError::Failed {
        need,
        command,
        detail,
    };
    match system.probe(&Cmd::new(&[need.name(), word])) {
        Ok(Done { ok: true, .. }) => Ok(true),
        Ok(Done { output, .. }) => Err(failed(last_line(&output))),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// The words behind `apt-get` that refresh the package lists.
const UPDATE: &[&str] = &["update"];

/// An `apt-get` command as it would be typed.
fn apt(words: &[&str]) -> String {
    format!("apt-get {}", words.join(" "))
}

/// Decides whether system packages may be installed, asking the user if there is one.
fn may_install(system: &mut dyn System, need: Need, by_hand: &str) -> Result<(), InstallError> {
    let refuse = |why| {
        Err(InstallError::NotAllowed {
            need,
            why,
            command: by_hand.to_owned(),
        })
    };
    if is_forbidden(system) {
        return refuse(FORBIDDEN);
    }
    if system.env("CI").as_deref() == Some("true") {
        return Ok(());
    }
    if system.is_interactive() {
        return match system.ask(&format!("{need} is missing. Run `{by_hand}`?")) {
            true => Ok(()),
            false => refuse("you chose not to install it"),
        };
    }
    if system.is_root() {
        return Ok(());
    }
    refuse("there is no terminal to ask on (CI=true installs without asking)")
}

/// Runs `apt-get`, waiting while another package manager holds the lock.
fn run_apt(system: &mut dyn System, need: Need, words: &[&str]) -> Result<(), InstallError> {
    let timeout = format!("DPkg::Lock::Timeout={}", LOCK_WAIT.as_secs());
    // With sudo, the variable has to be set behind it: sudo clears the environment.
    let mut cmd = if system.is_root() {
        Cmd::new(&["apt-get", "-o", &timeout])
    } else {
        Cmd::new(&[
            "sudo",
            "-n",
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "-o",
            &timeout,
        ])
    };
    cmd.env.push(("DEBIAN_FRONTEND", "noninteractive"));
    cmd.words.extend(words.iter().map(|&word| word.to_owned()));
    // apt waits for dpkg's lock by itself, but not for the lock of the package lists.
    let mut waited = Duration::ZERO;
    loop {
        match run(system, need, &cmd) {
            Err(InstallError::Failed { detail, .. })
                if detail.contains("get lock") && waited < LOCK_WAIT =>
            {
                let seconds = waited.as_secs();
                system.say(&format!(
                    "waiting for the package manager's lock ({seconds} s)"
                ));
                system.sleep(LOCK_PAUSE);
                waited += LOCK_PAUSE;
            }
            result => return result,
        }
    }
}

/// Runs one command of an installation.
fn run(system: &mut dyn System, need: Need, cmd: &Cmd) -> Result<(), InstallError> {
    let failed = |detail| InstallError::Failed {
        need,
        command: cmd.to_string(),
        detail,
    };
    match system.run(cmd) {
        Ok(Done { ok: true, .. }) => Ok(()),
        // Which of the lines names the lock differs; it is looked for in all of them.
        Ok(Done { output, .. }) => Err(failed(match output.lines().find(is_about_lock) {
            Some(line) => line.trim().to_owned(),
            None => last_line(&output),
        })),
        Err(error) => Err(failed(error.to_string())),
    }
}

/// Whether a line of apt's output says that its lock is taken.
fn is_about_lock(line: &&str) -> bool {
    line.contains("Could not get lock")
}

/// The last line that says something.
fn last_line(output: &str) -> String {
    let line = output.lines().rev().find(|line| !line.trim().is_empty());
    line.unwrap_or("it said nothing").trim().to_owned()
}

/// The words of `ID` and `ID_LIKE` in os-release(5).
fn os_ids(os_release: &str) -> impl Iterator<Item = &str> {
    os_release
        .lines()
        .filter_map(|line| line.split_once('='))
        .filter(|(key, _)| matches!(*key, "ID" | "ID_LIKE"))
        .flat_map(|(_, value)| value.trim_matches(['"', '\'']).split_ascii_whitespace())
}

/// Whether the system is Debian or one of its relatives.
fn is_debian(os_release: &str) -> bool {
    os_ids(os_release).any(|id| matches!(id, "debian" | "ubuntu"))
}

/// What to say about a missing emulator on a system that is not installed on.
fn foreign_qemu(os_release: &str) -> InstallError {
    let need = Need::Qemu;
    let command = os_ids(os_release).find_map(|id| match id {
        "fedora" | "rhel" | "centos" => Some("sudo dnf install qemu-system-x86-core"),
        "arch" => Some("sudo pacman -S qemu-system-x86"),
        "alpine" => Some("sudo apk add qemu-system-x86_64"),
        "suse" | "opensuse" => Some("sudo zypper install qemu-x86"),
        "gentoo" => Some("sudo emerge app-emulation/qemu"),
        "nixos" => Some("nix-shell -p qemu"),
        "debian" | "ubuntu" => Some("apt-get install qemu-system-x86"),
        _ => None,
    });
    match command {
        Some(command) => InstallError::NotAllowed {
            need,
            why: "packages are installed automatically on Debian and its relatives only",
            command: command.to_owned(),
        },
        None => InstallError::NoRecipe {
            need,
            advice: "install QEMU for x86-64 (7.0 or later) with your system's package manager",
        },
    }
}
