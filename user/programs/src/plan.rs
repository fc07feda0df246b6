//! What `init` starts, with which rights, and whether again.
//!
//! Its arguments are programs, separated by `;`. A program is its name and its arguments, separated
//! by blanks or commas: a word of the kernel's command line has no blanks. In the place of a program:
//!
//! | item | means |
//! |---|---|
//! | `+draind,klog` | a *service*: started before all programs, again whenever it dies, and ended when all programs have; a later one of the same name takes its place |
//! | `-draind` | not this service |
//! | `restarts=3` | how often a program that dies may be started again, each |
//! | `stay` | `init` goes on until the services end by themselves |
//! | `window=1` | a service that dies more than 20 times within so many seconds is given up |
//! | `kill=draind,100,7` | the service is ended 100 times, at random moments of seed 7 |

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use relay_abi::{Ended, MESSAGE_BYTES, PATH_BYTES, rights};

/// How often a program that dies is started again, unless it is said.
pub const RESTARTS: u32 = 3;

/// The most programs that `init` starts: it polls all of them and its port.
pub const MOST: usize = 60;

/// A program to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name in the archive.
    pub name: String,
    /// Its arguments, separated by single blanks.
    pub arguments: String,
}

/// What `init` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The programs, in the order in which they are started.
    pub programs: Vec<Wanted>,
    /// What runs beside them.
    pub services: Vec<Wanted>,
    /// How often one of them may be started again after it has died.
    pub restarts: u32,
    /// How long a time is in which services may not die too often, in ns.
    pub window: u64,
    /// Whether services are not ended when the programs have.
    pub stays: bool,
    /// Which service is ended, how often, and at which moments.
    pub kill: Option<Kill>,
}

/// A service that is ended at random moments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kill {
    /// Its name.
    pub name: String,
    /// How often.
    pub times: u32,
    /// What the moments come from.
    pub seed: u64,
}

impl Kill {
    /// Reads `NAME`, `TIMES`, `SEED`.
    fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<Self> {
        Some(Self {
            name: words.next()?.into(),
            times: words.next()?.parse().ok()?,
            seed: words.next()?.parse().ok()?,
        })
    }

    /// How long it is until the next time, in ns: up to 20 ms, at random. It is there that the
    /// service is started, at work, and asleep.
    pub fn pause(&mut self) -> u64 {
        // Never 0, which would stay.
        self.seed |= 1 << 63;
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed % 20_000_000
    }
}

/// What is wrong with what `init` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanError {
    /// The number of restarts is none.
    Restarts(String),
    /// The number of seconds is none.
    Window(String),
    /// A service to be ended is said in another way than `kill=NAME,TIMES,SEED`.
    Kill,
    /// A name is too long for the kernel.
    Name(String),
    /// The arguments of this program are too long for the kernel.
    Arguments(String),
    /// There are too many programs.
    TooMany,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restarts(found) => write!(f, "restarts={found} is no number"),
            Self::Window(found) => write!(f, "window={found} is no number"),
            Self::Kill => f.write_str("it must be kill=NAME,TIMES,SEED"),
            Self::Name(name) => write!(f, "the name '{name}' has more than {PATH_BYTES} bytes"),
            Self::Arguments(name) => {
                write!(
                    f,
                    "the arguments of {name} have more than {MESSAGE_BYTES} bytes"
                )
            }
            Self::TooMany => write!(f, "there are more than {MOST} programs"),
        }
    }
}

impl core::error::Error for PlanError {}

