//! Which way packets leave this machine: virtio ports, a serial port, or none. Decided once, before
//! the rings are made, since a slow line wants small packets.
//!
//! | there is | and asked for | then |
//! |---|---|---|
//! | a virtio-console | nothing | its ports carry everything |
//! | no virtio-console, a COM2 | nothing | COM2 carries everything |
//! | COM1 only | nothing | COM1 carries the log as text; nobody reads the rest |
//! | a COM2, or COM1 only | `serial=` or `line=` | that port carries what was chosen; on COM1 instead of the text |
//! | | `serial=off` | no serial port carries packets |
//! | a virtio-console that cannot be used, a COM2 | nothing | COM2, and the machine ends as failed |

use relay::event::Severity;

use super::{line, virtio};
use crate::base::carried::Carried;
use crate::base::cmdline::Options;
use crate::base::settings::{LINE, SERIAL};
use crate::base::shortfall;
use crate::dev::serial::Com;
use crate::dev::virtio::console as vcon;
use crate::logs::operator::LineFault;
use crate::logs::{evlog, switches};

/// The levels that a channel may be carried at, from the most severe on.
const LEVELS: [Severity; 5] = [
    Severity::Error,
    Severity::Warn,
    Severity::Info,
    Severity::Debug,
    Severity::Trace,
];

/// What was decided.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ways {
    /// The serial port that carries packets.
    line: Option<Com>,
    /// What carries them if the first choice fails.
    other: Option<Com>,
    /// What it carries.
    carried: Carried,
}

/// What the command line asks for.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    serial: Option<Carried>,
    line: Option<Com>,
}

/// Decides, and says so. Task context on the boot CPU, before the console is started.
pub(crate) fn choose(options: &Options<'_>) -> Ways {
    let asked = Asked {
        serial: options.given(&SERIAL).map(Carried::from_number),
        line: options
            .given(&LINE)
            .and_then(|place| Com::ALL.get(place as usize).copied()),
    };
    let ways = decide(asked, vcon::is_there(), Com::is_there);
    let is_asked = asked.serial.is_some() || asked.line.is_some();
    if is_asked && asked.serial != Some(Carried::NONE) && ways.line.is_none() {
        match asked.line {
            Some(com) => {
                relay::error!("{} does not answer, so that it carries nothing", com.name());
                evlog::emit(|| LineFault {
                    port: com.name(),
                    why: "it does not answer",
                });
            }
            None => {
                relay::error!("no serial port answers that could carry packets");
                evlog::emit(|| LineFault {
                    port: "serial",
                    why: "no port answers",
                });
            }
        }
        shortfall::note();
    }
    if let Some(level) = ways.carried.level("klog") {
        switches::limit(LEVELS.get(level).copied().unwrap_or(Severity::Trace));
    }
    ways
}

/// Decides.
fn decide(asked: Asked, has_device: bool, is_there: impl Fn(Com) -> bool) -> Ways {
    let none = Ways {
        line: None,
        other: None,
        carried: Carried::ALL,
    };
    let is_asked = asked.serial.is_some() || asked.line.is_some();
    if asked.serial == Some(Carried::NONE) {
        return none;
    }
    let free = [Com::Com2].into_iter().find(|com| is_there(*com));
    let found = match asked.line {
        Some(com) => Some(com).filter(|com| is_there(*com)),
        None if is_asked => free.or(Some(Com::Com1).filter(|com| is_there(*com))),
        None => free,
    };
    if has_device && !is_asked {
        return Ways {
            other: found,
            ..none
        };
    }
    Ways {
        line: found,
        other: None,
        // Ports carry everything.
        carried: match (found, asked.serial) {
            (Some(_), Some(carried)) => carried,
            _ => Carried::ALL,
        },
    }
}

impl Ways {
    /// Whether packets should be small.
    pub(crate) fn is_slow(&self) -> bool {
        self.line.is_some()
    }

    /// Which channels leave the machine.
    pub(crate) fn carried(&self) -> Carried {
        self.carried
    }

    /// Whether COM1 is free for text.
    pub(crate) fn has_console(&self) -> bool {
        self.line != Some(Com::Com1)
    }

    /// Takes the way, after the streams of `cpus` CPUs were started. Ports are opened by
    /// [`virtio::join`]. Task context on the boot CPU.
    pub(crate) fn take(&self, cpus: usize) {
        match self.line {
            Some(com) => {
                relay::info!(
                    "{} carries packets, in frames: {}",
                    com.name(),
                    self.carried
                );
                line::init(com, cpus);
            }
            None if virtio::init(cpus) => {}
            None => match self.other {
                Some(com) => {
                    relay::warn!("{} carries packets instead, in frames", com.name());
                    line::init(com, cpus);
                }
                None => relay::info!(
                    "nothing carries packets: the log goes to COM1 as text, and nobody reads the \
                     rest; serial=all would have a serial port carry them"
                ),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is decided on a machine with these serial ports.
    fn decided(asked: Asked, has_device: bool, ports: &[Com]) -> (Option<Com>, Option<Com>, bool) {
        let ways = decide(asked, has_device, |com| ports.contains(&com));
        assert_eq!(ways.is_slow(), ways.line.is_some());
        (ways.line, ways.other, ways.has_console())
    }

    #[test]
    fn packets_go_over_what_is_there() {
        use Com::{Com1, Com2, Com3};
        let nothing = Asked::default();
        let both = [Com1, Com2];
        assert_eq!(decided(nothing, true, &both), (None, Some(Com2), true));
        assert_eq!(decided(nothing, true, &[Com1]), (None, None, true));
        assert_eq!(decided(nothing, false, &both), (Some(Com2), None, true));
        assert_eq!(decided(nothing, false, &[Com1]), (None, None, true));
        assert_eq!(decided(nothing, false, &[]), (None, None, true));

        let all = Asked {
            serial: Some(Carried::ALL),
            line: None,
        };
        assert_eq!(decided(all, true, &both), (Some(Com2), None, true));
        assert_eq!(decided(all, false, &[Com1]), (Some(Com1), None, false));
        assert_eq!(decided(all, false, &[]), (None, None, true));

        let third = Asked {
            serial: None,
            line: Some(Com3),
        };
        assert_eq!(decided(third, true, &both), (None, None, true));
        assert_eq!(
            decided(third, true, &[Com1, Com3]),
            (Some(Com3), None, true)
        );

        let off = Asked {
            serial: Some(Carried::NONE),
            line: Some(Com2),
        };
        assert_eq!(decided(off, false, &both), (None, None, true));
    }

    #[test]
    fn what_was_chosen_is_carried_by_a_line_and_by_nothing_else() {
        let carried = Carried::read("klog@warn").expect("it is right");
        let asked = Asked {
            serial: Some(carried),
            line: None,
        };
        let ways = decide(asked, true, |com| com == Com::Com2);
        assert_eq!(ways.carried(), carried);
        let ways = decide(asked, true, |_| false);
        assert_eq!((ways.line, ways.carried()), (None, Carried::ALL));
    }
}
