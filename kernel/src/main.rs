//! The reference kernel of relay.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
use boot as _;

#[cfg(target_os = "none")]
bootloader_api::entry_point!(main);

#[cfg(target_os = "none")]
fn main(_info: &'static mut bootloader_api::BootInfo) -> ! {
    use x86_64::instructions::port::Port;
    // SAFETY: COM1 and isa-debug-exit; writing to them has no effect on memory.
    unsafe { Port::<u8>::new(0x3f8).write(b'k') };
    // SAFETY: as above.
    unsafe { Port::<u32>::new(0xf4).write(0x10) };
    loop {
        x86_64::instructions::hlt();
    }
}

#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        x86_64::instructions::hlt();
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    println!("This is a kernel. Boot it with `cargo run`, or with");
    println!("`cargo run -p kernel --target x86_64-unknown-none`.");
}
