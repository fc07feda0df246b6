//! What the types forbid, each as a program that does not compile, beside its twin that does:
//! without the twin it might be refused for another reason. Exists for doc tests only.
//!
//! The error codes are compared by a nightly rustdoc only (`.ci/run miri` is one).

/// A slot is not sent to another thread: it belongs to the CPU that reserved it.
///
/// ```compile_fail,E0277
/// use relay::*;
/// fn never<P: Platform>(channel: &Channel<P, 1>) {
///     channel.reserve_with(8, |slot| std::thread::scope(|scope| {
///         scope.spawn(|| slot.write(b"x"));
///     }));
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine<P: Platform>(channel: &Channel<P, 1>) {
///     channel.reserve_with(8, |slot| std::thread::scope(|_| {
///         slot.write(b"x");
///     }));
/// }
/// ```
mod a_slot_is_not_sent {}

/// Two threads do not share a slot: there is one writer of its bytes.
///
/// ```compile_fail,E0277
/// use relay::*;
/// fn never(slot: &Slot<'_>) {
///     std::thread::scope(|scope| {
///         scope.spawn(|| slot.len());
///     });
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine(slot: &Slot<'_>) {
///     std::thread::scope(|_| {
///         slot.len();
///     });
/// }
/// ```
mod a_slot_is_not_shared {}

/// A slot does not leave the closure that fills it, so it cannot leak, nor outlive its commit.
///
/// ```compile_fail
/// use relay::*;
/// fn never<P: Platform>(channel: &Channel<P, 1>) {
///     let slot = channel.reserve_with(8, |slot| slot);
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine<P: Platform>(channel: &Channel<P, 1>) {
///     let len = channel.reserve_with(8, |slot| slot.len());
/// }
/// ```
mod a_slot_is_not_returned {}

/// Nor by another way: what the closure borrows lives longer than the slot.
///
/// ```compile_fail,E0521
/// use relay::*;
/// fn never<P: Platform>(channel: &Channel<P, 1>) {
///     let mut kept: Option<&mut Slot<'_>> = None;
///     let _ = channel.reserve_with(8, |slot| kept = Some(slot));
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine<P: Platform>(channel: &Channel<P, 1>) {
///     let mut kept: Option<u64> = None;
///     let _ = channel.reserve_with(8, |slot| kept = Some(slot.timestamp()));
/// }
/// ```
mod a_slot_is_not_kept {}

/// Its bytes do not leave the closure either: the reader has them then.
///
/// ```compile_fail
/// use relay::*;
/// fn never<P: Platform>(channel: &Channel<P, 1>) {
///     let bytes = channel.reserve_with(8, |slot| slot.bytes_mut());
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine<P: Platform>(channel: &Channel<P, 1>) {
///     let bytes = channel.reserve_with(8, |slot| slot.bytes_mut().to_vec());
/// }
/// ```
mod a_slots_bytes_end_with_its_commit {}

/// Two slots are not swapped: each would be settled as the other.
///
/// ```compile_fail
/// use relay::*;
/// fn never<P: Platform>(channel: &Channel<P, 1>) {
///     let _ = channel.reserve_with(8, |outer| {
///         let _ = channel.reserve_with(8, |inner| core::mem::swap(outer, inner));
///     });
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine<P: Platform>(channel: &Channel<P, 1>) {
///     let _ = channel.reserve_with(8, |outer| {
///         let _ = channel.reserve_with(8, |inner| {
///             core::mem::swap(&mut outer.bytes_mut()[0], &mut inner.bytes_mut()[0]);
///         });
///     });
/// }
/// ```
mod two_slots_are_not_swapped {}

/// The bytes of a slot are not lent twice: there is one writer of each byte.
///
/// ```compile_fail,E0499
/// use relay::*;
/// fn never(slot: &mut Slot<'_>) {
///     let one = slot.bytes_mut();
///     let two = slot.bytes_mut();
///     one[0] = two[0];
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine(slot: &mut Slot<'_>) {
///     let two = slot.bytes_mut()[0];
///     let one = slot.bytes_mut();
///     one[0] = two;
/// }
/// ```
mod a_slots_bytes_are_lent_once {}

/// The bytes of a slot are not kept while it is cut or given up: what is cut off becomes a filler.
///
/// ```compile_fail,E0499
/// use relay::*;
/// fn never(slot: &mut Slot<'_>) {
///     let bytes = slot.bytes_mut();
///     slot.keep(4);
///     bytes[7] = 1;
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine(slot: &mut Slot<'_>) {
///     let bytes = slot.bytes_mut();
///     bytes[7] = 1;
///     slot.keep(4);
/// }
/// ```
mod a_slots_bytes_end_with_its_cut {}

/// A reader does not outlive its channel: the rings go with the channel.
///
/// ```compile_fail,E0505
/// use relay::*;
/// fn never<P: Platform>(channel: Channel<P, 1>) {
///     let mut reader = channel.reader(0).unwrap();
///     drop(channel);
///     reader.next_subbuf();
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine<P: Platform>(channel: Channel<P, 1>) {
///     let mut reader = channel.reader(0).unwrap();
///     reader.next_subbuf();
///     drop(reader);
///     drop(channel);
/// }
/// ```
mod a_reader_does_not_outlive_its_channel {}

/// A reader is not asked by two at a time: each sub-buffer is taken once.
///
/// ```compile_fail,E0596
/// use relay::*;
/// fn never(reader: &Reader<'_>) {
///     reader.next_subbuf();
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine(reader: &mut Reader<'_>) {
///     reader.next_subbuf();
/// }
/// ```
mod a_reader_is_asked_by_one {}

/// A sub-buffer does not outlive its channel: it may outlive its reader, but not the memory.
///
/// ```compile_fail,E0505
/// use relay::*;
/// fn never<P: Platform>(channel: Channel<P, 1>) {
///     let taken = channel.reader(0).unwrap().next_subbuf().unwrap();
///     drop(channel);
///     taken.bytes();
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine<P: Platform>(channel: Channel<P, 1>) {
///     let taken = channel.reader(0).unwrap().next_subbuf().unwrap();
///     taken.bytes();
///     drop(taken);
///     drop(channel);
/// }
/// ```
mod a_sub_buffer_does_not_outlive_its_channel {}

/// The bytes of a sub-buffer are not kept when it is given back: the space is the writers' again.
///
/// ```compile_fail,E0505
/// use relay::*;
/// fn never(taken: SubBuffer<'_>) -> usize {
///     let records = taken.records();
///     drop(taken);
///     records.len()
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine(taken: SubBuffer<'_>) -> usize {
///     let records = taken.records();
///     let len = records.len();
///     drop(taken);
///     len
/// }
/// ```
mod a_sub_buffers_bytes_go_back_with_it {}

/// The bytes of a sub-buffer are not written: a device may be reading them.
///
/// ```compile_fail,E0594
/// use relay::*;
/// fn never(taken: &SubBuffer<'_>) {
///     taken.bytes()[0] = 1;
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine(taken: &SubBuffer<'_>) -> u8 {
///     taken.bytes()[0]
/// }
/// ```
mod a_sub_buffers_bytes_are_read_only {}

/// Static memory does not lie on the stack: a ring in it may live for ever.
///
/// ```compile_fail,E0597
/// use relay::*;
/// let memory = StaticMemory::<8192>::new();
/// memory.take();
/// ```
/// ```
/// use relay::*;
/// static MEMORY: StaticMemory<8192> = StaticMemory::new();
/// MEMORY.take();
/// ```
mod static_memory_is_static {}

/// A platform is not implemented without a promise: everything here rests on its contract.
///
/// ```compile_fail,E0200
/// use relay::*;
/// struct Mine;
/// impl Platform for Mine {
///     type Pinned = ();
///     fn pin(&self) -> (usize, ()) { (0, ()) }
///     unsafe fn unpin(&self, (): ()) {}
///     fn now(&self) -> u64 { 0 }
/// }
/// ```
/// ```
/// use relay::*;
/// struct Mine;
/// // SAFETY: never used.
/// unsafe impl Platform for Mine {
///     type Pinned = ();
///     fn pin(&self) -> (usize, ()) { (0, ()) }
///     unsafe fn unpin(&self, (): ()) {}
///     fn now(&self) -> u64 { 0 }
/// }
/// ```
mod a_platform_promises {}

/// A CPU is not declared stopped without a promise: the post-mortem reads what it may be writing.
///
/// ```compile_fail,E0133
/// use relay::*;
/// Stopped::new(0);
/// ```
/// ```
/// use relay::*;
/// // SAFETY: there is no such CPU.
/// unsafe { Stopped::new(0) };
/// ```
mod stopped_is_a_promise {}
