//! The first instruction, and what surrounds the program.

use core::slice;
use core::str;

use crate::say;
use crate::sys;

/// Says which function the program is: `fn(&str) -> u32`. It gets its arguments, and its result is
/// the code that the program ends with. Once in a program.
///
/// On a host the program says what it is, and does nothing.
#[macro_export]
macro_rules! entry {
    ($main:path) => {
        #[cfg(target_os = "none")]
        const _: () = {
            // SAFETY: the name is the runtime's; a second definition does not link.
            #[unsafe(no_mangle)]
            fn __relay_main(arguments: &'static str) -> u32 {
                let main: fn(&'static str) -> u32 = $main;
                main(arguments)
            }
        };

        #[cfg(not(target_os = "none"))]
        fn main() {
            let _: fn(&'static str) -> u32 = $main;
            ::std::println!("This is a program of relay's kernel: it runs there, not here.");
        }
    };
}

/// The first instructions. The kernel begins here with `rdi` = the address of the arguments, `rsi` =
/// their length, and a stack that is a multiple of 16. A frame pointer of 0 ends every backtrace.
#[cfg(target_os = "none")]
#[unsafe(naked)]
// SAFETY: the linker script asks for this name, and nobody else has it.
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    core::arch::naked_asm!("xor ebp, ebp", "call {start}", "ud2", start = sym start)
}

/// Runs the program, and ends it.
///
/// # Safety
/// `address` and `length` must be those of bytes that stay as they are while the program runs.
#[doc(hidden)]
pub unsafe extern "C" fn start(address: *const u8, length: usize) -> ! {
    let arguments: &'static [u8] = match length {
        0 => &[],
        // SAFETY: they lie on the first thread's stack, above what it uses, and the stack stays until
        // the program has ended.
        _ => unsafe { slice::from_raw_parts(address, length) },
    };
    say::begin();
    let Ok(arguments) = str::from_utf8(arguments) else {
        relay::error!("the arguments are no text");
        sys::exit(100)
    };
    #[cfg(target_os = "none")]
    {
        // SAFETY: `entry` defines it, with this type; nobody else has this name.
        unsafe extern "Rust" {
            safe fn __relay_main(arguments: &'static str) -> u32;
        }
        sys::exit(__relay_main(arguments))
    }
    #[cfg(not(target_os = "none"))]
    {
        let _ = arguments;
        sys::exit(0)
    }
}

/// Says why the program cannot go on, and ends it with code 101.
#[cfg(target_os = "none")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    say::panicked(info);
    sys::exit(101)
}
