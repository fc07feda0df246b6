//! The relay workspace on this machine: where it is, and how it is built.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use crate::archive;
use crate::install::KERNEL_TARGET;

/// The script that starts QEMU, relative to the workspace.
pub const RUNNER: &str = "qemu-runner.sh";

/// The package of the programs that the kernel runs, and its manifest.
const PROGRAMS: &str = "relay-programs";
const PROGRAMS_MANIFEST: &str = "user/programs/Cargo.toml";

/// The name of the archive that is made of them.
const RAMDISK: &str = "ramdisk.tar";

/// What a machine boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// The kernel's ELF file.
    pub kernel: PathBuf,
    /// The archive of its programs.
    pub ramdisk: PathBuf,
}

/// Why a package could not be built.
#[derive(Debug)]
pub enum BuildError {
    /// The workspace is nowhere to be found.
    NoWorkspace {
        /// Where the search started.
        from: PathBuf,
    },
    /// Cargo did not start or its output could not be read.
    Cargo {
        /// The program that was tried.
        program: OsString,
        /// What went wrong.
        error: std::io::Error,
    },
    /// Cargo ended with an error; the compiler's messages are on stderr already.
    Failed {
        /// The package.
        package: String,
        /// How cargo ended.
        status: ExitStatus,
    },
    /// The archive of the programs could not be made.
    Archive {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        error: std::io::Error,
    },
    /// Cargo was content, but named no executable.
    NoExecutable {
        /// The package.
        package: String,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWorkspace { from } => write!(
                f,
                "no relay workspace (a folder with {RUNNER} and kernel/Cargo.toml) in {} or above",
                from.display()
            ),
            Self::Cargo { program, error } => write!(f, "{}: {error}", program.display()),
            Self::Failed { package, status } => {
                write!(f, "the build of `{package}` failed ({status})")
            }
            Self::Archive { path, error } => {
                write!(f, "{}: the programs' archive: {error}", path.display())
            }
            Self::NoExecutable { package } => {
                write!(f, "the build of `{package}` made no executable")
            }
        }
    }
}

impl std::error::Error for BuildError {}

/// A relay workspace.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// Its root folder.
    pub root: PathBuf,
}

/// What to build.
#[derive(Clone, Copy, Debug)]
pub struct Build<'a> {
    /// The package, whose executable has the same name.
    pub package: &'a str,
    /// The target, if it is not the host.
    pub target: Option<&'a str>,
    /// Whether with optimisation for release.
    pub release: bool,
    /// Its features. With some, it is built in a folder of its own: the package without them stays
    /// as it is.
    pub features: &'a [&'a str],
    /// Whether cargo keeps its progress to itself.
    pub quiet: bool,
}

impl Workspace {
    /// Finds the workspace: upwards from the current folder, else where
    /// relayctl was built.
    ///
    /// # Errors
    ///
    /// When neither is a relay workspace.
    pub fn find() -> Result<Self, BuildError> {
        let from = env::current_dir().unwrap_or_default();
        let built = Path::new(env!("CARGO_MANIFEST_DIR"));
        let found = Self::around(&from).or_else(|| Self::around(built));
        found.ok_or(BuildError::NoWorkspace { from })
    }

    /// The workspace that a folder lies in.
    #[must_use]
    pub fn around(folder: &Path) -> Option<Self> {
        let root = folder.ancestors().find(|folder| is_root(folder))?;
        Some(Self {
            root: root.to_owned(),
        })
    }

    /// Builds the kernel, with some of its features, and the programs that it runs, and puts these
    /// into an archive beside it.
    ///
    /// # Errors
    ///
    /// When cargo cannot be run or the build fails, what the compiler has to say is on stderr by
    /// then; or when the archive cannot be written.
    pub fn build_machine(
        &self,
        release: bool,
        features: &[&str],
        quiet: bool,
    ) -> Result<Machine, BuildError> {
        // Features are those of the kernel, whatever else is built with it.
        let features: Vec<_> = features
            .iter()
            .map(|name| format!("kernel/{name}"))
            .collect();
        let features: Vec<_> = features.iter().map(String::as_str).collect();
        let build = Build {
            package: "kernel",
            target: Some(KERNEL_TARGET),
            release,
            features: &features,
            quiet,
        };
        let built = self.cargo(&build, &["--package", PROGRAMS, "--bins"])?;
        let kernel = executable(&built, "kernel")?;
        let manifest = self.root.join(PROGRAMS_MANIFEST);
        let programs = built.iter().filter(|one| one.manifest == manifest);
        let programs: Vec<_> = programs.map(|one| one.path.clone()).collect();
        let ramdisk = kernel.with_file_name(RAMDISK);
        archive::write(&programs, &ramdisk).map_err(|error| BuildError::Archive {
            path: ramdisk.clone(),
            error,
        })?;
        Ok(Machine { kernel, ramdisk })
    }

    /// The kernel's ELF file where [`build_machine`](Self::build_machine) puts it, if it is there.
    #[must_use]
    pub fn built_kernel(&self, release: bool) -> Option<PathBuf> {
        let profile = if release { "release" } else { "debug" };
        let folder = self.target_folder().join(KERNEL_TARGET).join(profile);
        Some(folder.join("kernel")).filter(|path| path.is_file())
    }

    /// Where cargo builds.
    fn target_folder(&self) -> PathBuf {
        let target = env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
        self.root.join(target)
    }

