//! The names that `init` keeps: who has registered which, and what stands for its port.

use alloc::string::String;
use alloc::vec::Vec;

use relay_abi::Error;
use relay_rt::names::NAME_BYTES;

/// The most names.
const MOST: usize = 32;

/// A table of names: `T` is what stands for a port.
#[derive(Debug)]
pub struct Table<T> {
    entries: Vec<Entry<T>>,
}

#[derive(Debug)]
struct Entry<T> {
    name: String,
    owner: u32,
    port: T,
}

impl<T> Table<T> {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// Process `owner` has a port under this name from now on. If it had the name, the new port takes
    /// the place of the old one.
    ///
    /// # Errors
    /// `BadArgument`: it is no name. `Busy`: another process has it. `NoRoom`: there are too many.
    pub fn register(&mut self, name: &[u8], owner: u32, port: T) -> Result<(), Error> {
        let name = core::str::from_utf8(name).map_err(|_| Error::BadArgument)?;
        if name.is_empty() || name.len() > NAME_BYTES {
            return Err(Error::BadArgument);
        }
        let is_full = self.entries.len() >= MOST;
        match self.entries.iter_mut().find(|entry| entry.name == name) {
            Some(entry) if entry.owner == owner => entry.port = port,
            Some(_) => return Err(Error::Busy),
            None if is_full => return Err(Error::NoRoom),
            None => self.entries.push(Entry {
                name: name.into(),
                owner,
                port,
            }),
        }
        Ok(())
    }

    /// The port of this name.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn lookup(&self, name: &[u8]) -> Result<&T, Error> {
        let mut entries = self.entries.iter();
        let found = entries.find(|entry| entry.name.as_bytes() == name);
        found.map(|entry| &entry.port).ok_or(Error::NotFound)
    }

    /// Forgets the names whose ports are gone.
    pub fn retain(&mut self, mut is_there: impl FnMut(&T) -> bool) {
        self.entries.retain(|entry| is_there(&entry.port));
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_belong_to_who_came_first() {
        let mut table = Table::new();
        assert_eq!(table.lookup(b"log"), Err(Error::NotFound));
        assert_eq!(table.register(b"log", 5, 'a'), Ok(()));
        assert_eq!(table.register(b"log", 6, 'b'), Err(Error::Busy));
        assert_eq!(table.lookup(b"log"), Ok(&'a'));
        assert_eq!(table.register(b"log", 5, 'c'), Ok(()));
        assert_eq!(table.lookup(b"log"), Ok(&'c'));
        table.retain(|port| *port != 'c');
        assert_eq!(table.register(b"log", 6, 'b'), Ok(()));
    }

    #[test]
    fn what_is_no_name_and_what_is_too_much_is_refused() {
        let mut table = Table::new();
        for name in [&b""[..], &[b'x'; NAME_BYTES + 1], &[0xff]] {
            assert_eq!(table.register(name, 1, ()), Err(Error::BadArgument));
        }
        for i in 0..MOST as u8 {
            let name = [b'a' + i / 26, b'a' + i % 26];
            assert_eq!(table.register(&name, 1, ()), Ok(()));
        }
        assert_eq!(table.register(b"more", 1, ()), Err(Error::NoRoom));
    }
}
