//! What `#[event(..)]` does not take.

relay::event! {
    pub struct NoAttribute { pub a: u8 }

    #[event(name = "x")]
    pub struct NoChannel { pub a: u8 }

    #[event(channel = "a b")]
    pub struct NoName { pub a: u8 }

    #[event(channel = "sched", colour = "red")]
    pub struct Unknown { pub a: u8 }

    #[event(channel = "sched", severity = Loud)]
    pub struct Loud { pub a: u8 }

    #[event(channel = "sched", severity = "Info")]
    pub struct Quoted { pub a: u8 }

    #[event(channel = "sched", facility = "a&b")]
    pub struct Facility { pub a: u8 }

    #[event(channel = "sched", id = 16)]
    pub struct LargeId { pub a: u8 }

    #[event(channel = "sched", id = 0)]
    pub struct NoId { pub a: u8 }

    #[event(channel = "sched", enabled = 1)]
    pub struct Enabled { pub a: u8 }

    #[event(channel = "sched", channel = "sched")]
    pub struct Twice { pub a: u8 }

    #[event(channel = "sched", name = "with space")]
    pub struct Named { pub a: u8 }
}

relay::event! {
    #[event(channel = "sched", id = 3)]
    pub struct TaskWoken { pub a: u8 }

    #[event(channel = "sched", name = "task_woken")]
    pub struct Again { pub a: u8 }

    #[event(channel = "sched", id = 3)]
    pub struct SameId { pub a: u8 }

    #[event(channel = "other")]
    pub struct TaskSlept { pub a: u8 }
}

relay::event! {
    #[event(channel = "sched", text = "from {b}")]
    pub struct NoField { pub a: u8 }

    #[event(channel = "sched", text = "from {a:q}")]
    pub struct NoStyle { pub a: u8 }

    #[event(channel = "sched", text = "from {}")]
    pub struct NoPosition { pub a: u8 }

    #[event(channel = "sched", text = "from {a:w$}")]
    pub struct NoWidth { pub a: u8 }

    #[event(channel = "sched", text = "from {a")]
    pub struct Open { pub a: u8 }
}

relay::event! {
    #[event(channel = "evlog")]
    pub struct NoFacility { pub a: u8 }

    #[event(channel = "evlog", facility = "disk", id = 3)]
    pub struct OwnId { pub a: u8 }

    #[event(channel = "sched", facility = "disk", type = 3)]
    pub struct NoEvlog { pub a: u8 }

    #[event(channel = "evlog", facility = "disk", type = 0)]
    pub struct NoType { pub a: u8 }

    #[event(channel = "evlog", facility = "disk", type = "seven")]
    pub struct NoNumber { pub a: u8 }

    #[event(channel = "evlog", facility = "g5ubdc0", type = 1)]
    pub struct NoCode { pub a: u8 }

    #[event(
        channel = "evlog",
        facility = "a2345678901234567890123456789012345678901234567890123456789012345"
    )]
    pub struct LongFacility { pub a: u8 }
}

relay::event! {
    #[event(channel = "evlog", facility = "disk", type = 3)]
    pub struct Full { pub a: u8 }

    #[event(channel = "evlog", facility = "Disk", type = 3)]
    pub struct AsFull { pub a: u8 }

    #[event(channel = "evlog", facility = "tape", type = 3)]
    pub struct OtherFacility { pub a: u8 }
}

fn main() {}