    /// Builds a package by cargo and returns its executable.
    ///
    /// The caller's compiler flags are kept away from it: a kernel must not be
    /// built with the `--cfg loom` or the coverage counters of whoever calls.
    ///
    /// # Errors
    ///
    /// When cargo cannot be run or the build fails; what the compiler has to say is on stderr by then.
    pub fn build(&self, build: &Build<'_>) -> Result<PathBuf, BuildError> {
        let built = self.cargo(build, &["--bin", build.package])?;
        executable(&built, build.package)
    }

    /// Builds a package, and what else the arguments say. Returns all executables.
    fn cargo(&self, build: &Build<'_>, arguments: &[&str]) -> Result<Vec<Executable>, BuildError> {
        // The cargo that runs us, so that the toolchain is the same.
        let program = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut cargo = Command::new(&program);
        cargo
            .args(["build", "--package", build.package])
            .args(arguments)
            .arg("--message-format=json-render-diagnostics")
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        if let Some(target) = build.target {
            cargo.args(["--target", target]);
        }
        if !build.features.is_empty() {
            let names = build
                .features
                .iter()
                .map(|name| match name.split_once('/') {
                    Some((_, name)) => name,
                    None => name,
                });
            let folder = names.collect::<Vec<_>>().join("-");
            let features = build.features.join(",");
            cargo
                .args(["--features", &features])
                .arg("--target-dir")
                .arg(self.target_folder().join(folder));
        }
        for (wanted, flag) in [(build.release, "--release"), (build.quiet, "--quiet")] {
            if wanted {
                cargo.arg(flag);
            }
        }
        for (name, _) in env::vars_os().filter(|(name, _)| is_callers_own(name)) {
            cargo.env_remove(name);
        }
        let failed = |error| BuildError::Cargo {
            program: program.clone(),
            error,
        };
        let mut child = cargo.spawn().map_err(failed)?;
        let mut built = Vec::new();
        if let Some(output) = child.stdout.take() {
            for line in BufReader::new(output).lines() {
                built.extend(executable_in(&line.map_err(failed)?));
            }
        }
        let status = child.wait().map_err(failed)?;
        match status.success() {
            true => Ok(built),
            false => Err(BuildError::Failed {
                package: build.package.to_owned(),
                status,
            }),
        }
    }
}

/// A program that cargo has built.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Executable {
    /// Its name.
    name: String,
    /// The manifest of its package.
    manifest: PathBuf,
    /// Where it is.
    path: PathBuf,
}

/// The one with this name, of the package of this name.
fn executable(built: &[Executable], name: &str) -> Result<PathBuf, BuildError> {
    let found = built.iter().find(|one| one.name == name);
    let path = found.map(|one| one.path.clone());
    path.ok_or_else(|| BuildError::NoExecutable {
        package: name.to_owned(),
    })
}

/// Whether a folder is the root of a relay workspace.
fn is_root(folder: &Path) -> bool {
    folder.join(RUNNER).is_file() && folder.join("kernel/Cargo.toml").is_file()
}

/// Whether an environment variable concerns the caller's own build only.
fn is_callers_own(name: &OsString) -> bool {
    let name = name.to_string_lossy();
    let prefixes = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CFG_"];
    matches!(
        &*name,
        "RUSTFLAGS"
            | "RUSTDOCFLAGS"
            | "CARGO_ENCODED_RUSTFLAGS"
            | "CARGO_BUILD_RUSTFLAGS"
            | "CARGO_BUILD_TARGET"
            | "CARGO_CRATE_NAME"
            | "CARGO_PRIMARY_PACKAGE"
            | "CARGO_TARGET_TMPDIR"
            | "OUT_DIR"
            | "RUSTC_WORKSPACE_WRAPPER"
    ) || (name.starts_with("CARGO_TARGET_") && name.ends_with("_RUSTFLAGS"))
        || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// The executable that a line of cargo's JSON messages names, if it does.
fn executable_in(line: &str) -> Option<Executable> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let is_bin = message["target"]["kind"]
        .as_array()?
        .iter()
        .any(|kind| kind == "bin");
    if message["reason"] != "compiler-artifact" || !is_bin {
        return None;
    }
    Some(Executable {
        name: message["target"]["name"].as_str()?.to_owned(),
        manifest: message["manifest_path"].as_str()?.into(),
        path: message["executable"].as_str()?.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_executable_in_cargos_messages() {
        let line = r#"{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"kernel"},
            "manifest_path":"/r/kernel/Cargo.toml","executable":"/t/kernel","fresh":true}"#;
        let found = Executable {
            name: "kernel".to_owned(),
            manifest: "/r/kernel/Cargo.toml".into(),
            path: "/t/kernel".into(),
        };
        assert_eq!(executable_in(line), Some(found.clone()));
        assert_eq!(
            executable(std::slice::from_ref(&found), "kernel").ok(),
            Some("/t/kernel".into())
        );
        assert!(executable(&[found], "relayctl").is_err());
        let library = line.replace("bin", "lib");
        assert_eq!(executable_in(&library), None);
        let without = line.replace("\"/t/kernel\"", "null");
        assert_eq!(executable_in(&without), None);
        for other in ["", "not json", "[]", "{}", r#"{"reason":"build-finished"}"#] {
            assert_eq!(executable_in(other), None);
        }
    }

    #[test]
    fn the_callers_flags_stay_with_the_caller() {
        for name in [
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_X86_64_UNKNOWN_NONE_RUSTFLAGS",
            "CARGO_PKG_NAME",
            "CARGO_BUILD_TARGET",
        ] {
            assert!(is_callers_own(&name.into()), "{name}");
        }
        for name in [
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "RUSTUP_TOOLCHAIN",
            "CARGO",
            "PATH",
        ] {
            assert!(!is_callers_own(&name.into()), "{name}");
        }
    }
}
