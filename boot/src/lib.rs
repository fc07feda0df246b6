//! From power-on to the entry of a [`bootloader_api`] kernel.
//!
//! QEMU's `-kernel` (or any loader that follows the PVH boot protocol) loads the kernel's ELF file
//! and enters this crate's 32-bit stub through an ELF note. The stub switches to 64-bit mode on
//! scaffold page tables; the rest is Rust in the high half: it copies what the loader passed,
//! decides where everything goes, builds the final page tables, and calls the `_start` that
//! [`bootloader_api::entry_point!`] defines. The kernel stays an ordinary `bootloader_api` kernel:
//! it needs no disk image, only this crate and its linker script (`boot/link.ld`).
//!
//! # What the kernel finds at its entry
//!
//! Interrupts are off, there is no IDT, only the boot CPU runs, on a stack of the configured size.
//! The [`BootInfo`](bootloader_api::BootInfo) is complete but for what PVH machines do not have
//! (frame buffer, thread-local storage). `kernel_addr` and `kernel_len` describe the loaded image,
//! not an ELF file, which is not in memory. The memory map is sorted and without overlaps; nothing
//! below 1 MiB is usable, nor is the memory of kernel, boot, and modules.
//!
//! | root entry | virtual | what | rights |
//! |---|---|---|---|
//! | 0 | `0x8000` | [`TRAMPOLINE_PAGE`], identity | read, execute |
//! | 256.. | `0xffff800000000000` | physical memory, if configured: the first 4 GiB and all RAM above, 2 MiB pages | read, write; the kernel's text and rodata: read |
//! | 507 | `0xfffffd8000000000` | ramdisk, only if physical memory is not mapped | read, write |
//! | 508 | `0xfffffe0000000000` | guard page, then the kernel stack | read, write |
//! | 509 | `0xfffffe8000000000` | boot info and memory regions | read, write |
//! | 510 | `0xffffff0000000000` | page tables, if configured recursive | read, write |
//! | 511 | `0xffffffff80200000` | kernel: text; rodata; data | read, execute; read; read, write |
//!
//! Nothing else is mapped, not even the first page. The addresses of the entries 256 to 510 are
//! those of [`Mapping::Dynamic`](bootloader_api::config::Mapping::Dynamic); fixed addresses and
//! the dynamic range are honoured. Large pages of the first 4 GiB without RAM are mapped
//! uncacheable (device registers); where RAM and devices share a large page, and everywhere else,
//! the firmware's MTRRs decide. Device registers above 4 GiB are not mapped. Physical memory is
//! mapped writable but for the kernel's own code and constants: nothing that is executable or
//! constant can be written through any address, but the trampoline page. The large pages that they
//! share with other memory are made of small ones.
//!
//! # Starting other CPUs
//!
//! An application processor starts in real mode in the [`TRAMPOLINE_PAGE`], with code that the
//! kernel wrote there through the mapping of physical memory. The tables of the boot CPU can be
//! used as they are: the root table lies below 4 GiB, so that a 32-bit CR3 can hold it. Before
//! `CR0.PG`, set `CR4.PAE`, and `EFER.NXE` along with `EFER.LME` (without it no-execute bits are
//! reserved, and fault); afterwards the code goes on in the trampoline page until it jumps to the
//! high half. The page cannot be written to at its identity address.
//!
//! # When something is wrong
//!
//! There is no log yet, so nothing is printed: [`report`] lists what went wrong, and the kernel
//! logs it. It is entered on what works even if that is not enough to go on
//! ([`Report::is_fatal`]). Only where no kernel can run the machine ends with 0x12 on the
//! isa-debug-exit port (QEMU exits with 37); the 32-bit stub then prints a line that begins with
//! `!!` on COM1.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    not(any(test, target_os = "none")),
    expect(dead_code, reason = "only the bare machine boots")
)]

#[cfg(target_os = "none")]
mod entry;

mod cmdline;
mod config;
mod error;
mod image;
mod layout;
mod list;
mod memmap;
mod paging;
mod physical;
mod plan;
mod pvh;
mod rsdp;
mod span;
mod state;
mod what;

pub use error::{BootError, Report};
pub use image::KernelImage;
pub use layout::TRAMPOLINE_PAGE;
pub use what::What;

/// Keeps an array of bytes in a section of the kernel's ELF file, for whoever has the file. The
/// section must be named in boot's linker script, which says that it is not loaded.
#[macro_export]
macro_rules! keep_in_elf {
    ($section:literal, $bytes:expr) => {
        const _: () = {
            // SAFETY: nothing else is in a section of this name, and nothing is loaded from it.
            #[used]
            #[unsafe(link_section = $section)]
            static KEPT: [u8; { $bytes.len() }] = $bytes;
        };
    };
}

/// The kernel command line (`-append`), without what [`report`] says was cut off; empty if there
/// is none. Any context; on the host always empty.
#[must_use]
pub fn command_line() -> &'static str {
    state::get().machine.command_line.as_str()
}

/// What went wrong during boot. Any context; on the host always empty.
#[must_use]
pub fn report() -> &'static Report {
    &state::get().report
}

/// The time-stamp counter of the boot CPU at its first instruction here. Any context; on the host
/// always 0.
#[must_use]
pub fn entry_ticks() -> u64 {
    state::get().entry_ticks
}

/// Where the kernel image lies. Any context; on the host all ranges are empty.
#[must_use]
pub fn kernel_image() -> &'static KernelImage {
    &state::get().image
}
