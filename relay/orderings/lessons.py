"""Shows that each kind of difference is noticed, on a small sample."""

from pathlib import Path

from . import check

SAMPLE = """
struct Flag { up: AtomicBool, count: OwnerWord }
impl Flag {
    fn raise(&self) {
        // self.up.store(false, Ordering::SeqCst) in a comment is none
        self.up
            .store(
                true,
                Ordering::Release,
            );
        self.count.add(1);
    }
}
fn look(flags: &[Flag]) -> bool {
    let text = "a.load(Ordering::SeqCst)";
    flags.iter().any(|flag| flag.up.load(Ordering::Acquire))
}
#[cfg(test)]
mod tests {
    fn none(flag: &Flag) { flag.up.swap(true, Ordering::SeqCst); }
}
"""
OWNER_SAMPLE = """
pub(crate) struct OwnerWord(AtomicU64);
impl OwnerWord { pub(crate) fn add(&self, value: u64) -> u64 { unsafe { asm!("xadd [{}], {}") } } }
"""
ROWS = """
# The ordering table
| word | access | ordering |
|---|---|---|
| `Flag.up` | `store` | Release |
| `Flag.up` | `load` in `look`: a reader | Acquire, of course |
| `Flag.count` | `add` | AcqRel, non-LOCKed |
| `OwnerWord` | `asm` in `add` | non-LOCKed |
"""
# What is changed in the sample (old, new), and what must be said of it; None for nothing.
LESSONS = [
    (
        "as it is",
        [],
        None,
    ),
    (
        "an access without a row",
        [("let text", "flags[0].up.swap(false, Ordering::AcqRel); let text")],
        "`swap` of `Flag.up` in `look`, AcqRel: has no row",
    ),
    (
        "an owner's operation without a row",
        [("| `Flag.count` | `add` | AcqRel, non-LOCKed |\n", "")],
        "`add` of `Flag.count` in `raise`, AcqRel: has no row",
    ),
    (
        "a fence without a row",
        [("let text", "fence(Ordering::SeqCst); let text")],
        "`fence` of `fence` in `look`, SeqCst: has no row",
    ),
    (
        "a weaker ordering over several lines",
        [("Ordering::Release", "Ordering::Relaxed")],
        "is Relaxed, the ordering table says Release (line 5)",
    ),
    (
        "a stronger ordering in a closure",
        [("Ordering::Acquire", "Ordering::SeqCst")],
        "is SeqCst, the ordering table says Acquire (line 6)",
    ),
    (
        "assembly that locks",
        [("\"xadd", "\"lock xadd")],
        "is LOCKed, the ordering table says non-LOCKed (line 8)",
    ),
    (
        "a row whose access is gone",
        [("self.count.add(1);", "")],
        "line 7: stale, no `add` of `Flag.count` is left",
    ),
    (
        "a row whose function has another name",
        [("fn look", "fn peek")],
        "line 6: stale, no `load` of Flag.up is left in `look`",
    ),
    (
        "an access in another function",
        [("fn look", "fn peek")],
        "`load` of `Flag.up` in `peek`, Acquire: has no row",
    ),
    (
        "a row that cannot be read",
        [("| `load` in `look`: a reader |", "| a load in look |")],
        "line 6: not of the form",
    ),
    (
        "two rows for one operation",
        [("| `store` | Release |", "| `store` | Release |\n| `Flag.up` | `store` | Relaxed |")],
        "each must say `in` which functions",
    ),
    (
        "a word that cannot be told",
        [("let text", "mystery().store(1, Ordering::Relaxed); let text")],
        "cannot tell of which word this is the `store`",
    ),
    (
        "a turbofish",
        [("self.count.add(1)", "self.count.add::<Local>(1)")],
        None,
    ),
    (
        "a generic word",
        [
            ("OwnerWord(AtomicU64)", "OwnerWord<L>(AtomicU64, PhantomData<L>)"),
            ("impl OwnerWord {", "impl<L: Lock> OwnerWord<L> {"),
            ("count: OwnerWord", "count: OwnerWord<Local>"),
        ],
        None,
    ),
    (
        "an operation by its path",
        [("self.count.add(1)", "OwnerWord::add(&self.count, 1)")],
        None,
    ),
    (
        "a wrapper without a row",
        [
            ("self.count.add(1);", "self.count.add(1); self.count.clear();"),
            ("{ unsafe", "{ self.clear(); unsafe"),
            ("impl OwnerWord {", "impl OwnerWord { fn clear(&self) {}"),
        ],
        "`clear` of `Flag.count` in `raise`, AcqRel: has no row",
    ),
    (
        "a static",
        [
            ("fn look", "static UP: AtomicBool = AtomicBool::new(false); fn look"),
            ("let text", "UP.load(Ordering::Acquire); let text"),
        ],
        "`load` of `UP` in `look`, Acquire: has no row",
    ),
    (
        "words that are bound together",
        [
            (
                "let text",
                "let (up, other) = (&flags[0].up, &flags[0].count); other.add(2); up.swap(true, Ordering::AcqRel); let text",
            )
        ],
        "`swap` of `Flag.up` in `look`, AcqRel: has no row",
    ),
    (
        "a word behind a type that dereferences",
        [
            (
                "fn look",
                "impl Deref for Hold { type Target = Flag; fn deref(&self) -> &Flag {} } fn look",
            ),
            ("let text", "let hold: Hold = hold(); hold.up.swap(true, Ordering::AcqRel); let text"),
        ],
        "`swap` of `Flag.up` in `look`, AcqRel: has no row",
    ),
    (
        "a word in a wrapper",
        [
            (
                "struct Flag { up: AtomicBool",
                "struct Apart<T>(T); struct Flag { up: Apart<AtomicBool>",
            ),
            ("self.up\n", "self.up.0\n"),
            ("flag.up.load(Ordering::Acquire)", "flag.up.0.load(Ordering::Acquire)"),
        ],
        None,
    ),
    (
        "assembly of a function that is no method",
        [("fn look", "fn keep() { unsafe { asm!(\"\") } } fn look")],
        "`asm` of `keep` in `keep`, non-LOCKed: has no row",
    ),
    (
        "assembly that touches no memory",
        [("fn look", "fn keep() { unsafe { asm!(\"\", options(nomem)) } } fn look")],
        None,
    ),
    (
        "no table",
        [("# The ordering table", "# Something else")],
        "no section",
    ),
]


def failures():
    """What was not noticed as it should be."""
    failed = []
    for name, edits, wanted in LESSONS:
        source, owner, table = SAMPLE, OWNER_SAMPLE, ROWS
        for old, new in edits:
            if (source + owner + table).count(old) != 1:
                failed.append(f"{name}: {old!r} is not in the sample once")
            source, owner, table = (text.replace(old, new) for text in (source, owner, table))
        files = {Path("flag.rs"): source, Path("sync.rs"): owner}
        _, _, problems = check(files, table)
        said = "\n".join(problems)
        if problems if wanted is None else wanted not in said:
            failed.append(f"{name}: wanted {wanted!r}, got {said!r}")
    return failed
