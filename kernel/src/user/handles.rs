//! The handles of a program: what it may use, by number.
//!
//! A handle is a place in the program's table. Each use looks the number up, and asks for the rights
//! that it needs: so a number that the program makes up is of what it has anyway, or of nothing.

use alloc::sync::Arc;
use alloc::vec::Vec;

use relay_abi::{Error, Handle, NO_HANDLE};

use super::file::open::OpenFile;
use super::port::{Port, PortEnd};
use super::process::Process;
use super::syslog::Syslog;
use crate::cpu::lock::IrqMutex;

/// The most handles that a program has at a time.
pub(super) const MOST: usize = 128;

/// What a handle is of.
#[derive(Debug, Clone)]
pub(super) enum Object {
    /// The files of relay: their names, and what is done with all of them.
    Files,
    /// One of them, open.
    File(Arc<OpenFile>),
    /// A port.
    Port(PortEnd),
    /// A program.
    Process(Arc<Process>),
    /// The way to syslog.
    Syslog(Arc<Syslog>),
}

/// A handle, as the table has it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) object: Object,
    pub(super) rights: u32,
}

impl Entry {
    /// The same with these rights at most.
    pub(super) fn with_rights(&self, rights: u32) -> Self {
        Self {
            object: self.object.with_rights(rights & self.rights),
            rights: self.rights & rights,
        }
    }
}

impl Object {
    /// The same, for a handle with these rights: who may not receive at a port does not keep it open.
    fn with_rights(&self, rights: u32) -> Self {
        match self {
            Self::Port(port) => Self::Port(port.with_rights(rights)),
            other => other.clone(),
        }
    }
}

/// A program's table.
#[derive(Debug)]
pub(super) struct Handles(IrqMutex<Vec<Option<Entry>>>);

impl Handles {
    /// A table that begins with these, from handle 0 on.
    pub(super) fn new(first: Vec<Option<Entry>>) -> Self {
        Self(IrqMutex::new(first))
    }

    /// What `look` finds in the entry, if that has these rights. Its kind comes first. Task context.
    ///
    /// # Errors
    /// [`Error::BadHandle`], [`Error::NoRight`]; [`Error::WrongKind`]: it finds nothing.
    fn find<T>(
        &self,
        handle: u64,
        rights: u32,
        look: impl FnOnce(&Object) -> Option<&T>,
    ) -> Result<T, Error>
    where
        T: Clone,
    {
        let place = usize::try_from(handle).map_err(|_| Error::BadHandle)?;
        let table = self.0.lock_quiet();
        let entry = table.get(place).and_then(Option::as_ref);
        let entry = entry.ok_or(Error::BadHandle)?;
        let found = look(&entry.object).ok_or(Error::WrongKind)?;
        match entry.rights & rights == rights {
            true => Ok(found.clone()),
            false => Err(Error::NoRight),
        }
    }

    /// The entry. Task context.
    ///
    /// # Errors
    /// [`Error::BadHandle`].
    pub(super) fn get(&self, handle: Handle) -> Result<Entry, Error> {
        let table = self.0.lock();
        let entry = table.get(handle as usize).and_then(Option::as_ref);
        entry.cloned().ok_or(Error::BadHandle)
    }

    /// That it is of the files, with these rights. Task context.
    ///
    /// # Errors
    /// [`Error::BadHandle`], [`Error::NoRight`], [`Error::WrongKind`].
    pub(super) fn files(&self, handle: u64, rights: u32) -> Result<(), Error> {
        self.find(handle, rights, |object| match object {
            Object::Files => Some(&()),
            _ => None,
        })
    }

    /// The open file. Task context.
    ///
    /// # Errors
    /// As [`files`](Self::files).
    pub(super) fn file(&self, handle: u64, rights: u32) -> Result<Arc<OpenFile>, Error> {
        self.find(handle, rights, |object| match object {
            Object::File(file) => Some(file),
            _ => None,
        })
    }

    /// The port. Task context.
    ///
    /// # Errors
    /// As [`files`](Self::files).
    pub(super) fn port(&self, handle: u64, rights: u32) -> Result<Arc<Port>, Error> {
        self.find(handle, rights, |object| match object {
            Object::Port(end) => Some(end.port()),
            _ => None,
        })
    }

    /// The program. Task context.
    ///
    /// # Errors
    /// As [`files`](Self::files).
    pub(super) fn process(&self, handle: u64, rights: u32) -> Result<Arc<Process>, Error> {
        self.find(handle, rights, |object| match object {
            Object::Process(process) => Some(process),
            _ => None,
        })
    }

    /// The way to syslog. Task context.
    ///
    /// # Errors
    /// As [`files`](Self::files).
    pub(super) fn syslog(&self, handle: u64, rights: u32) -> Result<Arc<Syslog>, Error> {
        self.find(handle, rights, |object| match object {
            Object::Syslog(syslog) => Some(syslog),
            _ => None,
        })
    }

    /// Puts an entry into the first free place. Task context.
    ///
    /// # Errors
    /// [`Error::NoRoom`]; the entry is dropped.
    pub(super) fn add(&self, entry: Entry) -> Result<Handle, Error> {
        let mut table = self.0.lock();
        let place = match table.iter().position(Option::is_none) {
            Some(place) => place,
            None if table.len() < MOST => {
                table.push(None);
                table.len() - 1
            }
            None => {
                drop(table);
                return Err(Error::NoRoom);
            }
        };
        table[place] = Some(entry);
        Ok(place as Handle)
    }

    /// As [`add`](Self::add), for what may be none: that has no handle, and what finds no room has
    /// none either.
    pub(super) fn add_passed(&self, entry: Option<Entry>) -> Handle {
        entry.map_or(NO_HANDLE, |entry| self.add(entry).unwrap_or(NO_HANDLE))
    }

    /// Takes an entry out. Task context; the entry is dropped behind the lock.
    ///
    /// # Errors
    /// [`Error::BadHandle`].
    pub(super) fn close(&self, handle: u64) -> Result<(), Error> {
        let place = usize::try_from(handle).map_err(|_| Error::BadHandle)?;
        let gone = self.0.lock().get_mut(place).and_then(Option::take);
        gone.map(drop).ok_or(Error::BadHandle)
    }

    /// Takes all of them out. Task context.
    pub(super) fn close_all(&self) {
        let gone = core::mem::take(&mut *self.0.lock());
        drop(gone);
    }
}