impl Plan {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, PlanError> {
        let mut plan = Self {
            programs: Vec::new(),
            services: Vec::new(),
            restarts: RESTARTS,
            window: WINDOW,
            stays: false,
            kill: None,
        };
        for item in text.split(';') {
            let is_between = |c: char| c == ',' || c.is_ascii_whitespace();
            let mut words = item.split(is_between).filter(|word| !word.is_empty());
            let Some(name) = words.next() else {
                continue;
            };
            if let Some(number) = name.strip_prefix("restarts=") {
                let parsed = number.parse();
                plan.restarts = parsed.map_err(|_| PlanError::Restarts(number.into()))?;
                continue;
            }
            if let Some(killed) = name.strip_prefix("kill=") {
                let kill = Kill::parse([killed].into_iter().chain(words));
                plan.kill = Some(kill.ok_or(PlanError::Kill)?);
                continue;
            }
            if name == "stay" {
                plan.stays = true;
                continue;
            }
            if let Some(name) = name.strip_prefix('-') {
                plan.services.retain(|service| service.name != name);
                continue;
            }
            let (name, is_service) = match name.strip_prefix('+') {
                Some(name) => (name, true),
                None => (name, false),
            };
            if let Some(seconds) = name.strip_prefix("window=") {
                let parsed = seconds.parse::<u32>();
                let seconds = parsed.map_err(|_| PlanError::Window(seconds.into()))?;
                plan.window = u64::from(seconds) * 1_000_000_000;
                continue;
            }
            if name.len() > PATH_BYTES {
                return Err(PlanError::Name(name.into()));
            }
            let arguments = words.collect::<Vec<_>>().join(" ");
            if arguments.len() > MESSAGE_BYTES {
                return Err(PlanError::Arguments(name.into()));
            }
            if plan.programs.len() + plan.services.len() == MOST {
                return Err(PlanError::TooMany);
            }
            let wanted = Wanted {
                name: name.into(),
                arguments,
            };
            if !is_service {
                plan.programs.push(wanted);
                continue;
            }
            let mut known = plan.services.iter_mut();
            match known.find(|service| service.name == name) {
                Some(service) => *service = wanted,
                None => plan.services.push(wanted),
            }
        }
        Ok(plan)
    }
}

/// What a program may do with relay's files: no more than it is for. All may look and write;
/// programs that nobody here knows get all rights but to start others.
#[must_use]
pub fn rights_of(name: &str) -> u32 {
    let few = rights::OBSERVE | rights::WRITE;
    match name {
        "hello" | "crash" | "spin" | "talk" | "nulls" | "remap" | "pingpong" => few,
        "readers" => few | rights::CONSUME | rights::MAP,
        // To ask for what is written so far is a matter of control, too.
        "tracectl" | "dmesg" => few | rights::CONTROL,
        "draind" | "hold" => few | rights::DRAIN,
        "logd" => few | rights::DRAIN | rights::MAP | rights::SYSLOG,
        // They do what must not harm anybody, with all that there is but what others wait for.
        "hostile" | "random" => rights::ALL & !rights::DRAIN & !rights::SYSLOG,
        _ => rights::ALL & !rights::SPAWN & !rights::DRAIN & !rights::SYSLOG,
    }
}

/// What is done when a program has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is started again.
    Again,
    /// That is all, and it ended well.
    Well,
    /// That is all, and it did not.
    Badly,
}

/// What is done when a program has ended like this and was started again so often before. One that
/// says how it ended is believed; one that a fault or somebody has ended is started again.
#[must_use]
pub fn next(ended: Ended, restarted: u32, limit: u32) -> Next {
    match ended {
        Ended::Exited(0) => Next::Well,
        Ended::Exited(_) => Next::Badly,
        Ended::Faulted(_) | Ended::Killed if restarted < limit => Next::Again,
        Ended::Faulted(_) | Ended::Killed | Ended::Not => Next::Badly,
    }
}

/// The most deaths of a service within a [window](Plan::window).
pub const DEATHS: usize = 20;

/// How long that is, unless it is said, in ns.
pub const WINDOW: u64 = 1_000_000_000;

/// When a service has died last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deaths(Vec<u64>);

