//! Throw-away.
use core::fmt::{self, Write};
struct Buf([u8; 512], usize);
impl Write for Buf {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for &b in s.as_bytes() {
            if self.1 < 512 {
                self.0[self.1] = b;
                self.1 += 1;
            }
        }
        Ok(())
    }
}
pub(crate) fn line(a: fmt::Arguments<'_>) {
    let mut b = Buf([0; 512], 0);
    let _ = b.write_fmt(a);
    let mut p = x86_64::instructions::port::Port::<u8>::new(0x3f8);
    use core::sync::atomic::{AtomicUsize, Ordering};
    static OWNER: AtomicUsize = AtomicUsize::new(usize::MAX);
    let me = crate::arch::percpu::cpu_index();
    let nested = OWNER.load(Ordering::Relaxed) == me;
    let mut tries = 0;
    while !nested
        && OWNER
            .compare_exchange(usize::MAX, me, Ordering::AcqRel, Ordering::Relaxed)
            .is_err()
        && tries < 100_000_000
    {
        core::hint::spin_loop();
        tries += 1;
    }
    for i in 0..b.1 {
        // SAFETY: COM1.
        unsafe { p.write(b.0[i]) };
    }
    if !nested {
        OWNER.store(usize::MAX, Ordering::Release);
    }
}
