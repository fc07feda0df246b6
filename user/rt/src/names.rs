//! Ports that are found by a name: `init` keeps them.
//!
//! A program that serves others registers a port under a name; those ask for it. A name is up to 32
//! bytes of text. The message to `init` has the [operation](Operation) in its first word and the
//! name in its bytes; the answer has an [`Error`]'s number in its first word, or 0.

use relay_abi::{Error, Handle, rights};

use crate::files::Owned;
use crate::port::{self, Bytes, Port, Says};
use crate::sys;

/// The handle of `init`'s port, which `init` gives to what it starts.
pub const INIT: Handle = 1;

/// The longest name, in bytes.
pub const NAME_BYTES: usize = 32;

/// What `init` is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Operation {
    /// The port that comes with the message has this name from now on.
    Register = 1,
    /// The port of this name is wanted.
    Lookup = 2,
}

impl Operation {
    /// What this number means.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        match number {
            1 => Some(Self::Register),
            2 => Some(Self::Lookup),
            _ => None,
        }
    }
}

/// Registers a port under a name.
///
/// # Errors
/// The kernel's, or `init`'s: `Busy` if another program has the name.
pub fn register(name: &str, port: &Port) -> Result<(), Error> {
    // Who finds the port may send, and no more.
    let sends = sys::duplicate(port.handle(), rights::SEND | rights::PASS).map(Owned::new)?;
    let says = Says {
        words: [Operation::Register as u64, 0, 0],
        pass: Some(sends.handle()),
    };
    ask(says, name).map(|_| ())
}

/// The port of this name.
///
/// # Errors
/// The kernel's, or `init`'s: `NotFound` if there is none yet.
pub fn lookup(name: &str) -> Result<Port, Error> {
    let handle = ask(Says::words([Operation::Lookup as u64, 0, 0]), name)?;
    handle.ok_or(Error::NotFound)
}

/// Asks `init`, and returns the port that it answers with.
fn ask(says: Says, name: &str) -> Result<Option<Port>, Error> {
    let mut bytes = Bytes::of(name.as_bytes());
    let answer = port::call(INIT, says, &mut bytes)?;
    match answer.words[0] {
        0 => Ok(answer.handle.map(Port::of)),
        number => Err(Error::from_number(number as u32).unwrap_or(Error::NoSuchCall)),
    }
}
