//! Where statements go: what [`sink!`](crate::sink) says, found by the linker.

use super::{FieldsMut, Site};
use crate::sync::Scratch;
use core::fmt;

/// What takes the records of statements. A [channel](crate::Channel) is one; a kernel may have its
/// own around that, which counts attempts, say. There is one per program: [`sink!`](crate::sink)
/// says which.
pub trait Sink: Sync {
    /// Writes a record with this event id, a [stamp](crate::record::Stamp) and these fields. Any
    /// context. What is lost is counted there.
    fn put(&self, event: u16, fields: &[u8]);

    /// How many bytes the fields of a record may have now, on this CPU. Any context.
    fn room(&self) -> usize;

    /// Writes what is said at `site`, formatted already: where classes are [not
    /// collected](super::HAS_REGISTRY). Any context.
    fn say(&self, site: &Site, message: fmt::Arguments<'_>);
}

/// Says where the statements of this program go: to a `static` that is a
/// [`Sink`](crate::event::Sink), such as a [channel](crate::Channel). Once in a program, in whichever crate; a
/// program with statements and without it does not link, `__relay_put` is missing then.
///
/// ```
/// use relay::host::{Cpu, Host};
/// use relay::record::Framed;
/// use relay::{Channel, Geometry, Storage};
///
/// static LOG: Channel<Host, 8> = Channel::new(Host, &Framed);
/// relay::sink!(LOG);
///
/// # let cpu = Cpu::claim();
/// # let geometry = Geometry::new(1024, 4)?;
/// # LOG.start(cpu.number(), Storage::allocate(&geometry)?, geometry)?;
/// let task = 7;
/// relay::info!("woke task {task}");
/// # LOG.flush();
/// # assert_eq!(LOG.stats(cpu.number()).unwrap().records, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! sink {
    ($sink:path) => {
        const _: () = {
            // SAFETY: these names are relay's; a second definition does not link.
            #[unsafe(no_mangle)]
            #[inline(always)]
            fn __relay_put(event: u16, fields: &[u8]) {
                $crate::event::Sink::put(&$sink, event, fields);
            }

            // SAFETY: as above.
            #[unsafe(no_mangle)]
            fn __relay_room() -> usize {
                $crate::event::Sink::room(&$sink)
            }

            // SAFETY: as above.
            #[unsafe(no_mangle)]
            fn __relay_say(site: &$crate::event::Site, message: ::core::fmt::Arguments<'_>) {
                $crate::event::Sink::say(&$sink, site, message);
            }
        };
    };
}

// SAFETY: `sink` defines them, with these types; nobody else has these names.
unsafe extern "Rust" {
    safe fn __relay_put(event: u16, fields: &[u8]);
    safe fn __relay_room() -> usize;
    safe fn __relay_say(site: &Site, message: fmt::Arguments<'_>);
}

/// Bytes of a statement's fields that have so many always, at most; more take the way of those
/// that vary.
const FEW: usize = 128;

/// Bytes of a statement's fields, at most.
const MANY: usize = 1100;

/// Bytes of all fields, if each always has the same.
#[doc(hidden)]
#[must_use]
pub const fn sum(sizes: &[Option<usize>]) -> Option<usize> {
    let mut sum = 0;
    let mut at = 0;
    while at < sizes.len() {
        match sizes[at] {
            Some(size) => sum += size,
            None => return None,
        }
        at += 1;
    }
    Some(sum)
}

/// The same of a statement, whose fields must find room in a record when all texts are cut to
/// nothing: what does not, does not compile.
#[doc(hidden)]
#[must_use]
pub const fn sum_of_statement(sizes: &[Option<usize>]) -> Option<usize> {
    let mut least = 0;
    let mut at = 0;
    while at < sizes.len() {
        least += match sizes[at] {
            Some(size) => size,
            // The length of a text, or the zero byte behind it.
            None => 2,
        };
        at += 1;
    }
    assert!(
        least <= MANY,
        "the arguments of a statement take at most 1100 bytes in all"
    );
    sum(sizes)
}

/// Writes a statement's record. `store` stores its fields, of `size` bytes if they always have the
/// same. Any context.
#[doc(hidden)]
#[inline(always)]
pub fn send(id: u16, size: Option<usize>, store: impl Fn(&mut FieldsMut<'_>)) {
    match size {
        Some(size) if size <= FEW => {
            let mut room = Scratch::<FEW>::new();
            let bytes = &mut room.bytes()[..size];
            store(&mut FieldsMut::new(bytes));
            __relay_put(id, bytes);
        }
        _ => send_what_varies(id, store),
    }
}

/// Writes a statement's record whose fields have texts. Put together on the stack: what is printed
/// there may take long, or log itself; and where it is too long for a packet, the texts are cut.
#[inline(never)]
fn send_what_varies(id: u16, store: impl Fn(&mut FieldsMut<'_>)) {
    let mut scratch = Scratch::<MANY>::new();
    let room = __relay_room().min(MANY);
    let bytes = &mut scratch.bytes()[..room];
    let mut fields = FieldsMut::within(bytes, usize::MAX);
    store(&mut fields);
    let (left, missing, texts) = (fields.left(), fields.missing(), fields.texts());
    let mut len = room - left;
    if missing != 0 {
        let (count, text_bytes) = texts;
        let others = (len + missing).saturating_sub(text_bytes);
        let each = room.saturating_sub(others).checked_div(count);
        let mut fields = FieldsMut::within(bytes, each.unwrap_or_default());
        store(&mut fields);
        len = room - fields.left();
        if fields.missing() != 0 {
            // Not even without its texts, so that `room` is below what all fields need, and that is
            // below MANY: the sink refuses it, and counts it.
            return put_many(id, &scratch.bytes()[..]);
        }
    }
    put_many(id, &bytes[..len]);
}

/// There once: where the linker inlines what it finds, it would be in each statement with a text.
#[inline(never)]
fn put_many(id: u16, fields: &[u8]) {
    __relay_put(id, fields);
}

/// Writes a statement that is formatted where it stands. Any context.
#[doc(hidden)]
pub fn say(site: &'static Site, message: fmt::Arguments<'_>) {
    __relay_say(site, message);
}
