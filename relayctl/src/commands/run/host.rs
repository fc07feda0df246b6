//! What takes the guest's packets on the host.

use std::io;

use relay_decode::capture::Capture;
use relay_machine::control::Wire;
use relay_machine::guest::Wires;
use relay_machine::port_files::PortFiles;
use relay_machine::ports::{MAX_PORTS, Ports};
use relay_machine::syslog::Intake;

use super::args::{RunArgs, Transport};

/// What takes them.
pub(super) enum Host {
    /// Sockets, which are read while the guest runs.
    Sockets(Ports),
    /// Files, which are read in the end.
    Files(PortFiles),
    /// Nothing but COM1.
    Nothing,
}

impl Host {
    /// What `args` asks for; `capture` gets the packets, over `wire` the guest is asked, and
    /// `intake` gets what it says to syslog, where it has a port for that.
    pub(super) fn new(
        args: &RunArgs,
        capture: &Capture,
        wire: Option<Wire>,
        intake: Option<Intake>,
    ) -> io::Result<Self> {
        let count = args.smp.min(MAX_PORTS);
        Ok(match args.transport {
            Transport::Virtio => Self::Sockets(Ports::listen(capture, count, wire, intake)?),
            Transport::File => Self::Files(PortFiles::create(capture, count)?),
            Transport::Serial => Self::Sockets(Ports::listen_to_line(capture, wire)?),
            Transport::None => Self::Nothing,
        })
    }

    /// What the guest has to have.
    pub(super) fn wires(&self) -> Wires {
        match self {
            Self::Sockets(ports) => ports.wires().clone(),
            Self::Files(files) => files.wires(),
            Self::Nothing => Wires::None,
        }
    }

    /// Waits until the capture has everything. When the guest has ended.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Self::Sockets(ports) => ports.finish(),
            Self::Files(files) => files.finish()?,
            Self::Nothing => {}
        }
        Ok(())
    }
}
