//! What is shown in order, and what comes too late for that.

/// The order in which records are shown: times do not fall, but for what comes too late.
#[derive(Clone, Copy, Debug, Default)]
pub struct Order {
    /// The latest time that was shown.
    latest: u64,
    /// The stream whose late records are being shown, by a number of its own.
    late: Option<u64>,
}

impl Order {
    /// Shows a record next, of some stream and at some time. If that is before what was shown
    /// already, and the record shown last is no late one of the same stream, this is the time that
    /// it should have come before: it has to be told.
    pub fn take(&mut self, stream: u64, time: u64) -> Option<u64> {
        let is_late = time < self.latest;
        let is_told = self.late == Some(stream);
        self.late = is_late.then_some(stream);
        self.latest = self.latest.max(time);
        (is_late && !is_told).then_some(self.latest)
    }

    /// Whether the record that was taken last was late.
    #[must_use]
    pub fn is_late(&self) -> bool {
        self.late.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_is_told_once_a_run() {
        let mut order = Order::default();
        assert_eq!(order.take(0, 10), None);
        assert_eq!(order.take(1, 10), None);
        assert_eq!(order.take(0, 30), None);
        // A run of late records.
        assert_eq!(order.take(1, 20), Some(30));
        assert_eq!((order.take(1, 25), order.is_late()), (None, true));
        // Of another stream, and again of the first.
        assert_eq!(order.take(2, 26), Some(30));
        assert_eq!(order.take(1, 27), Some(30));
        // Back in order; what is late then is told again.
        assert_eq!((order.take(1, 30), order.is_late()), (None, false));
        assert_eq!(order.take(1, 29), Some(30));
    }
}
