//! Many threads, each a CPU of a channel: `cargo run -p relayfs --example threads`.
//!
//! Every thread writes numbered records as fast as it can. One thread reads the streams of all,
//! sleeps where there is nothing to read, and is woken. Another moves the rings to larger and
//! smaller ones meanwhile, and frees those that were left. At the end every record is accounted
//! for, from the bytes that came out; if not, the exit status is 1.

use relay::host::{Cpu, Host, Sleeper};
use relay::{
    Channel, Geometry, GeometryError, Losses, NoHooks, Reader, Storage, StreamError, SubBuffer,
};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const THREADS: usize = 4;
/// Records that every thread writes at least; it goes on until its ring has been moved often
/// enough.
const RECORDS: u64 = if cfg!(miri) { 100 } else { 1_000_000 };
/// How often every ring is moved.
const MOVES: usize = if cfg!(miri) { 2 } else { 50 };
/// Every so many records a thread does what others ask of it.
const TICK: u64 = 64;

static LOG: Channel<Host, THREADS> = Channel::new(Host, &NoHooks);
/// The rings have been moved as often as they shall be.
static MOVED: AtomicBool = AtomicBool::new(false);

fn main() -> ExitCode {
    match run() {
        Ok(accounts) if accounts.iter().all(Account::is_complete) => {
            println!("every record is accounted for");
            ExitCode::SUCCESS
        }
        Ok(_) => {
            println!("records are missing");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn core::error::Error + Send + Sync>;

/// Writes, reads and moves the rings at the same time; prints the ledger.
fn run() -> Result<Vec<Account>, Failure> {
    for cpu in 0..THREADS {
        let geometry = size(cpu)?;
        LOG.start(cpu, Storage::allocate(&geometry)?, geometry)?;
    }
    let (attempts, mut accounts, freed) = thread::scope(|scope| {
        let reading = scope.spawn(read_all);
        let writing: [_; THREADS] = core::array::from_fn(|_| scope.spawn(write));
        let freed = move_rings();
        MOVED.store(true, Ordering::Release);
        let attempts = writing.map(|thread| thread.join().expect("a writer failed"));
        let accounts = reading.join().expect("the reader failed");
        (attempts, accounts, freed)
    });
    let freed = freed? + (0..THREADS).map(|cpu| LOG.reclaim(cpu)).sum::<usize>();

    println!("cpu attempted delivered packets  lost");
    for (cpu, attempted) in attempts {
        accounts[cpu].attempted = attempted;
    }
    for (cpu, account) in accounts.iter().enumerate() {
        println!(
            "{cpu:3} {:9} {:9} {:7}  {} ({})",
            account.attempted,
            account.delivered,
            account.packets,
            account.lost.total(),
            account.lost
        );
    }
    println!("rings left {}, freed {freed}", THREADS * MOVES);
    if freed != THREADS * MOVES {
        return Err("some rings that were left are not free".into());
    }
    Ok(accounts)
}

/// The size of a ring that was moved `moves` times: small and large in turn.
fn size(moves: usize) -> Result<Geometry, GeometryError> {
    Geometry::new(1024, if moves.is_multiple_of(2) { 4 } else { 32 })
}

/// A thread that writes: its number as a CPU, and how many records it tried to write.
fn write() -> (usize, u64) {
    let cpu = Cpu::claim();
    let mut attempted = 0;
    while attempted < RECORDS || !MOVED.load(Ordering::Acquire) {
        if LOG.write_array(&record(attempted)).is_err() {
            // It is lost, and counted. Others shall have a turn.
            thread::yield_now();
        }
        attempted += 1;
        if attempted % TICK == 0 {
            LOG.tick();
        }
    }
    while LOG.close() == Err(StreamError::NoRoom) {
        thread::yield_now();
    }
    // The last one: from here on this thread uses no ring that it has left.
    LOG.tick();
    (cpu.number(), attempted)
}

/// Record `number`: it, and all its bits turned over.
fn record(number: u64) -> [u8; 16] {
    (u128::from(number) | u128::from(!number) << 64).to_le_bytes()
}

/// Moves every ring `MOVES` times, under load, and frees those that were left; returns how many it
/// has freed.
fn move_rings() -> Result<usize, Failure> {
    let mut freed = 0;
    for moves in 0..MOVES {
        for cpu in 0..THREADS {
            let geometry = size(cpu + moves + 1)?;
            LOG.resize(cpu, Storage::allocate(&geometry)?, geometry)?;
            while LOG.geometry(cpu) != Some(geometry) {
                thread::yield_now();
            }
            freed += LOG.reclaim(cpu);
        }
    }
    Ok(freed)
}

/// What came out of one stream.
#[derive(Debug, Default)]
struct Account {
    /// Records that were to be written.
    attempted: u64,
    /// Records read.
    delivered: u64,
    /// Packets read.
    packets: u64,
    /// What the last packet says was lost.
    lost: Losses,
    /// The number of the record that comes next, if none is lost.
    next: u64,
    /// Something is wrong with what was read.
    is_wrong: bool,
}

impl Account {
    /// Checks a packet: it is the next one, and its records are whole, in order, as many as it
    /// says.
    fn take(&mut self, taken: &SubBuffer<'_>) {
        let packet = taken.packet();
        let (records, rest) = taken.records().as_chunks::<16>();
        let is_next = packet.sequence == self.packets && packet.ordinal == self.delivered;
        let is_whole = rest.is_empty() && records.len() as u64 == packet.records;
        self.is_wrong |= !is_next || !is_whole;
        for bytes in records {
            let number = u128::from_le_bytes(*bytes) as u64;
            self.is_wrong |= *bytes != record(number) || number < self.next;
            self.next = number + 1;
        }
        self.packets += 1;
        self.delivered += packet.records;
        self.lost = packet.lost;
    }

    fn is_complete(&self) -> bool {
        !self.is_wrong && self.attempted == self.delivered + self.lost.total()
    }
}

/// Reads all streams to their ends.
fn read_all() -> Vec<Account> {
    let sleeper = Sleeper::new();
    let mut readers: Vec<Reader<'_>> = (0..THREADS)
        .map(|cpu| LOG.reader(cpu).expect("the only reader"))
        .collect();
    let mut accounts: Vec<Account> = readers.iter().map(|_| Account::default()).collect();
    loop {
        for (reader, account) in readers.iter_mut().zip(&mut accounts) {
            while let Some(taken) = reader.next_subbuf() {
                account.take(&taken);
            }
            reader.request_flush();
        }
        if readers.iter().all(Reader::is_at_end) {
            return accounts;
        }
        let mut open = readers.iter_mut().filter(|reader| !reader.is_at_end());
        if open.all(Reader::prepare_to_sleep) {
            sleeper.sleep();
        }
    }
}

#[test]
fn every_record_is_accounted_for() {
    let accounts = run().expect("it works");
    for account in accounts {
        assert!(account.is_complete(), "{account:?}");
    }
}
