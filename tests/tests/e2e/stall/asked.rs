//! Hosts that ask without an end, or send what is no request, while the machine works: what it
//! writes is complete, and who asks properly is answered.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use relay_format::control::{Answer, End, MAX_BODY, MAX_FRAME, MAX_TEXT, Message, Request};
use relay_format::frames::Frames;

use super::host::{Host, Left};
use super::{assert_accounted, json};

/// CPUs of the machine.
const SMP: usize = 4;
/// All CPUs write as fast as they can; CPU 0 does nothing else for a while.
const BUSY: [&str; 2] = ["scenario=flood", "records=20000"];
/// The machine does next to nothing.
const IDLE: [&str; 2] = ["scenario=idle", "seconds=4"];
/// How long a proper request may take among much that is none.
const PATIENCE: Duration = Duration::from_secs(60);

/// The frame of a request.
fn frame(number: u32, request: &Request<'_>) -> Vec<u8> {
    let mut room = [0; MAX_TEXT];
    let message = request.message(number, &mut room).expect("it fits");
    let mut frame = [0; MAX_FRAME];
    let size = message.frame(&mut frame).expect("it fits");
    frame[..size].to_vec()
}

/// Bytes of any value, the same for each seed: xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// Up to 3000 bytes, which have zeros, delimiters that is, more or less often, and now and then
    /// a request that is damaged.
    fn noise(&mut self) -> Vec<u8> {
        let zero = 1 + self.next() % 300;
        let count = self.next() % 3000;
        let mut noise: Vec<u8> = (0..count)
            .map(|_| match self.next() {
                chance if chance % zero == 0 => 0,
                byte => byte as u8,
            })
            .collect();
        let name = "log";
        let mut damaged = frame(7, &Request::Set { name, value: "off" });
        let at = 1 + self.next() as usize % (damaged.len() - 2);
        damaged[at] ^= 1 << (self.next() % 8);
        noise.extend(damaged);
        noise
    }
}

/// Sends noise until nobody takes it any more, and asks properly in between. Returns how often it
/// was answered.
fn disturb(mut port: UnixStream, seed: u64) -> u32 {
    let mut random = Random(seed);
    port.set_read_timeout(Some(Duration::from_millis(500)))
        .expect("it is open");
    let mut frames = Frames::<MAX_BODY>::new();
    let mut answered = 0;
    let mut buffer = [0; 4096];
    loop {
        for _ in 0..4 {
            if port.write_all(&random.noise()).is_err() {
                return answered;
            }
        }
        let name = "log";
        let number = answered + 1000;
        if port
            .write_all(&frame(number, &Request::Get { name }))
            .is_err()
        {
            return answered;
        }
        let begin = Instant::now();
        'answer: loop {
            assert!(
                begin.elapsed() < PATIENCE,
                "request {number} is not answered"
            );
            match port.read(&mut buffer) {
                Ok(0) => return answered,
                Ok(length) => {
                    for byte in &buffer[..length] {
                        let Some(contents) = frames.push(*byte) else {
                            continue;
                        };
                        let message = Message::read(contents).expect("it says nothing else");
                        let answer = message.answer().expect("it asks nothing");
                        let wanted = Answer {
                            number,
                            piece: 0,
                            end: Some(End::Done),
                            text: b"info",
                        };
                        assert_eq!(answer, wanted, "nothing damaged is a request");
                        answered += 1;
                        break 'answer;
                    }
                }
                // It has ended, or is busy.
                Err(error) => match error.kind() {
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => {}
                    _ => return answered,
                },
            }
        }
    }
}

#[track_caller]
fn assert_complete(left: &Left) {
    left.assert_passes();
    let judged = json("verify", &left.bytes());
    assert_accounted(&judged);
    assert_eq!(judged["verdict"], "complete", "{judged:#}");
}

#[test]
fn noise_into_the_port_does_no_harm() {
    for (seed, words) in [(1, IDLE), (2, BUSY)] {
        let host = Host::that_is_asked(SMP, &words, move |port| {
            let answered = disturb(port, seed);
            // A busy machine may end before the first.
            assert!(answered > 0 || words == BUSY, "{answered} answers");
        });
        let left = host.end();
        assert_complete(&left);
        assert!(left.says(" pieces of noise"), "{}", left.console);
    }
}

#[test]
fn a_flood_of_requests_whose_answers_nobody_reads_does_no_harm() {
    for words in [IDLE, BUSY] {
        let host = Host::that_is_asked(SMP, &words, |mut port| {
            let request = frame(1, &Request::List);
            let flood = request.repeat(100);
            while port.write_all(&flood).is_ok() {}
        });
        let left = host.end();
        assert_complete(&left);
        assert!(left.says("control: "), "{}", left.console);
    }
}

#[test]
fn noise_and_a_flood_of_requests_over_the_line_do_no_harm() {
    let host = Host::with_line_that_is_asked(SMP, &IDLE, |mut line| {
        let mut random = Random(3);
        let (name, value) = ("log", "debug");
        let request = frame(1, &Request::Set { name, value });
        for round in 0.. {
            let bytes = match round % 2 {
                0 => random.noise(),
                _ => request.repeat(4),
            };
            if line.write_all(&bytes).is_err() {
                return;
            }
        }
    });
    let left = host.end();
    assert_complete(&left);
    assert!(left.says("control: log=debug"), "{}", left.console);
    assert!(left.says(" pieces of noise"), "{}", left.console);
}
