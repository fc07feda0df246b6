//! From power-on to the entry of a `bootloader_api` kernel.
#![no_std]

#[cfg(target_os = "none")]
mod entry;
