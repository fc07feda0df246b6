//! What the types forbid, each as a program that does not compile, beside its twin that does: without
//! the twin it might be refused for another reason. Exists for doc tests only.
//!
//! The error codes are compared by a nightly rustdoc only (`.ci/run miri` is one).

/// A slot is not sent to another thread: it belongs to the CPU that reserved it, and holds its pin.
///
/// ```compile_fail,E0277
/// use relay::*;
/// fn never<P: Platform>(slot: Slot<'_, P>) {
///     std::thread::scope(|scope| {
///         scope.spawn(move || slot.commit());
///     });
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine<P: Platform>(slot: Slot<'_, P>) {
///     std::thread::scope(|_| {
///         slot.commit();
///     });
/// }
/// ```
mod a_slot_is_not_sent {}

/// Two threads do not share a slot: there is one writer of its bytes.
///
/// ```compile_fail,E0277
/// use relay::*;
/// fn never<P: Platform>(slot: &Slot<'_, P>) {
///     std::thread::scope(|scope| {
///         scope.spawn(|| slot.len());
///     });
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine<P: Platform>(slot: &Slot<'_, P>) {
///     std::thread::scope(|_| {
///         slot.len();
///     });
/// }
/// ```
mod a_slot_is_not_shared {}

/// A slot does not outlive its channel: its bytes are the channel's memory.
///
/// ```compile_fail,E0505
/// use relay::*;
/// fn never<P: Platform>(channel: Channel<P, 1>) {
///     let slot = channel.reserve(8).unwrap();
///     drop(channel);
///     slot.commit();
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine<P: Platform>(channel: Channel<P, 1>) {
///     let slot = channel.reserve(8).unwrap();
///     slot.commit();
///     drop(channel);
/// }
/// ```
mod a_slot_does_not_outlive_its_channel {}

/// A slot is not committed twice: a record is counted once.
///
/// ```compile_fail,E0382
/// use relay::*;
/// fn never<P: Platform>(slot: Slot<'_, P>) {
///     slot.commit();
///     slot.commit();
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine<P: Platform>(slot: Slot<'_, P>, another: Slot<'_, P>) {
///     slot.commit();
///     another.commit();
/// }
/// ```
mod a_slot_is_not_committed_twice {}

/// A slot is not discarded after its commit: it is delivered, or a loss.
///
/// ```compile_fail,E0382
/// use relay::*;
/// fn never<P: Platform>(slot: Slot<'_, P>) {
///     slot.commit();
///     slot.discard();
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine<P: Platform>(slot: Slot<'_, P>, is_good: bool) {
///     if is_good {
///         slot.commit();
///     } else {
///         slot.discard();
///     }
/// }
/// ```
mod a_slot_is_not_discarded_after_its_commit {}

/// A slot is not used after its commit: the bytes are the reader's.
///
/// ```compile_fail,E0382
/// use relay::*;
/// fn never<P: Platform>(mut slot: Slot<'_, P>) {
///     slot.commit();
///     slot.bytes_mut()[0] = 1;
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine<P: Platform>(mut slot: Slot<'_, P>) {
///     slot.bytes_mut()[0] = 1;
///     slot.commit();
/// }
/// ```
mod a_slot_is_not_used_after_its_commit {}

/// The bytes of a slot are not kept beyond its commit: likewise.
///
/// ```compile_fail,E0505
/// use relay::*;
/// fn never<P: Platform>(mut slot: Slot<'_, P>) {
///     let bytes = slot.bytes_mut();
///     slot.commit();
///     bytes[0] = 1;
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine<P: Platform>(mut slot: Slot<'_, P>) {
///     let bytes = slot.bytes_mut();
///     bytes[0] = 1;
///     slot.commit();
/// }
/// ```
mod a_slots_bytes_end_with_its_commit {}

/// The bytes of a slot are not lent twice: there is one writer of each byte.
///
/// ```compile_fail,E0499
/// use relay::*;
/// fn never<P: Platform>(mut slot: Slot<'_, P>) {
///     let one = slot.bytes_mut();
///     let two = slot.bytes_mut();
///     one[0] = two[0];
/// }
/// ```
/// ```
/// use relay::*;
/// fn fine<P: Platform>(mut slot: Slot<'_, P>) {
///     let two = slot.bytes_mut()[0];
///     let one = slot.bytes_mut();
///     one[0] = two;
/// }
/// ```
mod a_slots_bytes_are_lent_once {}

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
///     fn pin(&self) -> usize { 0 }
///     unsafe fn unpin(&self) {}
///     fn now(&self) -> u64 { 0 }
/// }
/// ```
/// ```
/// use relay::*;
/// struct Mine;
/// // SAFETY: never used.
/// unsafe impl Platform for Mine {
///     fn pin(&self) -> usize { 0 }
///     unsafe fn unpin(&self) {}
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
