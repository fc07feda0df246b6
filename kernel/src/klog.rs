//! The log. A stand-in until relay exists: straight to the serial port.
use crate::arch::{Context, clock, context, percpu};
struct Log;
impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn flush(&self) {}
    fn log(&self, r: &log::Record<'_>) {
        let c = match context() {
            Context::Task => "task",
            Context::Irq => "irq",
            Context::Nmi => "nmi",
        };
        let us = clock::millis(clock::ticks());
        crate::mem::uart::line(format_args!(
            "[{:>6}] {} {:4} {:5} {} {}:{}: {}\n",
            us,
            percpu::cpu_index(),
            c,
            r.level(),
            r.target(),
            r.file().unwrap_or("?"),
            r.line().unwrap_or(0),
            r.args()
        ));
    }
}
/// Starts the log.
pub(crate) fn init() {
    let _ = log::set_logger(&Log);
    log::set_max_level(log::LevelFilter::Info);
}
/// Grows it.
pub(crate) fn grow(_cpus: usize) {}
/// Timer.
pub(crate) fn tick() {}
/// Closes.
pub(crate) fn close_this_cpu() {}
