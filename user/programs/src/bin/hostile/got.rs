//! What calls have got.

use alloc::string::{String, ToString};
use core::fmt;

use programs::raw;
use relay_abi::{Call, Ended, Error, PollItem, ready};
use relay_rt::files;
use relay_rt::process::Process;

/// Which results there were: no error, and errors, each once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Got(u32);

impl Got {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self(0)
    }

    /// One more.
    pub(crate) fn add<T>(&mut self, result: Result<T, Error>) {
        self.0 |= match result {
            Ok(_) => 1,
            Err(error) => 1 << error as u32,
        };
    }

    /// Makes a call, and adds what it got.
    pub(crate) fn call(&mut self, call: Call, arguments: [u64; 6]) {
        self.add(raw::count(call as u64, arguments));
    }

    /// As a text.
    pub(crate) fn text(self) -> String {
        self.to_string()
    }

    /// What may come of it, if nothing else has: what comes of a race is not always the same.
    pub(crate) fn within(self, allowed: &[Error]) -> String {
        let mut all = Self(1);
        allowed
            .iter()
            .for_each(|error| all.add(Err::<(), _>(*error)));
        match self.0 & !all.0 {
            0 => all.text(),
            others => "unexpected: ".to_string() + &Self(others).text(),
        }
    }
}

impl fmt::Display for Got {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = "";
        if self.0 & 1 != 0 {
            f.write_str("done")?;
            before = ", ";
        }
        for error in Error::ALL
            .iter()
            .filter(|error| self.0 >> **error as u32 & 1 != 0)
        {
            write!(f, "{before}{error:?}")?;
            before = ", ";
        }
        Ok(())
    }
}

/// Waits for the end of a process, and says how it ended.
pub(crate) fn ended(process: &Process) -> Result<String, Error> {
    let mut items = [PollItem {
        handle: process.handle(),
        wanted: ready::ENDED,
        found: 0,
    }];
    files::poll(&mut items, None)?;
    Ok(match process.status()? {
        Ended::Not => "goes on".to_string(),
        Ended::Exited(code) => alloc::format!("exited {code}"),
        Ended::Faulted(vector) => alloc::format!("fault {vector}"),
        Ended::Killed => "killed".to_string(),
    })
}
