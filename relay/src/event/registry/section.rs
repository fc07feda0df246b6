//! Entries in a section of an ELF file.

#![expect(unsafe_code, reason = "entries that the linker collects")]

use core::arch::asm;
use core::hint::black_box;
use core::mem::transmute;
use core::ptr::with_exposed_provenance;

use crate::event::registered::{Describe, FIRST, Registered};

/// Whether classes are collected on this target: 64-bit x86, Arm or RISC-V, ELF, not Miri. Where
/// not, statements are formatted where they stand, and events need ids and a list by hand.
pub const HAS_REGISTRY: bool = true;

/// Bytes of an entry.
const ENTRY: usize = size_of::<i32>();

/// An entry without a class: so that there is the section, and its symbols, in every program.
#[used]
#[unsafe(link_section = "relay_classes")]
static NOTHING: i32 = 0;

/// Bytes that ids given by hand would take, were they entries in front of the others.
const BY_HAND: usize = FIRST as usize * ENTRY;

/// Where the entries begin, less so many bytes.
#[inline(always)]
fn start<const LESS: usize>() -> usize {
    let start: usize;
    // SAFETY: it makes an address, and changes nothing.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!(
            "lea {}, [rip + __start_relay_classes - {}]",
            out(reg) start,
            const LESS,
            options(pure, nomem, nostack, preserves_flags),
        );
        #[cfg(target_arch = "aarch64")]
        asm!(
            "adrp {0}, __start_relay_classes",
            "add {0}, {0}, :lo12:__start_relay_classes",
            "sub {0}, {0}, {1}",
            out(reg) start,
            const LESS,
            options(pure, nomem, nostack, preserves_flags),
        );
        #[cfg(target_arch = "riscv64")]
        asm!(
            "lla {}, __start_relay_classes - {}",
            out(reg) start,
            const LESS,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    start
}

/// Where the entries end.
fn stop() -> usize {
    let stop: usize;
    // SAFETY: it makes an address, and changes nothing.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!(
            "lea {}, [rip + __stop_relay_classes]",
            out(reg) stop,
            options(pure, nomem, nostack, preserves_flags),
        );
        #[cfg(target_arch = "aarch64")]
        asm!(
            "adrp {0}, __stop_relay_classes",
            "add {0}, {0}, :lo12:__stop_relay_classes",
            out(reg) stop,
            options(pure, nomem, nostack, preserves_flags),
        );
        #[cfg(target_arch = "riscv64")]
        asm!(
            "lla {}, __stop_relay_classes",
            out(reg) stop,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    stop
}

/// How many entries there are.
pub(super) fn count() -> usize {
    // It keeps the entry without a class in the program.
    black_box(&NOTHING);
    stop().wrapping_sub(start::<0>()) / ENTRY
}

/// What the entry at this place leads to; `None` if it is the one without a class.
pub(super) fn describe(place: usize) -> Option<Registered> {
    let entry = start::<0>().wrapping_add(place.wrapping_mul(ENTRY));
    // SAFETY: `place` is below `count`, so it lies between the two symbols, where the linker has
    // put entries of four bytes alone, aligned to four; they are constants.
    let distance = unsafe { with_exposed_provenance::<i32>(entry).read() };
    if distance == 0 {
        return None;
    }
    let function = entry.wrapping_add_signed(distance as isize);
    // SAFETY: an entry whose distance is not zero was made by `__registered`, which stores that to
    // a function of this type.
    let describe = unsafe { transmute::<*const (), Describe>(with_exposed_provenance(function)) };
    Some(describe())
}

/// The id of the class whose entry is at this address: FIRST and the place of the entry.
#[doc(hidden)]
#[inline(always)]
#[must_use]
pub fn id_at(entry: usize) -> u16 {
    // Both lie in one section: the lower halves tell.
    let distance = (entry as u32).wrapping_sub(start::<BY_HAND>() as u32);
    (distance / ENTRY as u32) as u16
}

/// Leaves an entry for a class: a function `$id`, which tells its id, for these types. `$class` is
/// a function with the same types that describes its fields. Names are those of symbols: two
/// classes with the same do not link.
#[doc(hidden)]
#[macro_export]
macro_rules! __registered {
    ($site:ident $id:ident [$($type:ident),*] $class:ident $($symbol:literal)*) => {
        #[inline(always)]
        fn $id<$($type: $crate::event::Value),*>() -> u16 {
            fn describe<$($type: $crate::event::Value),*>() -> $crate::event::Registered {
                $crate::event::Registered {
                    site: &$site,
                    class: $class::<$($type),*>(),
                }
            }

            // SAFETY: it is never called; what it has the assembler do is put the entry into its
            // section, once for each set of types.
            #[unsafe(naked)]
            extern "C" fn entry<$($type: $crate::event::Value),*>() {
                ::core::arch::naked_asm!(
                    ".pushsection relay_classes,\"a\",@progbits",
                    ".p2align 2",
                    $(
                        concat!(".globl \"relay event ", $symbol, "\""),
                        concat!("\"relay event ", $symbol, "\":"),
                    )*
                    ".globl {me}_entry",
                    ".hidden {me}_entry",
                    "{me}_entry:",
                    ".long {describe} - .",
                    ".popsection",
                    me = sym entry::<$($type),*>,
                    describe = sym describe::<$($type),*>,
                )
            }

            let at: usize;
            // SAFETY: it makes an address, and changes nothing.
            unsafe {
                #[cfg(target_arch = "x86_64")]
                ::core::arch::asm!(
                    "lea {at}, [rip + {me}_entry]",
                    at = out(reg) at,
                    me = sym entry::<$($type),*>,
                    options(pure, nomem, nostack, preserves_flags),
                );
                #[cfg(target_arch = "aarch64")]
                ::core::arch::asm!(
                    "adrp {at}, {me}_entry",
                    "add {at}, {at}, :lo12:{me}_entry",
                    at = out(reg) at,
                    me = sym entry::<$($type),*>,
                    options(pure, nomem, nostack, preserves_flags),
                );
                #[cfg(target_arch = "riscv64")]
                ::core::arch::asm!(
                    "lla {at}, {me}_entry",
                    at = out(reg) at,
                    me = sym entry::<$($type),*>,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
            $crate::event::id_at(at)
        }
    };
}
