//! A consumer that knows sub-buffers by their numbers.

use crate::ring::{Reader, SubBuffer};
use core::array;
use core::fmt;

/// An open file as somebody uses it who cannot be trusted with a [`Reader`], and passes numbers: a
/// process, say.
///
/// Inside the kernel nothing can go wrong: who has a [`SubBuffer`] may read it, and gives it back
/// once, by dropping it. Across a boundary only its number goes,
/// [`Packet::sequence`](crate::Packet::sequence); the window keeps the sub-buffer itself, up to `N`
/// of them, and looks up every number that comes back. So whatever the other side says, it gets an
/// answer: it can lose its own records, and cannot touch the writer. Closing the file, also because
/// the process died, is to drop the window: what was mapped is given back.
///
/// Task or IRQ context, one call at a time.
///
/// ```
/// use relay::{Channel, Geometry, NoHooks, Platform, Storage};
/// use relay::fs::{Mount, Window, WindowError};
/// # struct OneCpu;
/// # // SAFETY: there is one CPU, and this program has one thread.
/// # unsafe impl Platform for OneCpu {
/// #     type Pinned = ();
/// #     fn pin(&self) -> (usize, ()) { (0, ()) }
/// #     unsafe fn unpin(&self, (): ()) {}
/// #     fn now(&self) -> u64 { 7 }
/// # }
///
/// static LOG: Channel<OneCpu, 1> = Channel::new(OneCpu, &NoHooks);
/// static LOG_FILES: Mount = match Mount::new("/log", &LOG) { Ok(mount) => mount, Err(_) => panic!() };
///
/// let geometry = Geometry::new(64, 4)?;
/// LOG.start(0, Storage::allocate(&geometry)?, geometry)?;
/// for text in ["one", "two"] {
///     LOG.write(text.as_bytes())?;
///     LOG.flush();
/// }
///
/// let mut window: Window<'_, 8> = Window::new(LOG_FILES.file(0)?.open()?);
/// assert_eq!(window.map()?.unwrap().packet().sequence, 0);
/// assert_eq!(window.map()?.unwrap().packet().sequence, 1);
/// assert_eq!(window.get(1)?.records(), b"two");
///
/// window.consume(1)?;
/// assert_eq!(window.consume(1), Err(WindowError::NotMapped { number: 1 }));
/// assert_eq!(window.consume(5), Err(WindowError::NotYet { number: 5, next: 2 }));
/// window.consume(0)?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct Window<'a, const N: usize> {
    reader: Reader<'a>,
    mapped: [Option<SubBuffer<'a>>; N],
    /// No sub-buffer was mapped yet that has this number or a larger one.
    next: u64,
}

/// Why a window did not do what it was asked for. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowError {
    /// As many sub-buffers are mapped as the window has room for.
    Full {
        /// How many.
        mapped: usize,
    },
    /// This sub-buffer was not mapped yet: perhaps it was not even written.
    NotYet {
        /// The number given.
        number: u64,
        /// The smallest number that the next mapped sub-buffer can have.
        next: u64,
    },
    /// This sub-buffer is not mapped any more, or never was: it was consumed, or overwritten before
    /// it was mapped.
    NotMapped {
        /// The number given.
        number: u64,
    },
}

impl fmt::Display for WindowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Full { mapped } => write!(
                f,
                "{mapped} sub-buffers are mapped, which is all there is room for: consume one first"
            ),
            Self::NotYet { number, next } => write!(
                f,
                "sub-buffer {number} was not mapped yet: the next will be {next} or a later one"
            ),
            Self::NotMapped { number } => write!(
                f,
                "sub-buffer {number} is not mapped: it was consumed, or overwritten before"
            ),
        }
    }
}

impl core::error::Error for WindowError {}

impl<'a, const N: usize> Window<'a, N> {
    /// Goes on where `reader` stands.
    #[must_use]
    pub fn new(reader: Reader<'a>) -> Self {
        Self {
            reader,
            mapped: array::from_fn(|_| None),
            next: 0,
        }
    }

    /// The reader, to poll, to ask for a flush, or for the time up to which all is there.
    #[must_use]
    pub fn reader(&self) -> &Reader<'a> {
        &self.reader
    }

    /// The same, to look whether something is readable, or where it will lie. What is taken of it
    /// is nothing that the window knows of.
    #[must_use]
    pub fn reader_mut(&mut self) -> &mut Reader<'a> {
        &mut self.reader
    }

    /// Maps the next readable sub-buffer, if there is one. It stays until it is
    /// [consumed](Self::consume).
    ///
    /// # Errors
    /// [`WindowError::Full`].
    pub fn map(&mut self) -> Result<Option<&SubBuffer<'a>>, WindowError> {
        let free = self.mapped.iter_mut().find(|place| place.is_none());
        let place = free.ok_or(WindowError::Full { mapped: N })?;
        let Some(subbuf) = self.reader.next_subbuf() else {
            return Ok(None);
        };
        self.next = subbuf.packet().sequence.wrapping_add(1);
        Ok(Some(place.insert(subbuf)))
    }

    /// The mapped sub-buffer with number `number`, to be read.
    ///
    /// # Errors
    /// [`WindowError`]: it is not mapped.
    pub fn get(&self, number: u64) -> Result<&SubBuffer<'a>, WindowError> {
        self.mapped()
            .find(|subbuf| subbuf.packet().sequence == number)
            .ok_or_else(|| self.missing(number))
    }

    /// What is mapped, in no order.
    pub fn mapped(&self) -> impl Iterator<Item = &SubBuffer<'a>> {
        self.mapped.iter().flatten()
    }

    /// Gives the mapped sub-buffer with number `number` back to the writer. Those that are mapped
    /// may be consumed in any order.
    ///
    /// # Errors
    /// [`WindowError`]: it is not mapped.
    pub fn consume(&mut self, number: u64) -> Result<(), WindowError> {
        let is_it = |subbuf: &SubBuffer<'a>| subbuf.packet().sequence == number;
        let mut places = self.mapped.iter_mut();
        match places.find(|place| place.as_ref().is_some_and(is_it)) {
            Some(place) => {
                *place = None;
                Ok(())
            }
            None => Err(self.missing(number)),
        }
    }

    /// As [`Reader::prepare_to_sleep`].
    #[must_use = "whether to sleep"]
    pub fn prepare_to_sleep(&mut self) -> bool {
        self.reader.prepare_to_sleep()
    }

    /// Why no sub-buffer `number` is mapped.
    fn missing(&self, number: u64) -> WindowError {
        if number < self.next {
            WindowError::NotMapped { number }
        } else {
            let next = self.next;
            WindowError::NotYet { number, next }
        }
    }
}

impl<const N: usize> fmt::Debug for Window<'_, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("reader", &self.reader)
            .field("mapped", &self.mapped().count())
            .finish_non_exhaustive()
    }
}
