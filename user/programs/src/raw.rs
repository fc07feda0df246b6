//! System calls with any numbers, for programs that do what none should.

use relay_abi::Error;
use relay_rt::sys::{self, Registers};

/// Makes a call.
///
/// It is not unsafe for its callers, which have no other purpose than to be wrong: they pass addresses
/// of memory that nobody relies on, of constants, of nothing, and numbers that are not thought about.
/// Where one of these meets what the program does rely on, the program goes wrong, which ends it.
pub fn call(number: u64, arguments: [u64; 6]) -> Registers {
    // SAFETY: see above: what the program relies on is not passed on purpose, and the kernel, which is
    // tried here, keeps all else from harm.
    unsafe { sys::raw(number, arguments) }
}

/// Makes a call, and returns its count.
///
/// # Errors
/// The kernel's.
pub fn count(number: u64, arguments: [u64; 6]) -> Result<u64, Error> {
    Error::check(call(number, arguments).rax)
}
