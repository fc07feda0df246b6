//! The scheduler: which thread runs on which CPU.
//!
//! Every CPU has its own thread of the kernel, `cpu/N`, which is there from bring-up to the end and
//! never leaves its CPU; the others are threads of programs. Each CPU has a queue of those that could
//! run, with fixed priorities, and those of the same priority take turns, a timer tick each.
//!
//! # When threads are switched
//!
//! - A thread waits ([`park`]), yields, or ends.
//! - Something was interrupted, in ring 3, or in a task of the kernel that is not pinned, and another
//!   thread shall run: it was woken and is more important, or a tick is over.
//! - A CPU's own thread has nothing to do ([`give_way`]): it halts the CPU only if no other thread is
//!   ready.
//!
//! System calls are not interrupted: they run with interrupts off. So a thread never leaves its CPU
//! in the middle of one, but where it waits.
//!
//! # The kernel's own threads
//!
//! An interrupt ends the halt of a CPU, and just so it makes `cpu/N` ready, before all others: what it
//! does then is short, and then it gives way again. If it goes on for longer than a tick, it has the
//! priority of most threads; and where more important ones do not let it go on, it has every second
//! tick. So no program can keep the kernel from its work, whatever its priority, and a scenario that
//! is busy for minutes leaves programs their share.
//!
//! # Waiting without losing a wake-up
//!
//! Each thread has a token. [`Thread::unpark`] gives it one, and makes it ready if it is parked;
//! [`park`] takes it, and waits only if there is none. Who waits for a condition says where it can be
//! woken, looks, and parks: who makes the condition true after the look has given the token by
//! then, or will wake it. All that is under one lock, which is held for a few dozen instructions.
//!
//! Who wakes another thread only to wait itself says so in one step ([`park_for`]): the other one goes
//! on in its place, if nobody as important is ready there. So a message costs a switch, and no queue.
//!
//! # Ending
//!
//! A thread that shall end ([`end_process`]) is woken if it waits, interrupted if it runs, and ends when
//! it is about to go back to ring 3: so never in the middle of a system call. Its slot is used again
//! when its stack is left for good.
//!
//! From the ground up: [`events`], what the trace has of it; [`queue`], which holds numbers of slots;
//! [`table`], what is known of all threads, under the lock; [`rules`], who runs next; [`run`], the
//! switches.

pub(crate) mod events;
mod queue;
mod rules;
mod run;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use run::{
    Plan, SpawnError, Woken, adopt, current, end_all, end_current, end_process, give_way, here,
    leave, new_number, park, park_for, preempt, reap, set_options, spawn, tick, yield_now,
};
pub(crate) use table::{Owner, SLOTS, Thread};
