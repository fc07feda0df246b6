//! Who logs through relay: what they log, not how it travels.

pub mod evlog;
pub mod klog;
pub mod profile;
