//! A tracepoint of four integers, by ktracepoint.
//!
//! What a kernel must give it is here as cheap as it can be: the process number is a constant, the
//! state of the tracepoint is read without a lock (as with RCU), and names of processes are not
//! kept.

use crate::Peer;
use ktracepoint::ExtTracePoint;
use nix::sys::mman::{ProtFlags, mprotect};
use std::cell::UnsafeCell;
use std::ptr::NonNull;

pub(crate) fn peers() -> Vec<Peer> {
    static_keys::global_init();
    vec![
        crate::peer(
            (
                "ktracepoint",
                "disabled",
                "patched into the code; nothing is written",
            ),
            off::prepare,
            off::event,
        ),
        crate::peer(
            (
                "ktracepoint",
                "four integers, dropped",
                "no clock, no buffer: the kernel's part is a call that ignores 40 bytes",
            ),
            dropping::prepare,
            dropping::event,
        ),
        crate::peer(
            (
                "ktracepoint",
                "four integers, its TracePipeRaw",
                "clock, a spin lock, an allocation for each event; not in NMIs, no loss counts",
            ),
            piping::prepare,
            piping::event,
        ),
    ]
}

/// The state of a tracepoint.
struct State<K: ktracepoint::KernelTraceOps>(UnsafeCell<Option<ExtTracePoint<K>>>);

// SAFETY: this program has one thread, and what it runs while it reads the state does not write it.
unsafe impl<K: ktracepoint::KernelTraceOps> Sync for State<K> {}

/// A tracepoint in a kernel whose buffer is `$push`, turned on if `$is_on`.
macro_rules! tracepoint {
    ($kernel:ident, $is_on:literal, $push:expr, $prepare:expr) => {
        mod $kernel {
            extern crate alloc;
            use ktracepoint::{ExtTracePoint, KernelTraceOps, TraceCallbackType, TraceDefaultFunc};
            use std::cell::UnsafeCell;
            use std::ffi::c_void;
            use std::sync::{Arc, Once};

            static STATE: super::State<Kernel> = super::State(UnsafeCell::new(None));

            pub(super) struct Kernel;

            impl KernelTraceOps for Kernel {
                fn current_pid() -> u32 {
                    1
                }
                #[inline]
                fn trace_pipe_push_raw_record(event: &[u8]) {
                    $push(event);
                }
                fn trace_cmdline_push(_pid: u32) {}
                fn write_kernel_text(address: *mut c_void, code: &[u8]) {
                    super::write_text(address, code);
                }
                #[inline]
                fn read_tracepoint_state<R>(
                    _id: u32,
                    read: impl FnOnce(&ExtTracePoint<Self>) -> R,
                ) -> R {
                    // SAFETY: nobody writes it meanwhile: there is one thread.
                    let state = unsafe { &*STATE.0.get() };
                    read(state.as_ref().expect("it was prepared"))
                }
                fn write_tracepoint_state<R>(
                    _id: u32,
                    write: impl FnOnce(&mut ExtTracePoint<Self>) -> R,
                ) -> R {
                    // SAFETY: nobody reads it meanwhile: there is one thread.
                    let state = unsafe { &mut *STATE.0.get() };
                    write(state.as_mut().expect("it was prepared"))
                }
            }

            ktracepoint::define_event_trace!(
                four,
                TP_kops(Kernel),
                TP_system(peers),
                TP_PROTO(a: u64, b: u64, c: u64, d: u64),
                TP_STRUCT__entry { a: u64, b: u64, c: u64, d: u64 },
                TP_fast_assign { a: a, b: b, c: c, d: d },
                TP_ident(__entry),
                TP_printk(format_args!("{} {} {} {}", __entry.a, __entry.b, __entry.c, __entry.d))
            );

            /// What `ktracepoint::global_init_events` does, for one tracepoint: that needs a
            /// section that a host's linker script does not have.
            pub(super) fn prepare() {
                static ONCE: Once = Once::new();
                ONCE.call_once(|| {
                    // SAFETY: a function as the macro itself passes it to that.
                    let func = unsafe {
                        std::mem::transmute::<*const (), fn()>(trace_default_four::<Kernel> as *const ())
                    };
                    let data = Box::new(());
                    let default = Arc::new(TraceDefaultFunc { func, data });
                    let mut point = ExtTracePoint::new(&__four, default.clone());
                    if $is_on {
                        point.register(TraceCallbackType::Default(default));
                    }
                    // SAFETY: nobody reads it meanwhile: there is one thread.
                    unsafe { *STATE.0.get() = Some(point) };
                });
                $prepare();
            }

            #[inline(always)]
            pub(super) fn event(&[a, b, c, d]: &[u64; 4]) {
                trace_four(a, b, c, d);
            }
        }
    };
}

tracepoint!(off, false, std::hint::black_box, || {});
tracepoint!(dropping, true, std::hint::black_box, || {});
tracepoint!(
    piping,
    true,
    |event: &[u8]| {
        let mut pipe = super::PIPE.lock();
        pipe.push_record(super::ticks(), 0, event.to_vec());
    },
    || super::PIPE.lock().clear()
);

/// The crate's own buffer, with room for a batch: it does not overwrite, which moves all records.
static PIPE: spin::Mutex<ktracepoint::TracePipeRaw> =
    spin::Mutex::new(ktracepoint::TracePipeRaw::new(65536));

fn ticks() -> u64 {
    // SAFETY: every x86_64 processor has the instruction.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// Changes the program.
fn write_text(address: *mut std::ffi::c_void, code: &[u8]) {
    const PAGE: usize = 4096;
    let first = address.map_addr(|address| address & !(PAGE - 1));
    let len = (address.addr() + code.len() - first.addr()).next_multiple_of(PAGE);
    let pages = NonNull::new(first).expect("code has an address");
    let (readable, writable) = (
        ProtFlags::PROT_READ | ProtFlags::PROT_EXEC,
        ProtFlags::PROT_WRITE,
    );
    // SAFETY: these are pages of code, which stay readable and executable; one thread runs.
    unsafe { mprotect(pages, len, readable | writable) }.expect("code can be made writable");
    // SAFETY: they are writable, and this code is not the one that is written.
    unsafe { address.cast::<u8>().copy_from(code.as_ptr(), code.len()) };
    // SAFETY: as above.
    unsafe { mprotect(pages, len, readable) }.expect("code can be made constant again");
}
