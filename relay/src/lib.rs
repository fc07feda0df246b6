//! Lockless per-CPU channels that carry records out of a kernel, from any context, every record
//! accounted for.
//!
//! | chapter | about |
//! |---|---|
//! | [The idea](#the-idea) | what a channel is, and why nobody waits; [words](#words) |
//! | [The promise](#the-promise) | attempted = delivered + lost + overwritten |
//! | [The first record](#the-first-record) | a log in twenty lines |
//! | [The machine](#the-machine) | what relay asks of yours |
//! | [Writing](#writing) | whole, in place, stamped; what a loss means |
//! | [Reading](#reading) | sub-buffers, records, bytes, copies; sleeping |
//! | [Mode, delivery, usage](#mode-delivery-usage) | what a full buffer does, who sees what when, one stream or many |
//! | [Early start, larger rings](#early-start-larger-rings) | from static memory to any size, under load |
//! | [The ledger](#the-ledger) | how to check the promise |
//! | [The end, and panics](#the-end-and-panics) | closing; what a stopped CPU left |
//! | [Headers, hooks, CTF](#headers-hooks-ctf) | what stands around the records |
//! | [The namespace](#the-namespace) | streams as files |
//! | [Clients](#clients) | klog, and `log::info!` |
//! | [Contexts](#contexts) | what may be called where |
//! | [Limits](#limits) | the numbers |
//! | [Features](#features) | `alloc`, `log`, `std` |
//!
//! The examples here run on a host (feature `std`), whose threads are CPUs: [`host`]. In a kernel
//! only the platform differs.
//!
//! # The idea
//!
//! A [`Channel`] is one data flow of a kernel. It has a *stream* for each CPU: a ring of
//! *sub-buffers*, written by that CPU alone and handed over whole. Writing a record is one
//! compare-and-swap that reserves its bytes and one add that commits them; both are single
//! instructions without a `LOCK` prefix, since no other CPU writes the words. An interrupt or NMI
//! may come at any instruction and write records of its own: the compare-and-swap that it
//! interrupted fails and starts again.
//!
//! ```text
//!   task  --\                                     take          read in place
//!   IRQ   ---> reserve -> store -> commit -> [sub-buffer] -> Reader -> SubBuffer -> give back
//!   NMI   --/       \__ full: lost, counted       ^
//!                                                 `-- complete, or flushed by the timer's tick
//! ```
//!
//! So no writer ever takes a lock, waits or allocates, whatever it interrupted; and no reader,
//! however slow or dead, stands in its way. What there is no room for is lost, and counted.
//!
//! ## Words
//!
//! | word | means |
//! |---|---|
//! | stream | the packets of one CPU, or of all, in order; it outlives its rings |
//! | ring | the memory that a stream writes to at the moment: sub-buffers, round and round |
//! | lap | once round the ring |
//! | packet | what was written to a sub-buffer in one lap; *open* until it is full or flushed, then *complete* |
//! | slot | reserved space for one record, while a closure fills it |
//! | filler | what a record that was given up leaves where something was reserved behind it; readers skip it |
//! | tick | the call in which a CPU does what others have asked of its stream |
//!
//! # The promise
//!
//! Every attempt to write ends in a delivered record or in a counted loss:
//! `attempted = delivered + lost (by reason) + overwritten`. Each [`Packet`] (what a sub-buffer
//! holds) carries its number, the number of its first record, how many it holds, and the losses up
//! to it; the last packet of a closed stream [says so](Packet::is_final). A consumer can therefore
//! prove that nothing is missing, from what it has received alone.
//!
//! # The first record
//!
//! ```
//! use relay::host::{Cpu, Host};
//! use relay::{Channel, Geometry, NoHooks, StaticMemory, Storage};
//!
//! // Four sub-buffers of 1 KiB, checked by the compiler.
//! const GEOMETRY: Geometry = match Geometry::new(1024, 4) {
//!     Ok(geometry) => geometry,
//!     Err(_) => panic!(),
//! };
//! static MEMORY: StaticMemory<{ Storage::bytes_for(&GEOMETRY) }> = StaticMemory::new();
//! static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
//!
//! let cpu = Cpu::claim(); // this thread is a CPU
//! LOG.start(cpu.number(), MEMORY.take().unwrap(), GEOMETRY)?;
//!
//! LOG.write(b"hello, ")?;
//! LOG.write(b"world")?;
//! LOG.flush(); // or wait until the sub-buffer is full
//!
//! let mut reader = LOG.reader(cpu.number())?;
//! let taken = reader.next_subbuf().unwrap();
//! assert_eq!(taken.records(), b"hello, world");
//! assert_eq!(taken.packet().records, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The machine
//!
//! relay knows no hardware and needs no allocator. Of a kernel it wants a [`Platform`]: the number
//! of this CPU, and to stay on it for a moment; the time. Three more functions are optional: the
//! [`Context`], for records that say it; to wake a reader; to have another CPU tick. It is an
//! `unsafe` trait, because the words of one CPU are written without `LOCK`: what you promise is
//! [listed there](Platform#implementation-safety).
//!
//! Each CPU calls [`Channel::tick`] from its timer interrupt: that is where it does what others ask
//! of its stream. Nobody else ever writes to it.
//!
//! `docs/PORTING.md` of the project goes through a port of about sixty lines, which runs:
//! `cargo run -p relayfs --example port`. Programs on a host have one ready in [`host`].
//!
//! # Writing
//!
//! | function | the record is | costs beside the bytes |
//! |---|---|---|
//! | [`write`](Channel::write) | these bytes | nothing: the clock is read where a sub-buffer begins or ends or another record of the CPU is under way, and in record delivery |
//! | [`write_array`](Channel::write_array) | as many bytes as the type says | the same; the shortest code |
//! | [`write_event`](Channel::write_event), [`write_event_array`](Channel::write_event_array) | a [header](record) with time and event id, then these bytes | a look at the clock |
//! | [`emit`](Channel::emit) | an [event](event::Event) of a type of yours, in place | a look at the clock |
//! | [`reserve_with`](Channel::reserve_with) | what you make of it, in place | a look at the clock |
//!
//! A [`Slot`] is space that is yours alone until the closure that is given it returns; then it is
//! committed. Before that it can be cut ([`keep`](Slot::keep)), or given up: then it counts as
//! lost. What takes long, or may fail, comes before: do not touch memory of others in there, nor
//! wait. Nested writes are delivered behind it.
//!
//! ```
//! # use relay::host::{Cpu, Host};
//! # use relay::{Channel, Geometry, Loss, NoHooks, Storage, WriteError};
//! # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
//! # let cpu = Cpu::claim();
//! # let geometry = Geometry::new(64, 2)?;
//! # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
//! let kept = LOG.reserve_with(16, |slot| {
//!     slot.bytes_mut()[..3].copy_from_slice(b"abc");
//!     slot.keep(3)
//! })?;
//! assert_eq!(kept, 3);
//!
//! // In a ring of 2 times 64 bytes:
//! assert_eq!(LOG.write(&[0; 65]), Err(WriteError::Lost(Loss::TooBig)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An error of a write is no call for action: the record is lost, and [counted](Loss) under its
//! reason. There is nothing to repeat and nobody to wait for.
//!
//! # Reading
//!
//! | reader | gets | consumes |
//! |---|---|---|
//! | [`Reader`] | complete sub-buffers, where they lie | yes; one at a time per stream |
//! | [`Records`], around a `Reader` | runs of records, or bytes; in record delivery as soon as they are committed | yes |
//! | [`Observer`] | copies of complete sub-buffers; [the last few](Observer::read_last) | no; any number of them |
//! | [`fs::Window`], around a `Reader` | sub-buffers by number, for a consumer that is not trusted | yes |
//! | [`Salvage`] | what a stopped CPU left, committed or not | no |
//!
//! They run on any CPU, in task or IRQ context. A [`SubBuffer`] is the reader's until it is
//! dropped: several can be held and given back in any order, so each may be on its way through a
//! device meanwhile.
//!
//! Who has read everything [asks for the rest](Reader::request_flush), which comes at the next tick
//! of that CPU, and may [go to sleep](Reader::prepare_to_sleep): whatever becomes readable after
//! that calls [`Platform::wake`]. Streams are merged by time with [`Reader::quiet_since`], without
//! waiting for those that are silent.
//!
//! # Mode, delivery, usage
//!
//! | choice | one way | the other way |
//! |---|---|---|
//! | [`Mode`] | `NoOverwrite`: what finds the ring full is lost; what is there stays | `Continuous`: the oldest is overwritten (flight recorder) |
//! | [`Delivery`] | `Bulk`: whole sub-buffers | `Record`: also each record, as soon as it is committed; no-overwrite mode only |
//! | [`Usage`] | [`PerCpu`]: a stream per CPU | [`Global`]: one stream for all CPUs, in one order; LOCKed instructions |
//! | [spare blocks](Geometry::with_spares) | none: what a reader holds is missing in the ring | as many as readers hold: nothing is missing; in continuous mode needed to observe |
//!
//! Mode, delivery and sizes are the [`Geometry`] of a ring. Usage is part of the channel's type:
//! `Channel<P, CPUS, Global>`. Its one stream is that of all CPUs:
//!
//! | what | in a global channel |
//! |---|---|
//! | the number of the stream | 0, for `start`, `reader`, `stats`, in [`Packet::cpu`] and for hooks, whoever writes |
//! | `flush`, `close`, `replace`, `reset`, on any CPU | those of the one stream |
//! | [`tick`](Channel::tick) | any CPU's does what is asked of the stream; each CPU that writes must tick for old rings to be freed |
//! | a record that is given up | leaves a filler; the space is never given back |
//! | [`quiet_since`](Reader::quiet_since) | 0: there is nothing to merge |
//! | [`salvage`](Channel::salvage) | is not there: who was at work in it when the machine stopped cannot be told from one CPU's words |
//!
//! ```
//! # use relay::host::{Cpu, Host};
//! # use relay::{Channel, NoHooks, Storage};
//! use relay::{Geometry, Global, Mode};
//!
//! // A flight recorder: the last records of all CPUs, in one order.
//! static RECORDER: Channel<Host, 8, Global> = Channel::new(Host, &NoHooks);
//!
//! # let cpu = Cpu::claim();
//! let geometry = Geometry::new(64, 2)?.with_mode(Mode::Continuous)?.with_spares(1)?;
//! RECORDER.start(0, Storage::allocate(&geometry)?, geometry)?;
//! for number in 0..100u64 {
//!     RECORDER.write_array(&number.to_le_bytes())?;
//! }
//! RECORDER.flush();
//!
//! let mut copy = [0; 64];
//! let mut newest = None;
//! RECORDER.observe(0)?.read_last(1, &mut copy, |packet, _| {
//!     newest = Some(packet.ordinal + packet.records);
//! })?;
//! assert_eq!(newest, Some(100));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Early start, larger rings
//!
//! A channel is a `static`, and its first ring lies in [`StaticMemory`]: it works before there is a
//! heap, by the same code as ever after. Later a stream moves to another ring, larger or smaller,
//! while it is written and read; no record is lost, doubled or reordered by that.
//!
//! | to | call | by |
//! |---|---|---|
//! | give a CPU its first ring | [`start`](Channel::start) | the boot CPU, before that CPU writes |
//! | move one's own stream now | [`replace`](Channel::replace) | its CPU |
//! | move any stream, at its CPU's next tick | [`resize`](Channel::resize) | anybody |
//! | begin anew; what is unread counts as overwritten | [`reset`](Channel::reset) | its CPU |
//! | free the rings that were left | [`reclaim`](Channel::reclaim) | anybody, now and then |
//! | know when to do it | [`take_peak`](Channel::take_peak), [`Hooks::needs_resize`] | |
//! | have all that done by its load | `Channel::adapt` (feature `alloc`) | anybody, now and then |
//!
//! ```
//! # use relay::host::{Cpu, Host};
//! # use relay::{Channel, Geometry, NoHooks, Storage};
//! # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
//! # let cpu = Cpu::claim();
//! # let small = Geometry::new(64, 2)?;
//! # LOG.start(cpu.number(), Storage::allocate(&small)?, small)?;
//! LOG.write(b"in the small ring")?;
//! let large = Geometry::new(4096, 16)?;
//! LOG.resize(cpu.number(), Storage::allocate(&large)?, large)?;
//! LOG.tick(); // from the timer interrupt
//! LOG.write(b", in the large one")?;
//! LOG.flush();
//!
//! let mut reader = LOG.reader(cpu.number())?;
//! assert_eq!(reader.next_subbuf().unwrap().records(), b"in the small ring");
//! assert_eq!(reader.next_subbuf().unwrap().records(), b", in the large one");
//! LOG.tick();
//! assert_eq!(LOG.reclaim(cpu.number()), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The ledger
//!
//! | count | in a packet | now, of a stream |
//! |---|---|---|
//! | packets | [`sequence`](Packet::sequence): its number, without gaps | [`StreamStats::packets`] |
//! | delivered records | [`ordinal`](Packet::ordinal): how many came before; [`records`](Packet::records): how many it holds | [`StreamStats::records`] |
//! | lost records, by [reason](Loss) | [`lost`](Packet::lost): up to its closing; the final packet's: all | [`StreamStats::lost`] |
//! | overwritten records | the gap between what came before and its ordinal | [`StreamStats::overwritten`] |
//! | lost because the CPU has no stream | | [`Channel::lost_no_ring`] |
//! | unread, held, unused | | [`StreamInfo`], from [`Channel::info`] |
//!
//! A reader adds up `records`, takes `lost` from the last packet, and has every attempt that the
//! stream's CPU made, exactly, once the stream is closed. Where losses happened is known to the
//! grain of a packet.
//!
//! ```
//! # use relay::host::{Cpu, Host};
//! # use relay::{Channel, Geometry, NoHooks, Storage};
//! # static LOG: Channel<Host, 8> = Channel::new(Host, &NoHooks);
//! # let cpu = Cpu::claim();
//! # let geometry = Geometry::new(64, 2)?;
//! # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
//! # let mut reader = LOG.reader(cpu.number())?;
//! let (attempted, mut delivered, mut lost) = (1000, 0, 0);
//! let mut read = |reader: &mut relay::Reader<'_>| while let Some(taken) = reader.next_subbuf() {
//!     delivered += taken.packet().records;
//!     lost = taken.packet().lost.total();
//! };
//! for number in 0..attempted {
//!     let _ = LOG.write_array(&u64::to_le_bytes(number));
//!     if number % 100 == 0 {
//!         read(&mut reader); // too slow: the ring holds 16 records
//!     }
//! }
//! read(&mut reader);
//! LOG.close()?;
//! read(&mut reader);
//! assert!(reader.is_at_end());
//! assert!(lost > 0);
//! assert_eq!(attempted, delivered + lost);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The end, and panics
//!
//! [`Channel::close`] ends the stream of the calling CPU: its last packet is
//! [final](Packet::is_final), and what is written after it is counted as lost ([`Loss::Closed`]).
//! [`Channel::request_close`] has another CPU do it.
//!
//! When a kernel panics, its other CPUs are stopped in the middle of anything. [`Channel::salvage`]
//! reads what each has left, and changes nothing: complete packets as they are; of open ones
//! whatever was committed, and how many records were not. That a CPU has [`Stopped`] is your word.
//!
//! # Headers, hooks, CTF
//!
//! A sub-buffer may begin and end with bytes of the client's own: the
//! [reserves](Geometry::with_reserves). [`Hooks`] fill them when a packet begins and when it is
//! complete, make [fillers](Hooks::fill) of what was given up, and hear of deliveries. A channel of
//! plain bytes has [`NoHooks`]; one whose records begin with relay's own [header](record) has
//! [`record::Framed`].
//!
//! [`ctf`] uses all that to make every sub-buffer a packet of the Common Trace Format, in place, so
//! that what comes out of the kernel is what any reader of CTF reads; and writes the metadata that
//! explains it.
//!
//! With the feature `line`, `relay::line` sends packets over a serial line, or anything that takes
//! bytes, and finds its way through noise and late readers.
//!
//! # The namespace
//!
//! [`fs`] gives streams names: `/klog/0`, `/trace/sched/3`. Whoever reads lists, opens and polls
//! files, and need not know channels, platforms or types. It could as well run outside the kernel.
//!
//! # Clients
//!
//! [`clients::klog`] carries text for people, with time, context, severity and place; with the
//! feature `log` it is a backend of the `log` facade, and `log::info!` works everywhere: in NMI
//! handlers, before the heap, in the last panic.
//!
//! # Contexts
//!
//! Each function says from which contexts it may be called: *task*, *IRQ* (a maskable interrupt's
//! handler), *NMI*, *panic*. Whatever writes records may be called from all of them.
//!
//! | context | may | must not |
//! |---|---|---|
//! | task | everything | |
//! | IRQ | write, flush, tick, close, read, observe; replace by memory that is not from the heap | allocate, reclaim, resize |
//! | NMI, and exceptions that come like one | write, flush, look at counts | tick, close, read |
//! | panic | write; when the others have stopped: salvage | wait for anybody |
//!
//! # Limits
//!
#![doc = include_str!("../LIMITS.md")]
//!
//! # Features
//!
#![doc = include_str!("../FEATURES.md")]
//!
#![cfg_attr(not(feature = "std"), doc = "[`host`]: #features")]
#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(any(test, loom, feature = "std"))]
extern crate std;

