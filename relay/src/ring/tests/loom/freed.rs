//! Rings that are left are freed, when nobody uses them any more and not before.

use super::global::write_shared;
use super::observers::observe;
use super::*;

#[test]
fn an_old_ring_is_freed_when_nobody_uses_it() {
    model_with(2, |order| {
        let stream = stream(geometry(Mode::NoOverwrite, 0));
        let (read_from, owned) = (Arc::clone(&stream), Arc::clone(&stream));
        let (mut seen, ()) = order.run(
            move || {
                let other = geometry(Mode::NoOverwrite, 0);
                let storage = Storage::allocate(&other).unwrap();
                read_from.offer(storage, other).unwrap();
                let mut seen = Seen::default();
                read(&mut Reader::open(&read_from, 0).unwrap(), &mut seen);
                read_from.reclaim(|serial| read_from.local.has_left(serial));
                seen
            },
            move || {
                let cpu = Cpu::new();
                write(&owned, &cpu, 1);
                owner(&owned, &cpu).tick();
                write(&owned, &cpu, 2);
                owner(&owned, &cpu).tick();
                owner(&owned, &cpu).flush();
            },
        );
        // In case the request came after the last tick.
        owner(&stream, &Cpu::new()).tick();
        read(&mut Reader::open(&stream, 0).unwrap(), &mut seen);
        assert_eq!(seen.records, [1, 2]);
        owner(&stream, &Cpu::new()).tick();
        stream.reclaim(|serial| stream.local.has_left(serial));
        assert!(
            stream.oldest().unwrap().successor().is_none(),
            "left behind"
        );
    });
}

/// A stream whose first ring was left and read: all that is missing is that it is freed.
fn with_an_old_ring() -> Arc<Stream> {
    let stream = stream(geometry(Mode::NoOverwrite, 0));
    let cpu = Cpu::new();
    write(&stream, &cpu, 1);
    go_on::<PerCpu>(&stream, &stream.local, &cpu);
    while Reader::open(&stream, 0).unwrap().next_subbuf().is_some() {}
    stream
}

/// A CPU takes the stream to another ring, and has left the old one.
fn go_on<U: Usage>(stream: &Stream, local: &Local, cpu: &Cpu) {
    let owner = || Owner::<_, U>::new(stream, local, &NoHooks, Pin::new(cpu));
    let geometry = geometry(Mode::NoOverwrite, 0);
    let storage = Storage::allocate(&geometry).unwrap();
    owner().succeed(storage, geometry).unwrap();
    owner().tick();
}

#[test]
fn an_old_ring_is_not_freed_under_a_reader_that_comes() {
    model_with(2, |order| {
        let stream = with_an_old_ring();
        let (freed_from, read_from) = (Arc::clone(&stream), Arc::clone(&stream));
        order.run(
            move || freed_from.reclaim(|serial| freed_from.local.has_left(serial)),
            move || observe(&mut Observer::open(&read_from, 0).unwrap()),
        );
        let freed = stream.reclaim(|serial| stream.local.has_left(serial));
        assert!(freed <= 1 && stream.oldest().unwrap().successor().is_none());
    });
}

#[test]
fn an_old_ring_is_not_freed_under_a_cpu_that_joins() {
    model_with(2, |order| {
        let stream = stream(geometry(Mode::NoOverwrite, 0));
        let locals = Arc::new([Local::new(), Local::new()]);
        let cpu = Arc::new(Cpu::new());
        write_shared(&stream, &locals[0], &cpu, 1);
        let (one, other) = (Arc::clone(&stream), Arc::clone(&stream));
        let (ours, theirs) = (Arc::clone(&locals), Arc::clone(&locals));
        let (clock, same) = (Arc::clone(&cpu), Arc::clone(&cpu));
        order.run(
            move || {
                go_on::<Global>(&one, &ours[0], &clock);
                while Reader::open(&one, 0).unwrap().next_subbuf().is_some() {}
                one.reclaim(|serial| ours.iter().all(|local| local.has_left(serial)));
            },
            move || write_shared(&other, &theirs[1], &same, 2),
        );
        assert_eq!(stream.stats().lost.total(), 0);
    });
}

#[test]
fn an_old_ring_is_not_freed_before_a_cpu_has_left_it() {
    model_with(2, |order| {
        let stream = stream(geometry(Mode::NoOverwrite, 0));
        let locals = Arc::new([Local::new(), Local::new()]);
        let cpu = Arc::new(Cpu::new());
        write_shared(&stream, &locals[1], &cpu, 1);
        write_shared(&stream, &locals[1], &cpu, 2);
        while Reader::open(&stream, 0).unwrap().next_subbuf().is_some() {}
        let (one, other) = (Arc::clone(&stream), Arc::clone(&stream));
        let (ours, theirs) = (Arc::clone(&locals), Arc::clone(&locals));
        let (clock, same) = (Arc::clone(&cpu), Arc::clone(&cpu));
        order.run(
            move || {
                go_on::<Global>(&one, &ours[0], &clock);
                one.reclaim(|serial| ours.iter().all(|local| local.has_left(serial)));
            },
            move || {
                let owner =
                    || Owner::<_, Global>::new(&other, &theirs[1], &NoHooks, Pin::new(&*same));
                // Looks at the ring, whichever it is.
                owner().flush();
                owner().tick();
            },
        );
    });
}
