//! The end of the machine: QEMU's `isa-debug-exit` device.

use x86_64::instructions::port::Port;

/// Where `qemu-runner.sh` puts the device: `-device isa-debug-exit,iobase=0xf4,iosize=4`.
const PORT: u16 = 0xf4;

/// How the machine ends. QEMU exits with `(value << 1) | 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum ExitCode {
    /// The scenario did what it should: QEMU exits with 33.
    Pass = 0x10,
    /// The scenario, or the kernel, failed: QEMU exits with 35.
    Fail = 0x11,
}

/// Ends the machine. May be called from any context on any CPU.
///
/// Where there is no such device the write goes nowhere, and this CPU halts for ever.
pub(crate) fn exit(code: ExitCode) -> ! {
    let mut port = Port::<u32>::new(PORT);
    // SAFETY: the port belongs to isa-debug-exit, or to nothing: a write either
    // ends QEMU or is ignored. It touches no memory.
    unsafe { port.write(code as u32) };
    crate::cpu::halt_forever()
}
