//! `init`: starts the programs that it is told, watches them, starts those again that die, and keeps
//! the names of ports. Ends with code 0 when all have ended well, else 1.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;

use programs::plan::{Next, Plan, Wanted, next, rights_of};
use programs::table::Table;
use relay_abi::{Ended, Error, PollItem, ready, rights};
use relay_rt::files::{self, FILES, Files, Owned};
use relay_rt::names::Operation;
use relay_rt::port::{self, Bytes, Message, Port, Says};
use relay_rt::process::{NORMAL, Process};
use relay_rt::{relay, sys};

relay_rt::entry!(run);

/// A program, and how it goes.
struct Child {
    wanted: Wanted,
    /// It, as long as it runs.
    process: Option<Process>,
    /// How often it was started again.
    restarted: u32,
}

fn run(arguments: &'static str) -> u32 {
    let plan = match Plan::parse(arguments) {
        Ok(plan) => plan,
        Err(error) => {
            relay::error!("{}", error);
            return 2;
        }
    };
    let port = match Port::new() {
        Ok(port) => port,
        Err(error) => {
            relay::error!("there is no port for names: {}", error);
            return 1;
        }
    };
    let mut names = Table::new();
    let mut all_well = true;
    let mut children = Vec::new();
    for wanted in plan.programs {
        let process = start(&wanted, &port);
        all_well &= process.is_some();
        children.push(Child {
            wanted,
            process,
            restarted: 0,
        });
    }
    while children.iter().any(|child| child.process.is_some()) {
        if let Err(error) = wait(&port, &children) {
            relay::error!("init cannot wait for its programs: {}", error);
            return 1;
        }
        for child in &mut children {
            all_well &= look(child, plan.restarts, &port);
        }
        serve(&port, &mut names);
    }
    relay::info!("all programs have ended");
    u32::from(!all_well)
}

/// Starts a program, with the rights that it needs. What cannot be started is told.
fn start(wanted: &Wanted, port: &Port) -> Option<Process> {
    let name = wanted.name.as_str();
    let started = (|| {
        let pass = |handle, some| sys::duplicate(handle, some | rights::PASS).map(Owned::new);
        let files = pass(FILES, rights_of(name))?;
        let names = pass(port.handle(), rights::SEND)?;
        let handles = [files.handle(), names.handle()];
        Process::spawn(Files::given(), name, &wanted.arguments, &handles, NORMAL)
    })();
    match started {
        Ok(process) => Some(process),
        Err(error) => {
            relay::error!("{name} cannot be started: {}", error);
            None
        }
    }
}

/// Waits until somebody asks for a name, or a program has ended.
fn wait(port: &Port, children: &[Child]) -> Result<(), Error> {
    let item = |handle, wanted| PollItem {
        handle,
        wanted,
        found: 0,
    };
    let processes = children.iter().filter_map(|child| child.process.as_ref());
    let processes = processes.map(|process| item(process.handle(), ready::ENDED));
    let mut items: Vec<_> = [item(port.handle(), ready::READABLE)]
        .into_iter()
        .chain(processes)
        .collect();
    files::poll(&mut items, None).map(|_| ())
}

/// Looks whether a program has ended, and starts it again if it should be. False: that was its end,
/// and it was not good.
fn look(child: &mut Child, limit: u32, port: &Port) -> bool {
    let Some(process) = &child.process else {
        return true;
    };
    let ended = match process.status() {
        Ok(Ended::Not) => return true,
        Ok(ended) => ended,
        Err(error) => {
            relay::error!(
                "nothing is known of {}: {}",
                child.wanted.name.as_str(),
                error
            );
            Ended::Killed
        }
    };
    let name = child.wanted.name.as_str();
    match ended {
        Ended::Exited(code) => relay::info!("{name} has ended with code {code}"),
        Ended::Faulted(vector) => relay::warn!("{name} has died by fault {vector}"),
        Ended::Killed | Ended::Not => relay::warn!("{name} was killed"),
    }
    child.process = None;
    match next(ended, child.restarted, limit) {
        Next::Well => true,
        Next::Badly => false,
        Next::Again => {
            child.restarted += 1;
            let restarted = child.restarted;
            relay::info!("{name} is started again, {restarted} of {limit} times");
            child.process = start(&child.wanted, port);
            child.process.is_some()
        }
    }
}

/// Answers everybody who asks now.
fn serve(port: &Port, names: &mut Table<Port>) {
    let mut bytes = Bytes::new();
    while let Ok(mut message) = port.receive(&mut bytes, Some(core::time::Duration::ZERO)) {
        let Some(sender) = message.sender else {
            continue;
        };
        let says = match answer(&mut message, sender, bytes.get(), names) {
            Ok(pass) => Says {
                words: [0; 3],
                pass,
            },
            Err(error) => Says::words([error as u64, 0, 0]),
        };
        // Who asked may be gone.
        let _ = port::reply(says, &[]);
    }
}

/// What a message is answered with: a port's handle, perhaps.
fn answer(
    message: &mut Message,
    sender: u32,
    name: &[u8],
    names: &mut Table<Port>,
) -> Result<Option<u32>, Error> {
    match Operation::from_number(message.words[0]) {
        Some(Operation::Register) => {
            let handle = message.handle.take().ok_or(Error::BadHandle)?;
            // Who had a name and has died has it no more.
            names.retain(|port| port.notify(0) != Err(Error::Ended));
            names.register(name, sender, Port::of(handle))?;
            Ok(None)
        }
        Some(Operation::Lookup) => names.lookup(name).map(|port| Some(port.handle())),
        None => Err(Error::BadArgument),
    }
}
