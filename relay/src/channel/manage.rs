//! What becomes of a channel's streams and rings: their duty, their end, their size; and what is
//! known of them.

use super::Channel;
use crate::platform::{Pin, Platform};
use crate::ring::{Geometry, Storage, Stream, StreamError, StreamInfo, StreamStats};
use crate::sync::{Ordering, Usage};

impl<P: Platform, const CPUS: usize, U: Usage> Channel<P, CPUS, U> {
    /// The periodic duty of each CPU: does what others have asked of its stream
    /// ([flush](crate::Reader::request_flush), [resize](Self::resize),
    /// [close](Self::request_close)), and moves [`Reader::quiet_since`](crate::Reader::quiet_since)
    /// on.
    ///
    /// Call it from the timer interrupt of every CPU that writes, or from task context. Not from
    /// NMI context: an NMI may come in the middle of one. With nothing to do it costs a few loads
    /// and a look at the clock. In a global channel any CPU's tick does what is asked of the
    /// stream, but each must have its own before an old ring is [freed](Self::reclaim).
    pub fn tick(&self) {
        if let Some(owner) = self.owner() {
            owner.tick();
        }
    }

    /// Ends the stream of the calling CPU: its last packet is marked
    /// [final](crate::Packet::is_final), and later writes are refused and counted.
    ///
    /// Any context but NMI.
    ///
    /// # Errors
    /// [`StreamError`]; after [`StreamError::NoRoom`] nothing has changed, and it can be tried
    /// again when the reader has consumed something.
    ///
    /// ```
    /// # use relay::host::{Cpu, Host};
    /// # use relay::{Channel, Geometry, NoHooks, Storage};
    /// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
    /// # let cpu = Cpu::claim();
    /// # let geometry = Geometry::new(1024, 4)?;
    /// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
    /// use relay::{Loss, WriteError};
    ///
    /// LOG.write(b"the last words")?;
    /// LOG.close()?;
    /// assert_eq!(LOG.write(b"more"), Err(WriteError::Lost(Loss::Closed)));
    /// let mut reader = LOG.reader(cpu.number())?;
    /// assert!(reader.next_subbuf().unwrap().packet().is_final);
    /// assert!(reader.is_at_end());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn close(&self) -> Result<(), StreamError> {
        self.owner().ok_or(StreamError::NotStarted)?.close()
    }

    /// Has the stream of `cpu` ended at its next [tick](Self::tick); where its ring is full, at the
    /// first after the reader has made room. Any CPU, task or IRQ context.
    ///
    /// # Errors
    /// [`StreamError::NotStarted`].
    pub fn request_close(&self, cpu: usize) -> Result<(), StreamError> {
        self.started(cpu)
            .ok_or(StreamError::NotStarted)?
            .want_close();
        self.platform.call(cpu);
        Ok(())
    }

    /// Whether the stream of `cpu` has ended: every write to it is refused. Any context, any CPU.
    #[must_use]
    pub fn is_closed(&self, cpu: usize) -> bool {
        self.started(cpu).is_some_and(Stream::is_closed)
    }

    /// Moves the stream of the calling CPU to a new ring of `geometry` in `storage`. Writers that
    /// this interrupts, and readers, go on without a gap. The memory of the old ring is given back
    /// by
    /// [`reclaim`](Self::reclaim), when it has been read and nobody uses it any more.
    ///
    /// Task context, or IRQ context for memory that is not from the heap: what is refused is
    /// dropped.
    ///
    /// # Errors
    /// [`StreamError`]: the stream was not started, is closed, the geometry is of another kind, or
    /// the storage is too small.
    pub fn replace(&self, storage: Storage, geometry: Geometry) -> Result<(), StreamError> {
        self.owner()
            .ok_or(StreamError::NotStarted)?
            .succeed(storage, geometry)
    }

    /// Has the stream of `cpu` moved to a new ring of `geometry` in `storage`, at its next
    /// [tick](Self::tick): to a larger or a smaller one, while it is written and read. No record is
    /// lost, doubled or reordered by that.
    ///
    /// Any CPU, task context. The chapter
    /// [early start, larger rings](crate#early-start-larger-rings) has an example.
    ///
    /// # Errors
    /// [`StreamError`]; [`Busy`](StreamError::Busy) if the last request has not been done yet. What
    /// is refused is dropped.
    pub fn resize(
        &self,
        cpu: usize,
        storage: Storage,
        geometry: Geometry,
    ) -> Result<(), StreamError> {
        let stream = self.started(cpu).ok_or(StreamError::NotStarted)?;
        stream.offer(storage, geometry)?;
        self.platform.call(cpu);
        Ok(())
    }

    /// Begins the stream of the calling CPU anew, in a ring of the same geometry in `storage`: what
    /// nobody has read is counted as overwritten.
    ///
    /// Task context, or IRQ context for memory that is not from the heap.
    ///
    /// # Errors
    /// As [`replace`](Self::replace).
    pub fn reset(&self, storage: Storage) -> Result<(), StreamError> {
        self.owner().ok_or(StreamError::NotStarted)?.reset(storage)
    }

    /// As [`reset`](Self::reset), of the stream of `cpu`, if the calling CPU writes that: any CPU
    /// does of a global channel. For who was given a stream, and perhaps has moved.
    ///
    /// Task context, or IRQ context for memory that is not from the heap: what is refused is dropped.
    ///
    /// # Errors
    /// As [`replace`](Self::replace); [`StreamError::NotOwner`] on another CPU.
    ///
    /// ```
    /// # use relay::host::{Cpu, Host};
    /// # use relay::{Channel, Geometry, NoHooks, Storage, StreamError};
    /// # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
    /// # let cpu = Cpu::claim();
    /// # let geometry = Geometry::new(1024, 4)?;
    /// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
    /// LOG.write(b"in vain")?;
    /// let other = LOG.reset_own(cpu.number() + 1, Storage::allocate(&geometry)?);
    /// assert_eq!(other, Err(StreamError::NotOwner));
    /// LOG.reset_own(cpu.number(), Storage::allocate(&geometry)?)?;
    /// LOG.flush();
    /// let mut reader = LOG.reader(cpu.number())?;
    /// assert!(reader.next_subbuf().is_none_or(|taken| taken.records().is_empty()));
    /// assert_eq!(LOG.stats(cpu.number()).unwrap().overwritten, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reset_own(&self, cpu: usize, storage: Storage) -> Result<(), StreamError> {
        let pin = Pin::new(&self.platform);
        if !U::SHARED && pin.cpu() != cpu {
            return Err(StreamError::NotOwner);
        }
        self.reset(storage)
    }

    /// Frees the rings that the stream of `cpu` has left: those that were read to their end (in
    /// continuous mode: or whose time is over), and that no writer or reader uses any more. Returns
    /// how many. Call it now and then after a [`resize`](Self::resize), for each CPU that has used
    /// the stream must have had a [tick](Self::tick) since.
    ///
    /// Nothing is freed while any CPU looks through the stream's rings: in [`info`](Self::info),
    /// [`resize`](Self::resize), the opening of readers and, in continuous mode, ticks that find
    /// older rings. That is short; but where CPUs take turns and do hardly anything else, so that
    /// each of them is found at it, memory may not come back.
    ///
    /// Any CPU, task context.
    pub fn reclaim(&self, cpu: usize) -> usize {
        let Some(stream) = self.started(cpu) else {
            return 0;
        };
        stream.reclaim(|serial| {
            if U::SHARED {
                let mut locals = self.streams.iter().map(|stream| &stream.local);
                locals.all(|local| local.has_left(serial))
            } else {
                stream.local.has_left(serial)
            }
        })
    }

    /// The geometry of the ring that `cpu` writes to, if its stream was started. Any context.
    #[must_use]
    pub fn geometry(&self, cpu: usize) -> Option<Geometry> {
        self.started(cpu)?.geometry()
    }

    /// How many quarters of the ring of `cpu` were unread, at most, since this was asked last; 4 if
    /// records were lost for want of room. Any context, any CPU; a hint, for who resizes.
    #[must_use]
    pub fn take_peak(&self, cpu: usize) -> u64 {
        self.started(cpu).map_or(0, Stream::take_peak)
    }

    /// Makes the ring of `cpu` as large as its load asks for: twice as many sub-buffers if three
    /// quarters of it were unread since the last call, or something was lost for want of room; half
    /// as many if less than a quarter was, and is now (what a reader holds, and what is in older
    /// rings, counts). In any case as many as `limits` allow, a power of two: so a small ring from
    /// early memory grows to the smallest number that you want. Returns the new number, if it asked
    /// for one: the stream moves at its next [tick](Self::tick). Also [reclaims](Self::reclaim)
    /// what older rings have left.
    ///
    /// Call it now and then, or when [`Hooks::needs_resize`](crate::Hooks::needs_resize) asks for
    /// it. A ring that is overwritten stays as it is: it is always full.
    ///
    /// Any CPU, task context: it allocates.
    ///
    /// # Errors
    /// [`StreamError`]; [`Busy`](StreamError::Busy) if the last request has not been done yet. It
    /// is as if it had not been called, then.
    #[cfg(feature = "alloc")]
    pub fn adapt(
        &self,
        cpu: usize,
        limits: core::ops::RangeInclusive<usize>,
    ) -> Result<Option<usize>, StreamError> {
        let stream = self.started(cpu).ok_or(StreamError::NotStarted)?;
        self.reclaim(cpu);
        let info = stream.info().ok_or(StreamError::NotStarted)?;
        let count = info.geometry.subbuf_count();
        let peak = stream.take_peak();
        let wanted = match peak {
            _ if info.geometry.mode() == crate::ring::Mode::Continuous => return Ok(None),
            3.. => count * 2,
            0 if (info.unread + info.taken) * 4 < count as u64 => count / 2,
            _ => count,
        };
        let wanted = within(wanted, &limits).filter(|wanted| *wanted != count);
        let Some(Ok(geometry)) = wanted.map(|wanted| info.geometry.with_count(wanted)) else {
            return Ok(None);
        };
        let storage = Storage::allocate(&geometry).map_err(StreamError::Storage);
        let asked = storage.and_then(|storage| self.resize(cpu, storage, geometry));
        if asked.is_err() {
            stream.put_back_peak(peak);
        }
        asked.map(|()| wanted)
    }

    /// What is known of the stream of `cpu` now, if it was started. Any context but NMI, any CPU;
    /// exact when that CPU is quiet.
    #[must_use]
    pub fn info(&self, cpu: usize) -> Option<StreamInfo> {
        self.started(cpu)?.info()
    }

    /// The counts of the stream of `cpu`, if it was started. Any context, any CPU; exact when
    /// that CPU is quiet.
    #[must_use]
    pub fn stats(&self, cpu: usize) -> Option<StreamStats> {
        self.started(cpu).map(Stream::stats)
    }

    /// What `cpu` is in the middle of in this channel. Asked by an interrupt or NMI of that CPU,
    /// it is what that has interrupted. Any context, any CPU.
    #[cfg(feature = "stress")]
    #[must_use]
    pub fn phase(&self, cpu: usize) -> crate::Phase {
        let stream = self.streams.get(cpu);
        stream.map_or(crate::Phase::Outside, |stream| stream.local.phase())
    }

    /// How often a write of `cpu` found, at its swap, that an interrupt had written meanwhile, and
    /// looked again; about. Any context, any CPU.
    #[cfg(feature = "stress")]
    #[must_use]
    pub fn failed_swaps(&self, cpu: usize) -> u64 {
        let stream = self.streams.get(cpu);
        stream.map_or(0, |stream| stream.local.failed_swaps())
    }

    /// Whether a packet of the calling CPU is complete and waits for somebody to deliver it: no, if
    /// the CPU has nothing under way here, since whoever completes a packet delivers it, or is seen
    /// by who does. Of per-CPU channels, in task context.
    #[cfg(feature = "stress")]
    #[must_use]
    pub fn owes_delivery(&self) -> bool {
        self.owner().is_some_and(|owner| owner.owes_delivery())
    }

    /// Records lost because the CPU that wrote them has no ring in this channel. They are in no
    /// stream's ledger. Any context.
    #[must_use]
    pub fn lost_no_ring(&self) -> u64 {
        self.no_ring.load(Ordering::Relaxed)
    }

    /// The longest record that the ring of the calling CPU takes, in bytes; `None` if it has no
    /// ring. Any context.
    #[must_use]
    pub fn max_record(&self) -> Option<usize> {
        self.owner()?.max_record()
    }
}

/// The power of two within `limits` that is next to `count`, which is one; `None` if there is none.
#[cfg(feature = "alloc")]
fn within(count: usize, limits: &core::ops::RangeInclusive<usize>) -> Option<usize> {
    let least = limits.start().checked_next_power_of_two()?;
    let most = 1 << limits.end().checked_ilog2()?;
    (least <= most).then(|| count.clamp(least, most))
}
