//! Writing never allocates, wherever the record goes and whatever becomes of it.
#![cfg(all(feature = "alloc", feature = "log", not(loom)))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use relay::clients::klog::{self, Place, Severity};
use relay::{Channel, Delivery, Geometry, Mode, Platform, Storage, record::Framed};

/// The system's allocator, with a count of what each thread asks of it.
struct Counted;

std::thread_local! {
    static ASKED: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counted = Counted;

// SAFETY: all that the system's allocator promises.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// From one length to the next. An interpreter is slow.
const STEP: usize = if cfg!(miri) { 50 } else { 1 };

struct OneCpu;

// SAFETY: one thread uses it.
unsafe impl Platform for OneCpu {
    type Pinned = ();

    fn pin(&self) -> (usize, ()) {
        (0, ())
    }

    unsafe fn unpin(&self, (): ()) {}

    fn now(&self) -> u64 {
        7
    }
}

type One = Channel<OneCpu, 1>;

/// One of each way to write.
fn write_all_ways(channel: &One, len: usize) {
    let bytes = [1; 256];
    let _ = channel.write(&bytes[..len]);
    let _ = channel.write_array(&[2; 9]);
    let _ = channel.write_event(1, &bytes[..len]);
    let _ = channel.write_event_array(1, &[3; 9]);
    let _ = channel.reserve_with(len, |slot| {
        // Nested, and with something behind it.
        let _ = channel.write(&bytes[..9]);
        slot.write(&bytes);
        slot.keep(len / 2)
    });
    let _ = channel.reserve_with(len, |slot| {
        let _ = channel.write(&bytes[..9]);
        slot.give_up();
    });
    let place = Place {
        module: module_path!(),
        file: file!(),
        line: line!(),
    };
    let _ = klog::write(channel, Severity::Info, place, format_args!("{len} bytes"));
}

#[test]
fn writing_never_allocates() {
    ASKED.set(0);
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(ASKED.get(), 2, "it is counted");
    let mut shapes = 0;
    for mode in [Mode::NoOverwrite, Mode::Continuous] {
        for delivery in [Delivery::Bulk, Delivery::Record] {
            let shape = Geometry::new(256, 4).and_then(|shape| {
                let shape = shape.with_reserves(16, 8)?.with_mode(mode)?;
                shape.with_spares(1)?.with_delivery(delivery)
            });
            // Record delivery is refused where something is overwritten.
            let Ok(shape) = shape else { continue };
            shapes += 1;
            let channel = One::new(OneCpu, &Framed);
            channel
                .start(0, Storage::allocate(&shape).unwrap(), shape)
                .unwrap();
            let mut reader = channel.reader(0).unwrap();
            let mut read = 0;
            ASKED.set(0);
            for len in (1..=256).step_by(STEP) {
                write_all_ways(&channel, len);
                channel.flush();
                channel.tick();
                // Full now and then.
                while len % 3 != 0
                    && let Some(taken) = reader.next_subbuf()
                {
                    read += taken.packet().records;
                }
            }
            while channel.close().is_err() {
                read += reader.next_subbuf().unwrap().packet().records;
            }
            let _ = channel.write(&[1]);
            assert_eq!(ASKED.get(), 0, "{mode:?}, {delivery:?}");
            let stats = channel.stats(0).unwrap();
            assert!(read > 100 / STEP as u64, "{stats:?}");
            assert!(stats.lost.total() > 100 / STEP as u64, "{stats:?}");
        }
    }
    assert_eq!(shapes, 3);
}

static LOG: One = One::new(OneCpu, &Framed);
relay::sink!(LOG);

#[derive(Clone, Copy, Debug, relay::Enum)]
enum State {
    Idle,
    Busy,
}

relay::event! {
    /// Of every length.
    #[event(channel = "events", id = 3)]
    struct Varied<'a> {
        number: u32,
        state: State,
        text: &'a str,
        bytes: &'a [u8],
        names: &'a [&'a str],
        maybe: Option<&'a str>,
    }
}

/// The only test that writes to the log.
#[test]
fn neither_events_nor_statements_nor_filters_allocate() {
    let shape = Geometry::new(1024, 4).and_then(|shape| shape.with_mode(Mode::Continuous));
    let shape = shape.unwrap();
    LOG.start(0, Storage::allocate(&shape).unwrap(), shape)
        .unwrap();
    let long = "m".repeat(2000);
    let filters = ["debug", "info,no_alloc=trace", "off"];
    ASKED.set(0);
    for len in (0..2000).step_by(STEP) {
        let text = &long[..len];
        let state = if len % 2 == 0 {
            State::Idle
        } else {
            State::Busy
        };
        let _ = LOG.emit(&Varied {
            number: len as u32,
            state,
            text: &text[..len.min(500)],
            bytes: &text.as_bytes()[..len.min(100)],
            names: &["a", "", "c"][..len % 4],
            maybe: (len % 3 == 0).then_some("maybe"),
        });
        relay::info!("{len} of {}", long.len());
        // Cut where it is too long, and formatted in place.
        relay::info!("{text} {state:?} {:?}", Some(len));
        relay::debug!("{text:>20} {:#x} {}", len, 1.5);
        for filter in filters {
            let set = relay::event::filter::statements("klog", filter);
            assert_eq!(
                set.is_ok(),
                relay::event::HAS_REGISTRY || !filter.contains('=')
            );
        }
        let _ = relay::event::filter::statements("klog", "debug");
    }
    LOG.flush();
    assert_eq!(ASKED.get(), 0);
    let stats = LOG.stats(0).unwrap();
    assert!(stats.records >= 3 * 2000 / STEP as u64, "{stats:?}");
}