impl Deaths {
    /// It has died now, at a time in ns; whether that is too often within a window.
    pub fn note(&mut self, now: u64, window: u64) -> bool {
        self.0.retain(|then| now.saturating_sub(*then) < window);
        self.0.push(now);
        self.0.len() > DEATHS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_told_from_programs() {
        let names = |all: &[Wanted]| -> Vec<_> {
            let text = |one: &Wanted| alloc::format!("{}({})", one.name, one.arguments);
            all.iter().map(text).collect()
        };
        let plan = Plan::parse("+draind;stay;+logd;hello,1;+draind,klog,user");
        let plan = plan.expect("it is good");
        assert_eq!(names(&plan.services), ["draind(klog user)", "logd()"]);
        assert_eq!(names(&plan.programs), ["hello(1)"]);
        assert!(plan.stays && plan.kill.is_none());
        let plan = Plan::parse("+draind;-draind;kill=draind,100,7").expect("it is good");
        assert!(plan.services.is_empty() && !plan.stays);
        let mut kill = plan.kill.expect("it is said");
        assert_eq!(
            (kill.name.as_str(), kill.times, kill.seed),
            ("draind", 100, 7)
        );
        assert_ne!(kill.pause(), kill.pause());
        for wrong in ["kill=draind", "kill=draind,x,7", "kill=draind,7"] {
            assert_eq!(Plan::parse(wrong), Err(PlanError::Kill));
        }
    }

    #[test]
    fn who_dies_too_often_within_a_second_is_given_up() {
        let mut deaths = Deaths::default();
        let step = WINDOW / DEATHS as u64;
        assert!((0..100).all(|death| !deaths.note(death * step, WINDOW)));
        let mut deaths = Deaths::default();
        let died: Vec<_> = (0..22).map(|death| deaths.note(death, WINDOW)).collect();
        assert_eq!(died.iter().position(|is_too_often| *is_too_often), Some(20));
    }

    fn names(plan: &Plan) -> Vec<(&str, &str)> {
        let programs = plan.programs.iter();
        programs
            .map(|one| (one.name.as_str(), one.arguments.as_str()))
            .collect()
    }

    #[test]
    fn programs_are_read_with_their_arguments() {
        let plan = Plan::parse("hello;readers,/flood,/klog; dmesg  20 ;;").expect("it is good");
        let wanted = [("hello", ""), ("readers", "/flood /klog"), ("dmesg", "20")];
        assert_eq!(names(&plan), wanted);
        assert_eq!(plan.restarts, RESTARTS);
        let plan = Plan::parse("restarts=0;crash,hlt").expect("it is good");
        assert_eq!(
            (names(&plan), plan.restarts),
            (alloc::vec![("crash", "hlt")], 0)
        );
        assert_eq!(Plan::parse("").map(|plan| plan.programs.len()), Ok(0));
    }

    #[test]
    fn what_the_kernel_would_refuse_is_refused() {
        let long = "x".repeat(MESSAGE_BYTES + 1);
        let error = |text: &str| Plan::parse(text).expect_err("it is wrong");
        assert_eq!(error(&long), PlanError::Name(long.clone()));
        let arguments = alloc::format!("hello {long}");
        assert_eq!(error(&arguments), PlanError::Arguments("hello".into()));
        assert_eq!(error("restarts=x"), PlanError::Restarts("x".into()));
        assert_eq!(error(&"hello;".repeat(MOST + 1)), PlanError::TooMany);
        assert!(Plan::parse(&"hello;".repeat(MOST)).is_ok());
    }

    #[test]
    fn who_dies_is_started_again_up_to_the_limit() {
        assert_eq!(next(Ended::Exited(0), 9, 0), Next::Well);
        assert_eq!(next(Ended::Exited(1), 0, 3), Next::Badly);
        for died in [Ended::Faulted(14), Ended::Killed] {
            assert_eq!(next(died, 2, 3), Next::Again);
            assert_eq!(next(died, 3, 3), Next::Badly);
        }
    }

    #[test]
    fn nobody_but_init_starts_programs_and_few_consume() {
        for name in ["hello", "readers", "tracectl", "another"] {
            assert_eq!(rights_of(name) & rights::SPAWN, 0, "{name}");
        }
        assert_eq!(rights_of("dmesg") & rights::CONSUME, 0);
        assert_ne!(rights_of("readers") & rights::CONSUME, 0);
    }
}
