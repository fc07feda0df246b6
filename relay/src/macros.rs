//! The macros that make statements and events; `relay_macros` does the work.

/// Logs a statement of severity [`Emerg`](crate::event::Severity::Emerg): see [`info!`](crate::info).
#[macro_export]
macro_rules! emerg {
    ($($tokens:tt)*) => { $crate::__private::statement!([$crate] Emerg $($tokens)*) };
}

/// Logs a statement of severity [`Alert`](crate::event::Severity::Alert): see [`info!`](crate::info).
#[macro_export]
macro_rules! alert {
    ($($tokens:tt)*) => { $crate::__private::statement!([$crate] Alert $($tokens)*) };
}

/// Logs a statement of severity [`Crit`](crate::event::Severity::Crit): see [`info!`](crate::info).
#[macro_export]
macro_rules! crit {
    ($($tokens:tt)*) => { $crate::__private::statement!([$crate] Crit $($tokens)*) };
}

/// Logs a statement of severity [`Error`](crate::event::Severity::Error): see [`info!`](crate::info).
#[macro_export]
macro_rules! error {
    ($($tokens:tt)*) => { $crate::__private::statement!([$crate] Error $($tokens)*) };
}

/// Logs a statement of severity [`Warn`](crate::event::Severity::Warn): see [`info!`](crate::info).
#[macro_export]
macro_rules! warn {
    ($($tokens:tt)*) => { $crate::__private::statement!([$crate] Warn $($tokens)*) };
}

/// Logs a statement of severity [`Notice`](crate::event::Severity::Notice): see
/// [`info!`](crate::info).
#[macro_export]
macro_rules! notice {
    ($($tokens:tt)*) => { $crate::__private::statement!([$crate] Notice $($tokens)*) };
}

/// Logs a statement of severity [`Info`](crate::event::Severity::Info), to the
/// [sink](crate::sink) of the program.
///
/// It takes what `println!` takes, and the compiler checks it as it does there. But nothing is
/// printed here: the record has the arguments as they are, the metadata has the text, and who reads
/// the record puts both together ([`relay_text`](https://docs.rs/relayfs-text)). Numbers, `bool`,
/// `char`, texts and pointers are stored so; what has a `Display` or `Debug` of its own, a type
/// parameter too, is formatted where it stands.
///
/// The arguments are evaluated only if the statement is on: see [`filter`](crate::event::filter).
/// Any context. Takes no lock, never waits, never allocates, unless an argument does; what is lost
/// is counted by the sink. Of a record that is too long, the texts are cut, which say so.
///
/// ```
/// # use relay::host::{Cpu, Host};
/// # use relay::record::Framed;
/// # use relay::{Channel, Geometry, Storage};
/// # static LOG: Channel<Host, 8> = Channel::new(Host, &Framed);
/// # relay::sink!(LOG);
/// # let cpu = Cpu::claim();
/// # let geometry = Geometry::new(1024, 4)?;
/// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
/// let (task, cpus) = (7, [1, 2]);
/// relay::info!("task {task:>4} may run on {:?}, {} of 8", cpus, cpus.len());
/// # LOG.flush();
/// # assert_eq!(LOG.stats(cpu.number()).unwrap().records, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! info {
    ($($tokens:tt)*) => { $crate::__private::statement!([$crate] Info $($tokens)*) };
}

/// Logs a statement of severity [`Debug`](crate::event::Severity::Debug), off at first: see
/// [`info!`](crate::info).
#[macro_export]
macro_rules! debug {
    ($($tokens:tt)*) => { $crate::__private::statement!([$crate] Debug $($tokens)*) };
}

/// Logs a statement of severity [`Trace`](crate::event::Severity::Trace), off at first: see
/// [`info!`](crate::info).
#[macro_export]
macro_rules! trace {
    ($($tokens:tt)*) => { $crate::__private::statement!([$crate] Trace $($tokens)*) };
}

/// Declares structs that are [events](crate::event::Event).
///
/// ```
/// use relay::event::Event;
///
/// #[derive(Clone, Copy, relay::Enum)]
/// enum State { Runs, Waits }
///
/// relay::event! {
///     /// A CPU goes on with another task.
///     #[event(channel = "sched", facility = "sched", text = "from {from} ({state}) to {to}")]
///     #[derive(Debug)]
///     pub struct TaskSwitched<'a> {
///         /// The one that ran.
///         pub from: u32,
///         pub state: State,
///         pub to: u32,
///         #[hex]
///         pub stack: u64,
///         #[flags(KERNEL = 1, BOUND = 2)]
///         pub flags: u8,
///         pub name: &'a str,
///     }
///
///     /// A CPU has nothing to do.
///     #[event(channel = "sched", severity = Debug, enabled = false)]
///     pub struct Idle;
/// }
/// # impl std::fmt::Debug for State {
/// #     fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) }
/// # }
///
/// assert_eq!(TaskSwitched::CLASS.name, "task_switched");
/// assert_eq!(TaskSwitched::CLASS.fields.len(), 6);
/// assert!(TaskSwitched::is_enabled() && !Idle::is_enabled());
/// ```
///
/// A field's type is one that has a [`Value`](crate::event::Value); the struct may have lifetimes.
/// `#[event(..)]` says:
///
/// | what | | |
/// |---|---|---|
/// | `channel = "sched"` | the channel that it is for | needed |
/// | `name = "task_woken"` | its name | that of the struct |
/// | `severity = Info` | a [`Severity`](crate::event::Severity) | `Info` |
/// | `facility = "sched"` | the part of the system that it is about | none |
/// | `text = "woke {task}"` | its sentence, with its fields as placeholders | none |
/// | `enabled = false` | whether it is on at first | `true` |
/// | `id = 7` | an id, 1 to 15, given by hand: it is not collected, and the channel's [`StreamClass`](crate::event::StreamClass) lists it | the linker's |
/// | `type = 7` | of an event of [`evlog`](crate::clients::evlog), which needs a facility: its type there | a checksum |
///
/// `#[hex]` before a field shows a number in base 16, `#[flags(READ = 1, WRITE = 2)]` gives its bits
/// names. Two events of one channel with the same name do not compile, or do not link;
/// nor do two of one facility of evlog with the same type.
#[macro_export]
macro_rules! event {
    ($($tokens:tt)*) => { $crate::__private::event!([$crate] $($tokens)*); };
}