#[doc(hidden)]
pub mod __private;
mod channel;
pub mod clients;
pub mod ctf;
pub mod event;
#[cfg(doctest)]
mod forbidden;
pub mod fs;
#[cfg(feature = "std")]
#[expect(
    unsafe_code,
    reason = "the contract between a host and relay is an unsafe trait"
)]
pub mod host;
#[cfg(feature = "line")]
pub mod line;
mod macros;
#[expect(
    unsafe_code,
    reason = "the contract between a kernel and relay is an unsafe trait"
)]
mod platform;
pub mod record;
#[expect(unsafe_code, reason = "memory that is shared by protocol, not by type")]
mod ring;
#[expect(
    unsafe_code,
    reason = "single instructions as atomic steps; references behind atomic words"
)]
mod sync;

pub use relay_macros::Enum;

pub use channel::{Channel, OpenError, StartError};
pub use platform::{Context, Platform, Who};
#[cfg(any(
    target_arch = "x86_64",
    target_arch = "aarch64",
    target_arch = "riscv64"
))]
pub use platform::{Interrupts, IrqOff, Processor};
#[cfg(feature = "stress")]
pub use ring::Phase;
pub use ring::{
    Delivery, Flushed, Geometry, GeometryError, Hooks, Loss, Losses, Mode, NoHooks, ObserveError,
    Observer, Packet, PacketStart, Reader, Records, Run, STORAGE_ALIGN, Salvage, SalvagedPacket,
    Slot, StaticMemory, Stopped, Storage, StorageError, StreamError, StreamInfo, StreamStats,
    SubBuffer, WriteError,
};
pub use sync::{Global, PerCpu, Usage};

/// The crate's README; its example runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct OwnReadme;

/// The project's README, likewise.
#[cfg(all(doctest, feature = "log"))]
#[doc = include_str!("../../README.md")]
struct Readme;
