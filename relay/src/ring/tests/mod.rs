//! Tests of the ring: what it does, step by step (`basics`); every nesting (`nesting`); random
//! programs against a simple model (`property`); threads (`threads`); the post-mortem (`salvage`).

mod basics;
mod nesting;
mod property;
mod salvage;
mod threads;
mod world;
