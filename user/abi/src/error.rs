//! Why a system call did nothing.

use core::fmt;

macro_rules! errors {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $text:literal;)*) => {
        /// Why a system call did nothing: what it was asked for has not happened, nor a part of it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Error {
            $($(#[doc = $doc])+ $name = $number,)*
        }

        impl Error {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The error with this number.
            #[must_use]
            pub const fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// What it says.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

errors! {
    /// There is no such system call.
    NoSuchCall = 1, "there is no such system call";
    /// An argument is none of the values that the call takes.
    BadArgument = 2, "an argument is none of the values that the call takes";
    /// An address is not the program's, or not all bytes from there on are, or they cannot be
    /// written.
    BadAddress = 3, "the bytes at an address are not the program's, or it may not write them";
    /// The handle is not in the program's table.
    BadHandle = 4, "the handle is not in the program's table";
    /// The handle is of something else than what the call is for.
    WrongKind = 5, "the handle is of something that the call is not for";
    /// The handle lacks a right that the call needs.
    NoRight = 6, "the handle lacks a right that the call needs";
    /// There is nothing of this name or number.
    NotFound = 7, "there is nothing of this name or number";
    /// Somebody consumes the file already, or the handle is used otherwise.
    Busy = 8, "somebody else has it, or the handle is used in another way already";
    /// There is nothing now: ask again, or poll.
    Again = 9, "there is nothing now";
    /// The stream has ended and all was taken, or the other side of the port is gone.
    Ended = 10, "it has ended";
    /// The time is over.
    TimedOut = 11, "the time is over";
    /// The program may not have more of this, or the kernel has no more.
    NoRoom = 12, "there is no room for more";
    /// No packet of this number is held: it was given back, or never taken.
    NotHeld = 13, "no packet of this number is held";
    /// The packet of this number was not taken yet.
    NotYet = 14, "the packet of this number was not taken yet";
    /// Such a file cannot be mapped: its sub-buffers are smaller than a page.
    NotMappable = 15, "sub-buffers smaller than a page can be read, not mapped";
    /// The channel could not do it: it is closed, or its ring is, or what was written is too long
    /// or was lost.
    Refused = 16, "the channel refused: closed, full, or too long";
    /// It was the end of the program, which nobody sees.
    Killed = 17, "the program was ended";
}

impl Error {
    /// As it comes back in `rax`.
    #[must_use]
    pub const fn word(self) -> u64 {
        (-(self as i64)) as u64
    }

    /// What `rax` says: a count, or an error. An unknown number is [`Error::NoSuchCall`].
    ///
    /// # Errors
    /// What it says.
    pub const fn check(word: u64) -> Result<u64, Self> {
        match word as i64 {
            count @ 0.. => Ok(count as u64),
            error => match Self::from_number((-error) as u32) {
                Some(error) => Err(error),
                None => Err(Self::NoSuchCall),
            },
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Error {}
