//! One kernel, any number of programs that come, die and lose what they drain, an outlet that is full
//! now and then, and a panic: each packet leaves once, in its order.

use std::cell::RefCell;
use std::collections::VecDeque;

use relay_pump::{Home, Pump, Queue, Refusal, Sent, Ticket, Took};

/// Numbers that are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

const CPUS: usize = 3;
const CHANNELS: usize = 2;
const STREAMS: usize = CPUS * CHANNELS;
const OUTLETS: usize = 2;
const ROOM: usize = 4;

/// The machine, as kernel and programs see it.
struct Machine {
    /// Packets in the rings, by number.
    rings: Vec<VecDeque<u64>>,
    written: Vec<u64>,
    queues: Vec<Queue<u64>>,
    /// What has left through each outlet: stream and number.
    left: Vec<Vec<(usize, u64)>>,
    /// How many more an outlet takes.
    room: Vec<usize>,
    is_closed: bool,
}

/// Who runs a pump: with these tickets.
struct Side<'m> {
    machine: &'m RefCell<Machine>,
    tickets: Vec<Ticket>,
    /// Packets that were taken ahead, of each stream.
    ahead: Vec<VecDeque<u64>>,
    /// How many it takes ahead.
    hoards: usize,
    /// Stops after so many calls: it dies in the middle.
    calls: u64,
}

impl<'m> Side<'m> {
    /// The kernel's, which never dies.
    fn kernel(machine: &'m RefCell<Machine>) -> Self {
        Self {
            machine,
            tickets: vec![Ticket::KERNEL; STREAMS],
            ahead: vec![VecDeque::new(); STREAMS],
            hoards: 0,
            calls: u64::MAX,
        }
    }

    fn is_over(&mut self) -> bool {
        self.calls = self.calls.saturating_sub(1);
        self.calls == 0
    }
}

impl Home for Side<'_> {
    type Packet = u64;

    fn begin(&mut self, _: usize) -> u64 {
        0
    }

    fn is_ready(&mut self, _: usize) -> bool {
        self.calls > 0
    }

    fn take(&mut self, stream: usize) -> Took<u64> {
        if self.is_over() {
            return Took::Nothing;
        }
        if let Some(number) = self.ahead[stream].pop_front() {
            return Took::Packet(number);
        }
        let machine = &mut *self.machine.borrow_mut();
        let ring = &mut machine.rings[stream];
        let mut pull = || ring.pop_front().map(|number| (number, number));
        for _ in 0..self.hoards {
            let queue = &mut machine.queues[stream];
            if let Ok(Some((number, _))) = queue.take(self.tickets[stream], &mut pull) {
                self.ahead[stream].push_back(number);
            }
        }
        if let Some(number) = self.ahead[stream].pop_front() {
            return Took::Packet(number);
        }
        match machine.queues[stream].take(self.tickets[stream], pull) {
            Ok(Some((number, _))) => Took::Packet(number),
            Ok(None) if machine.is_closed && machine.rings[stream].is_empty() => Took::Ended,
            Ok(None) | Err(Refusal::Full) => Took::Nothing,
            Err(Refusal::NotYours) if self.tickets[stream] == Ticket::KERNEL => Took::Nothing,
            Err(_) => Took::Ended,
        }
    }

    fn ask(&mut self, _: usize) {}

    fn submit(&mut self, outlet: usize, stream: usize, packet: u64) -> Sent<u64> {
        if self.is_over() {
            return Sent::NotNow(packet);
        }
        let machine = &mut *self.machine.borrow_mut();
        let queue = &mut machine.queues[stream];
        match queue.submit(self.tickets[stream], packet) {
            Err(_) => Sent::Gone,
            Ok(number) if machine.room[outlet] == 0 => {
                queue.put_back(number, packet);
                Sent::NotNow(packet)
            }
            Ok(number) => {
                machine.room[outlet] -= 1;
                machine.left[outlet].push((stream, number));
                Sent::Taken
            }
        }
    }

    fn end(&mut self, _: usize) -> u64 {
        0
    }
}

fn streams() -> impl Iterator<Item = (usize, usize, usize)> {
    (0..STREAMS).map(|stream| (stream, stream / CPUS, stream % CPUS))
}

fn pumps() -> Vec<Pump<u64>> {
    let pump = |outlet| Pump::new(outlet, OUTLETS, streams());
    (0..OUTLETS).map(pump).collect()
}

impl Machine {
    fn new() -> Self {
        Self {
            rings: vec![VecDeque::new(); STREAMS],
            written: vec![0; STREAMS],
            queues: (0..STREAMS).map(|_| Queue::new(ROOM)).collect(),
            left: vec![Vec::new(); OUTLETS],
            room: vec![0; OUTLETS],
            is_closed: false,
        }
    }

