//! `init`: starts the programs that it is told, watches them, starts those again that die, and keeps
//! the names of ports. Ends with code 0 when all have ended well, else 1.
//!
//! Services run beside them, and are started again as often as they die, at once: a service that dies
//! more than 20 times within a second is given up, which the operators are told. What it did is the
//! kernel's then, which goes on with whatever a dead program has left.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

extern crate alloc;

use alloc::vec::Vec;
use core::time::Duration;

use programs::plan::{Deaths, Kill, Next, Plan, Wanted, next, rights_of};
use programs::syslog::ASK;
use programs::table::Table;
use relay_abi::{Ended, Error, Notice, PollItem, ThreadOptions, ready, rights};
use relay_rt::files::{self, FILES, Files, Owned};
use relay_rt::names::Operation;
use relay_rt::port::{self, Bytes, Message, Port, Says};
use relay_rt::process::{NORMAL, Process};
use relay_rt::{relay, sys, time};

relay_rt::entry!(run);

/// A program, and how it goes.
struct Child {
    wanted: Wanted,
    /// It, as long as it runs.
    process: Option<Process>,
    /// How often it was started again.
    restarted: u32,
    /// What is known of its deaths, if it is a service.
    deaths: Option<Deaths>,
    /// It was ended here: that is no death of its own.
    is_killed: bool,
}

/// When what has died is not started again.
struct Rules {
    /// A program: how often it is.
    restarts: u32,
    /// A service: in which time, in ns, it may not die too often.
    window: u64,
}

/// How services are run: before most others, since these wait for nothing but room.
const SERVICE: ThreadOptions = ThreadOptions {
    priority: 10,
    cpus: 0,
};

/// How long a service may take to be there again when it is asked whether it is done, and how often it
/// is looked for, in nanoseconds.
const FINISH: Duration = Duration::from_secs(5);
const FINISH_LOOK: u64 = 10_000_000;

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
    let mut names: Table<Port> = Table::new();
    let mut all_well = true;
    let mut children = Vec::new();
    let services = plan.services.into_iter();
    let services = services.map(|wanted| (wanted, Some(Deaths::default())));
    let programs = plan.programs.into_iter().map(|wanted| (wanted, None));
    for (wanted, deaths) in services.chain(programs) {
        let process = start(&wanted, deaths.is_some(), &port);
        // The kernel does what a service does that is not there.
        all_well &= process.is_some() || deaths.is_some();
        children.push(Child {
            wanted,
            process,
            restarted: 0,
            deaths,
            is_killed: false,
        });
    }
    let rules = Rules {
        restarts: plan.restarts,
        window: plan.window,
    };
    let mut kills = plan.kill.filter(|kill| kill.times > 0);
    let mut is_over = false;
    while children.iter().any(|child| child.process.is_some()) {
        let is_at_work = |child: &Child| child.deaths.is_none() && child.process.is_some();
        // A service that was just ended here is started again first.
        let is_killed = children.iter().any(|child| child.is_killed);
        let is_done = kills.is_none() && !is_killed && !children.iter().any(is_at_work);
        if !is_over && !plan.stays && is_done {
            is_over = true;
            relay::info!("all programs have ended");
            for child in &children {
                finish(child, &port, &mut names);
            }
            children.iter().for_each(end);
        }
        let pause = kills.as_mut().map(Kill::pause);
        if let Err(error) = wait(&port, &children, pause) {
            relay::error!("init cannot wait for its programs: {}", error);
            return 1;
        }
        for child in &mut children {
            all_well &= look(child, &rules, is_over, &port);
        }
        if let Some(kill) = &mut kills
            && kill_once(kill, &mut children)
        {
            kills = None;
        }
        serve(&port, &mut names);
    }
    if !is_over {
        relay::info!("all programs have ended");
    }
    u32::from(!all_well)
}

