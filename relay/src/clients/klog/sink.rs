//! A channel as the sink of statements.

use super::class::Place;
use super::write::write;
use crate::channel::Channel;
use crate::event::{Sink, Site};
use crate::platform::Platform;
use crate::sync::Usage;
use core::fmt;

impl<P: Platform, const CPUS: usize, U: Usage> Sink for Channel<P, CPUS, U> {
    #[inline(always)]
    fn put(&self, event: u16, fields: &[u8]) {
        // The channel has counted it.
        let _ = self.write_of_class(event, fields);
    }

    fn room(&self) -> usize {
        self.event_room()
    }

    fn say(&self, site: &Site, message: fmt::Arguments<'_>) {
        let source = site.source();
        let place = Place {
            module: source.module,
            file: source.file,
            line: source.line,
        };
        let _ = write(self, site.severity(), place, message);
    }
}
