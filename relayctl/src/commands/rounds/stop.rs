//! Whether the user wants it to end.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::signals;

/// Set by the first signal.
#[derive(Clone, Debug)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on signals ask to stop.
    ///
    /// # Errors
    ///
    /// When they cannot be listened for.
    pub(crate) fn on_signal() -> io::Result<Self> {
        let stop = Self(Arc::default());
        let asked = Arc::clone(&stop.0);
        signals::on_end(move || asked.store(true, Ordering::Relaxed))?;
        Ok(stop)
    }

    /// Whether one came.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
