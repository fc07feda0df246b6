//! The clock of the day: the MC146818 that every PC has, or what plays it. It says what time it is,
//! to the second, in UTC as machines are set up here.

use x86_64::instructions::port::Port;

/// Registers, by their index.
const SECONDS: u8 = 0;
const MINUTES: u8 = 2;
const HOURS: u8 = 4;
const DAY: u8 = 7;
const MONTH: u8 = 8;
const YEAR: u8 = 9;
const STATUS_A: u8 = 0x0a;
const STATUS_B: u8 = 0x0b;
/// Where PCs keep the century. Not all do: what makes no sense there is the one that we are in.
const CENTURY: u8 = 0x32;

/// In status A: the registers are about to change.
const CHANGING: u8 = 1 << 7;
/// In status B: 24 hours, not 12 twice.
const HOURS_24: u8 = 1 << 1;
/// In status B: binary numbers, not two decimal digits.
const BINARY: u8 = 1 << 2;
/// In the hours, of 12: it is after noon.
const AFTER_NOON: u8 = 1 << 7;

/// How often the registers are looked at until two looks say the same: a clock that changes faster
/// than that is none.
const LOOKS: u32 = 1000;

/// What the registers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Registers {
    seconds: u8,
    minutes: u8,
    hours: u8,
    day: u8,
    month: u8,
    year: u8,
    century: u8,
    status_b: u8,
}

/// Seconds since 1970; `None` if there is no such clock, or what it says is no time. On the boot
/// CPU, once, with interrupts off: takes a few reads of ports, or, if the clock is just being set
/// forward, as long as that takes.
pub(crate) fn seconds() -> Option<u64> {
    let mut before = None;
    for _ in 0..LOOKS {
        if read(STATUS_A) & CHANGING != 0 {
            continue;
        }
        let now = look();
        if before == Some(now) {
            return now.seconds();
        }
        before = Some(now);
    }
    None
}

/// Looks at all of them.
fn look() -> Registers {
    Registers {
        seconds: read(SECONDS),
        minutes: read(MINUTES),
        hours: read(HOURS),
        day: read(DAY),
        month: read(MONTH),
        year: read(YEAR),
        century: read(CENTURY),
        status_b: read(STATUS_B),
    }
}

/// Reads a register.
fn read(register: u8) -> u8 {
    // SAFETY: these ports are the clock on every PC, and nothing where there is none; nobody else
    // uses them, and reading changes no memory. NMIs stay allowed: bit 7 of the index is 0.
    unsafe {
        Port::<u8>::new(0x70).write(register);
        Port::<u8>::new(0x71).read()
    }
}

impl Registers {
    /// The time that they say.
    fn seconds(&self) -> Option<u64> {
        let number = |byte: u8| match self.status_b & BINARY {
            0 => (byte >> 4) * 10 + (byte & 0xf),
            _ => byte,
        };
        let (is_after_noon, hours) = (self.hours & AFTER_NOON != 0, self.hours & !AFTER_NOON);
        let hours = match (self.status_b & HOURS_24, number(hours)) {
            (0, hours) => hours % 12 + if is_after_noon { 12 } else { 0 },
            _ => number(self.hours),
        };
        let [seconds, minutes] = [self.seconds, self.minutes].map(number);
        let [day, month, year] = [self.day, self.month, self.year].map(number);
        let century = match number(self.century) {
            century @ 19..=29 => century,
            _ => 20,
        };
        let is_time = seconds < 60 && minutes < 60 && hours < 24;
        let is_date = (1..=31).contains(&day) && (1..=12).contains(&month) && year < 100;
        if !is_time || !is_date {
            return None;
        }
        let year = u64::from(century) * 100 + u64::from(year);
        let days = days(year, month.into(), day.into())?;
        let time = u64::from(hours) * 3600 + u64::from(minutes) * 60 + u64::from(seconds);
        Some(days * 86_400 + time)
    }
}

/// Days from 1970-01-01 to a day of the Gregorian calendar; `None` of what is before.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    // Years begin with March here: so the leap day is the last.
    let (year, month) = match month {
        3.. => (year, month - 3),
        _ => (year.checked_sub(1)?, month + 9),
    };
    let leaps = (year / 4).checked_sub(year / 100)? + year / 400;
    let since_0 = year * 365 + leaps + (month * 153 + 2) / 5 + day - 1;
    since_0.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-30, 19:05:15 as two digits each.
    const DIGITS: Registers = Registers {
        seconds: 0x15,
        minutes: 0x05,
        hours: 0x19,
        day: 0x30,
        month: 0x11,
        year: 0x26,
        century: 0x20,
        status_b: HOURS_24,
    };
    const TIME: u64 = 1_796_065_515;

    #[test]
    fn every_form_says_the_same() {
        assert_eq!(DIGITS.seconds(), Some(TIME));
        let binary = Registers {
            seconds: 15,
            minutes: 5,
            hours: 19,
            day: 30,
            month: 11,
            year: 26,
            century: 20,
            status_b: HOURS_24 | BINARY,
        };
        assert_eq!(binary.seconds(), Some(TIME));
        let twelve = Registers {
            hours: 0x07 | AFTER_NOON,
            century: 0,
            status_b: 0,
            ..DIGITS
        };
        assert_eq!(twelve.seconds(), Some(TIME));
        for (hours, wanted) in [(0x12, 0), (0x12 | AFTER_NOON, 12), (0x01, 1)] {
            let twelve = Registers { hours, ..twelve };
            assert_eq!(twelve.seconds(), Some(TIME - 19 * 3600 + wanted * 3600));
        }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (date, wanted) in [
            ((1970, 1, 1), 0),
            ((1970, 3, 1), 59),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((2026, 11, 30), TIME / 86_400),
            ((2100, 3, 1), 47_541),
        ] {
            let (year, month, day) = date;
            assert_eq!(days(year, month, day), Some(wanted), "{date:?}");
        }
        assert_eq!(days(1969, 12, 31), None);
    }

    #[test]
    fn what_is_no_time_is_none() {
        let nothing = Registers {
            seconds: 0xff,
            minutes: 0xff,
            hours: 0xff,
            day: 0xff,
            month: 0xff,
            year: 0xff,
            century: 0xff,
            status_b: 0xff,
        };
        assert_eq!(nothing.seconds(), None);
        assert_eq!(Registers { month: 0, ..DIGITS }.seconds(), None);
    }
}
