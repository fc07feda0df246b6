//! The classes that this program has: collected by the linker, with nothing to call at the start.
//!
//! Each use of a macro leaves an *entry* in the section `relay_classes`: four bytes, the distance
//! from the entry to a function that describes the class. The linker puts all of them side by side,
//! and makes the symbols `__start_relay_classes` and `__stop_relay_classes`, or the linker script
//! does. The id of a class is [`FIRST`] and the place of its entry; so ids are the same as long as
//! the program is.
//!
//! Types of a statement's arguments are inferred, and a `static` has none of these. But a generic
//! function has; and a [naked function](https://doc.rust-lang.org/reference/attributes/codegen.html)
//! may say what the assembler puts into another section, once for each set of types that the
//! program uses. So the entry is made by a naked function that is never called.
//!
//! What else would do, and why it is not used: a `static` by [linkme](https://docs.rs/linkme) needs
//! its types written out; assembly in an inlined function leaves an entry for each copy of it; a
//! list that statements join when they first run needs a call there, knows only what ran, and shares
//! one place among all types of a generic caller. An id that the linker computes would save three
//! instructions, and needs a program that is not position independent.
//!
//! Nobody writes any of it: entries and what they lead to are constants of the program.
//!
//! Targets whose programs are no ELF files have no such section, nor has Miri: see
//! [`HAS_REGISTRY`].

pub use super::registered::*;
use crate::record::EVENTS;

#[cfg_attr(
    all(
        any(
            target_arch = "x86_64",
            target_arch = "aarch64",
            target_arch = "riscv64"
        ),
        not(any(miri, windows, target_vendor = "apple", target_os = "uefi")),
    ),
    path = "registry/section.rs"
)]
#[cfg_attr(
    not(all(
        any(
            target_arch = "x86_64",
            target_arch = "aarch64",
            target_arch = "riscv64"
        ),
        not(any(miri, windows, target_vendor = "apple", target_os = "uefi")),
    )),
    path = "registry/nowhere.rs"
)]
mod entries;

pub use entries::HAS_REGISTRY;
#[doc(hidden)]
pub use entries::id_at;

/// All classes that this program has, by id. Any context.
///
/// There are at most 2^14 - 19; what the linker finds beyond that has no id, and is left out: its
/// records would be taken for others. [`overflow`] tells how many.
///
/// ```
/// relay::event! {
///     /// A task was woken.
///     #[event(channel = "sched", facility = "sched")]
///     pub struct TaskWoken { pub task: u32 }
/// }
///
/// # use relay::event::Event;
/// let woken = relay::event::registered().find(|class| class.site.name() == "task_woken");
/// # if relay::event::HAS_REGISTRY {
/// assert_eq!(woken.unwrap().class.id, TaskWoken::id());
/// # }
/// ```
pub fn registered() -> impl Iterator<Item = Registered> {
    (0..entries::count().min(MOST)).filter_map(numbered)
}

/// The class with this id, if it was collected. Any context.
#[must_use]
pub fn find(id: u16) -> Option<Registered> {
    let place = usize::from(id.checked_sub(FIRST)?);
    (place < entries::count().min(MOST)).then(|| numbered(place))?
}

/// How many classes have no id, since there are too many. Any context.
#[must_use]
pub fn overflow() -> usize {
    entries::count().saturating_sub(MOST)
}

/// Classes that can have an id.
const MOST: usize = (EVENTS - FIRST) as usize;

/// The class at this place of the section, with its id; `None` if no class is there.
fn numbered(place: usize) -> Option<Registered> {
    let mut registered = entries::describe(place)?;
    registered.class.id = FIRST + place as u16;
    Some(registered)
}
