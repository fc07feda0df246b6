//! End to end tests of relay: the kernel in QEMU against relayctl on the host.