    /// The end in order: the kernel has all of it from now on, and outlets have room.
    fn come_to_the_end(&mut self) {
        self.is_closed = true;
        self.queues
            .iter_mut()
            .for_each(|queue| _ = queue.take_back());
        self.room = vec![usize::MAX; OUTLETS];
    }

    /// What a panic finds in the machine: what was not taken by an outlet.
    fn salvage(&mut self) {
        for stream in 0..STREAMS {
            let outlet = stream % CPUS % OUTLETS;
            let queue = self.queues[stream].packets().copied();
            let ring = self.rings[stream].drain(..);
            self.left[outlet].extend(queue.chain(ring).map(|number| (stream, number)));
        }
    }

    /// That each packet of each stream has left, once, in its order.
    fn check(&self, seed: u64, handed_over: usize) -> usize {
        for stream in 0..STREAMS {
            let all = self.left.iter().flatten();
            let left = all
                .filter(|(of, _)| *of == stream)
                .map(|(_, number)| *number);
            let left: Vec<_> = left.collect();
            let wanted: Vec<_> = (0..self.written[stream]).collect();
            assert_eq!(left, wanted, "stream {stream}, seed {seed}");
        }
        handed_over
    }
}

/// A program: which streams it has, and its pumps.
struct Program {
    tickets: Vec<Option<Ticket>>,
    pumps: Vec<Pump<u64>>,
    ahead: Vec<VecDeque<u64>>,
    hoards: usize,
}

impl Program {
    fn start(machine: &RefCell<Machine>, dice: &mut Dice) -> Self {
        let queues = &mut machine.borrow_mut().queues;
        let mut take = |queue: &mut Queue<u64>| match dice.roll(4) {
            0 => None,
            _ => queue.take_over().ok(),
        };
        let tickets: Vec<_> = queues.iter_mut().map(&mut take).collect();
        let its = |(stream, ..): &(usize, usize, usize)| tickets[*stream].is_some();
        let pump = |outlet| Pump::new(outlet, OUTLETS, streams().filter(its));
        let pumps = (0..OUTLETS).map(pump).collect();
        Self {
            tickets,
            pumps,
            ahead: vec![VecDeque::new(); STREAMS],
            hoards: dice.roll(ROOM as u64) as usize,
        }
    }

    fn run(&mut self, machine: &RefCell<Machine>, calls: u64, dice: &mut Dice) {
        let none = Ticket::KERNEL;
        let tickets = self.tickets.iter().map(|ticket| ticket.unwrap_or(none));
        let mut side = Side {
            machine,
            tickets: tickets.collect(),
            ahead: std::mem::take(&mut self.ahead),
            hoards: self.hoards,
            calls,
        };
        let outlet = dice.roll(OUTLETS as u64) as usize;
        self.pumps[outlet].turn(&mut side);
        self.ahead = side.ahead;
    }

    /// It has died, or was killed: the kernel closes its files.
    fn close(self, machine: &RefCell<Machine>) {
        let queues = &mut machine.borrow_mut().queues;
        for (queue, ticket) in queues.iter_mut().zip(self.tickets) {
            if let Some(ticket) = ticket {
                queue.give_up(ticket);
            }
        }
    }
}

/// Runs a machine, and returns how often a stream has changed hands with packets in them.
fn live(seed: u64) -> usize {
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let machine = RefCell::new(Machine::new());
    let mut kernel = pumps();
    let mut programs: Vec<Program> = Vec::new();
    let mut handed_over = 0;
    for _ in 0..400 {
        match dice.roll(10) {
            0..3 => {
                let stream = dice.roll(STREAMS as u64) as usize;
                let machine = &mut *machine.borrow_mut();
                for _ in 0..=dice.roll(5) {
                    machine.rings[stream].push_back(machine.written[stream]);
                    machine.written[stream] += 1;
                }
            }
            3 => {
                let outlet = dice.roll(OUTLETS as u64) as usize;
                machine.borrow_mut().room[outlet] = dice.roll(6) as usize;
            }
            4..6 => {
                let mut side = Side {
                    calls: 1 + dice.roll(40),
                    ..Side::kernel(&machine)
                };
                let outlet = dice.roll(OUTLETS as u64) as usize;
                kernel[outlet].turn(&mut side);
            }
            6 if programs.len() < 2 => programs.push(Program::start(&machine, &mut dice)),
            7 if !programs.is_empty() => {
                let at = dice.roll(programs.len() as u64) as usize;
                let had = machine
                    .borrow()
                    .queues
                    .iter()
                    .filter(|one| one.had() > 0)
                    .count();
                handed_over += had;
                programs.swap_remove(at).close(&machine);
            }
            _ => {
                let calls = 1 + dice.roll(40);
                if !programs.is_empty() {
                    let at = dice.roll(programs.len() as u64) as usize;
                    programs[at].run(&machine, calls, &mut dice);
                }
            }
        }
    }
    if seed.is_multiple_of(2) {
        machine.borrow_mut().salvage();
        return machine.borrow().check(seed, handed_over);
    }
    machine.borrow_mut().come_to_the_end();
    for program in &mut programs {
        program.run(&machine, 50, &mut dice);
    }
    for pump in &mut kernel {
        let mut side = Side::kernel(&machine);
        for _ in 0..10 {
            pump.turn(&mut side);
        }
        assert!(pump.is_done(), "seed {seed}");
    }
    machine.borrow().check(seed, handed_over)
}

