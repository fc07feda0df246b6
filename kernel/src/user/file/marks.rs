//! How far each stream has been told to syslog: a mark is the number of the first record that was not.
//! It stays with the stream, whoever reads it.

use core::ptr;

use arrayvec::ArrayVec;
use relay::fs::{File, Mount};
use relay_abi::Error;

use crate::base::cpuset::MAX_CPUS;
use crate::cpu::lock::IrqMutex;

/// The most channels that there are.
const CHANNELS: usize = 16;

/// Of each channel that was asked for, by CPU.
static MARKS: IrqMutex<ArrayVec<(&Mount, [u64; MAX_CPUS]), CHANNELS>> =
    IrqMutex::new(ArrayVec::new_const());

/// The mark of a stream; `None` if there are more channels than can be.
fn of<'m>(
    marks: &'m mut ArrayVec<(&'static Mount, [u64; MAX_CPUS]), CHANNELS>,
    file: &File,
) -> Option<&'m mut u64> {
    let mut all = marks.iter();
    let place = match all.position(|(known, _)| ptr::eq(*known, file.mount())) {
        Some(place) => place,
        None => {
            marks.try_push((file.mount(), [0; MAX_CPUS])).ok()?;
            marks.len() - 1
        }
    };
    marks.get_mut(place)?.1.get_mut(file.cpu())
}

/// The mark of a stream. Task and IRQ context.
pub(in crate::user) fn told(file: &File) -> u64 {
    of(&mut MARKS.lock(), file).map_or(0, |mark| *mark)
}

/// Sets these marks if `act` works, in one step with it: nobody sees a mark in between. Task context.
///
/// # Errors
/// [`Error::BadArgument`]: one goes back; `act` is not called. Those of `act`. No mark is set then.
pub(in crate::user) fn set(
    wanted: &[(File, u64)],
    act: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let mut marks = MARKS.lock();
    for (file, told) in wanted {
        if of(&mut marks, file).is_none_or(|mark| *told < *mark) {
            return Err(Error::BadArgument);
        }
    }
    act()?;
    for (file, told) in wanted {
        if let Some(mark) = of(&mut marks, file) {
            // Of one that is named twice the greater counts.
            *mark = (*mark).max(*told);
        }
    }
    Ok(())
}