/// Waits until a service has done what there was to do, if it is one that can be asked: it has
/// registered a port under its name, perhaps before it died and was started again.
fn finish(child: &Child, port: &Port, names: &mut Table<Port>) {
    let name = child.wanted.name.as_bytes();
    let until = time::now() + FINISH;
    while child.process.is_some()
        && let Ok(service) = names.lookup(name)
        && service
            .call(Says::words([ASK, 0, 0]), &mut Bytes::new())
            .is_err()
        && time::now() < until
        && wait(port, &[], Some(FINISH_LOOK)).is_ok()
    {
        serve(port, names);
    }
}

/// Ends a service, whose work is done.
fn end(child: &Child) {
    if let Some(process) = &child.process {
        // It may have ended by itself.
        let _ = process.kill();
    }
}

/// Ends the service once more, if it runs; whether that was the last time, or it will never run
/// again.
fn kill_once(kill: &mut Kill, children: &mut [Child]) -> bool {
    let mut all = children.iter_mut();
    let Some(child) = all.find(|child| child.wanted.name == kill.name && child.process.is_some())
    else {
        return true;
    };
    child.is_killed = true;
    end(child);
    kill.times -= 1;
    kill.times == 0
}

/// Starts a program, with the rights that it needs. What cannot be started is told.
fn start(wanted: &Wanted, is_service: bool, port: &Port) -> Option<Process> {
    let name = wanted.name.as_str();
    let started = (|| {
        let pass = |handle, some| sys::duplicate(handle, some | rights::PASS).map(Owned::new);
        let files = pass(FILES, rights_of(name))?;
        let names = pass(port.handle(), rights::SEND)?;
        let handles = [files.handle(), names.handle()];
        let options = if is_service { SERVICE } else { NORMAL };
        Process::spawn(Files::given(), name, &wanted.arguments, &handles, options)
    })();
    match started {
        Ok(process) => Some(process),
        Err(error) => {
            relay::error!("{name} cannot be started: {}", error);
            None
        }
    }
}

/// Waits until somebody asks for a name, or a program has ended, or so many ns.
fn wait(port: &Port, children: &[Child], most: Option<u64>) -> Result<(), Error> {
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
    files::poll(&mut items, most.map(Duration::from_nanos)).map(|_| ())
}

/// Looks whether a program has ended, and starts it again if it should be. False: that was its end,
/// and it was not good.
fn look(child: &mut Child, rules: &Rules, is_over: bool, port: &Port) -> bool {
    let limit = rules.restarts;
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
    if child.deaths.is_some() {
        return look_after_service(child, ended, rules, is_over, port);
    }
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
            child.process = start(&child.wanted, false, port);
            child.process.is_some()
        }
    }
}

/// A service has ended: unless it is over, or has said itself that it has nothing to do, it is started
/// again at once. False: it dies too often, and is given up.
fn look_after_service(
    child: &mut Child,
    ended: Ended,
    rules: &Rules,
    is_over: bool,
    port: &Port,
) -> bool {
    child.process = None;
    let name = child.wanted.name.as_str();
    if ended == Ended::Exited(0) {
        relay::info!("{name} has ended: there is nothing to do for it");
        return true;
    }
    if is_over {
        return true;
    }
    let was_killed = core::mem::take(&mut child.is_killed);
    let is_too_often = !was_killed
        && child
            .deaths
            .as_mut()
            .is_some_and(|deaths| deaths.note(sys::time(), rules.window));
    // What cannot be told is no reason to stop.
    let report = |what, times: u32| _ = Files::given().report(what, times.into(), name);
    if is_too_often {
        report(Notice::GivenUp, child.restarted);
        relay::error!("{name} dies too often: it is given up");
        return false;
    }
    // First of all: what it does is waited for.
    child.process = start(&child.wanted, true, port);
    child.restarted += 1;
    report(Notice::Restarted, child.restarted);
    child.process.is_some()
}

/// Answers everybody who asks now.
fn serve(port: &Port, names: &mut Table<Port>) {
    let mut bytes = Bytes::new();
    while let Ok(mut message) = port.receive(&mut bytes, Some(Duration::ZERO)) {
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