#[test]
fn each_packet_leaves_once_and_in_its_order_whoever_drains() {
    let handed_over: usize = (1..=4000).map(live).sum();
    assert!(handed_over > 2000, "it was about that: {handed_over}");
}

#[test]
fn what_somebody_had_comes_first_again() {
    let mut queue = Queue::new(4);
    let mut next = 0..;
    let mut pull = || next.next().map(|number: u64| (number, number));
    let first = queue.take_over().expect("it is the kernel's");
    assert_eq!(queue.take_over(), Err(Refusal::Taken));
    for number in 0..4 {
        let taken = queue.take(first, &mut pull);
        assert_eq!(
            taken.map(|one| one.map(|(number, _)| number)),
            Ok(Some(number))
        );
    }
    assert_eq!(queue.take(first, &mut pull), Err(Refusal::Full));
    assert_eq!(queue.submit(first, 1), Err(Refusal::NotFirst));
    assert_eq!(queue.submit(first, 7), Err(Refusal::NotHad));
    assert_eq!(queue.submit(first, 0), Ok(0));
    assert!(queue.give_up(first) && !queue.give_up(first));
    for taken in [
        queue.take(first, &mut pull).map(|_| ()),
        queue.submit(first, 1).map(|_| ()),
    ] {
        assert_eq!(taken, Err(Refusal::NotYours));
    }
    let second = queue.take_over().expect("it is the kernel's");
    assert_eq!(queue.take(second, &mut pull), Ok(Some((1, &1))));
    assert_eq!(queue.take(second, &mut pull), Ok(Some((2, &2))));
    // Given back, it is taken again before what was not taken yet.
    assert_eq!(queue.give_back(second, 1), Ok(()));
    assert_eq!(queue.give_back(second, 1), Err(Refusal::NotHad));
    assert_eq!(queue.submit(second, 2), Err(Refusal::NotFirst));
    assert_eq!(queue.take(second, &mut pull), Ok(Some((1, &1))));
    assert!(queue.take_back());
    assert_eq!(queue.take_over(), Err(Refusal::Closed));
    assert_eq!(queue.take(second, &mut pull), Err(Refusal::NotYours));
    assert_eq!(queue.take(Ticket::KERNEL, &mut pull), Ok(Some((1, &1))));
}

#[test]
fn streams_of_a_channel_take_turns_and_channels_do_not() {
    let machine = RefCell::new(Machine::new());
    for stream in 0..STREAMS {
        machine.borrow_mut().rings[stream].extend(0..3);
    }
    machine.borrow_mut().room = vec![usize::MAX; OUTLETS];
    let mut side = Side::kernel(&machine);
    let mut pump = Pump::new(0, OUTLETS, streams());
    assert_eq!(pump.turn(&mut side).sent, 12);
    let order: Vec<_> = machine.borrow().left[0]
        .iter()
        .map(|(stream, _)| *stream)
        .collect();
    assert_eq!(order, [0, 2, 0, 2, 0, 2, 3, 5, 3, 5, 3, 5]);
}

#[test]
fn what_found_no_room_goes_first() {
    let machine = RefCell::new(Machine::new());
    machine.borrow_mut().rings[3].extend(0..2);
    let mut side = Side::kernel(&machine);
    let mut pump = Pump::new(0, OUTLETS, streams());
    assert_eq!(pump.turn(&mut side).sent, 0);
    assert_eq!(pump.refused(), Some(3));
    machine.borrow_mut().rings[0].push_back(0);
    machine.borrow_mut().room = vec![usize::MAX; OUTLETS];
    assert_eq!(pump.turn(&mut side).sent, 3);
    assert_eq!(machine.borrow().left[0], [(3, 0), (0, 0), (3, 1)]);
}
