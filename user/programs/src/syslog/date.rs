//! When a record was written, as RFC 3339 has it: in UTC, with microseconds.

use alloc::vec::Vec;

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400;

/// Makes times of ticks.
#[derive(Debug)]
pub struct Clock {
    /// Ticks per second.
    hz: u64,
    /// When tick 0 was, in nanoseconds since 1970, if that is known.
    started: Option<u64>,
    /// The second that was told last, and what it is called, without the fraction.
    second: u64,
    called: [u8; 20],
}

impl Clock {
    /// A clock of so many ticks per second, which stood at 0 then.
    #[must_use]
    pub fn new(hz: u64, started: Option<u64>) -> Self {
        let hz = hz.max(1);
        Self {
            hz,
            started,
            second: 0,
            called: called(0),
        }
    }

    /// Nanoseconds since tick 0, rounded down.
    #[must_use]
    pub fn nanoseconds(&self, ticks: u64) -> u64 {
        let rest = match (ticks % self.hz).checked_mul(SECOND) {
            Some(product) => product / self.hz,
            None => (u128::from(ticks % self.hz) * u128::from(SECOND) / u128::from(self.hz)) as u64,
        };
        (ticks / self.hz)
            .saturating_mul(SECOND)
            .saturating_add(rest)
    }

    /// The tick that comes so many nanoseconds after tick 0.
    #[must_use]
    pub fn ticks(&self, nanoseconds: u64) -> u64 {
        let ticks = u128::from(nanoseconds) * u128::from(self.hz) / u128::from(SECOND);
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// Appends the time of a tick, `-` if it is not known.
    pub fn write(&mut self, out: &mut Vec<u8>, ticks: u64) {
        let Some(started) = self.started else {
            return out.push(b'-');
        };
        let time = started.saturating_add(self.nanoseconds(ticks));
        let (second, rest) = (time / SECOND, time % SECOND);
        if second != self.second {
            self.second = second;
            self.called = called(second);
        }
        let mut text = [b'Z'; 27];
        text[..20].copy_from_slice(&self.called);
        put(&mut text[20..26], rest / 1000);
        out.extend_from_slice(&text);
    }
}

/// A second since 1970, without its fraction: `2026-11-30T19:05:15.`.
fn called(second: u64) -> [u8; 20] {
    let mut text = *b"0000-00-00T00:00:00.";
    let (year, month, day) = date(second / DAY);
    let rest = second % DAY;
    put(&mut text[..4], year);
    put(&mut text[5..7], month);
    put(&mut text[8..10], day);
    put(&mut text[11..13], rest / 3600);
    put(&mut text[14..16], rest / 60 % 60);
    put(&mut text[17..19], rest % 60);
    text
}

/// Puts the last digits of a number.
fn put(into: &mut [u8], mut number: u64) {
    for digit in into.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Year, month and day of the Gregorian calendar, so many days after 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    // Years begin with March here, and 400 of them are an era: the leap days come last in each.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year + u64::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    fn told(clock: &mut Clock, ticks: u64) -> String {
        let mut out = Vec::new();
        clock.write(&mut out, ticks);
        String::from_utf8(out).expect("it is ASCII")
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (second, wanted) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (951_868_799, "2000-02-29T23:59:59.000000Z"),
            (951_868_800, "2000-03-01T00:00:00.000000Z"),
            (1_796_065_515, "2026-11-30T19:05:15.000000Z"),
            (4_102_444_799, "2099-12-31T23:59:59.000000Z"),
        ] {
            let mut clock = Clock::new(1000, Some(second * SECOND));
            assert_eq!(told(&mut clock, 0), wanted);
        }
    }

    #[test]
    fn ticks_become_microseconds_and_are_rounded_down() {
        let mut clock = Clock::new(2_596_145_580, Some(1_796_065_514 * SECOND + 999_999_000));
        assert_eq!(told(&mut clock, 0), "2026-11-30T19:05:14.999999Z");
        assert_eq!(told(&mut clock, 2_597), "2026-11-30T19:05:15.000000Z");
        assert_eq!(told(&mut clock, 0), "2026-11-30T19:05:14.999999Z");
        let ticks = 2_596_145_580 * 3600 + 1_298_072_790;
        assert_eq!(clock.nanoseconds(ticks), 3600 * SECOND + SECOND / 2);
        assert_eq!(clock.ticks(3600 * SECOND + SECOND / 2), ticks);
        assert_eq!(told(&mut Clock::new(1, None), 5), "-");
    }
}
