"""A copy of the workspace whose sources are changed and put back: what weaken-orderings.py and faults.py share."""

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def copy():
    """A copy of the workspace."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "relay"
        ignored = shutil.ignore_patterns("target", "captures", ".git")
        # With times of now: what was built of an earlier copy must not pass for what is built of
        # this one.
        shutil.copytree(ROOT, work, ignore=ignored, copy_function=shutil.copy)
        yield work


@contextlib.contextmanager
def applied(work, edits):
    """Changes files below relay/src of the copy: (name, old text, new text) each. An old text is there once."""
    saved = {}
    for name, old, new in edits:
        path = work / "relay/src" / name
        text = path.read_text()
        saved.setdefault(path, text)
        if text.count(old) != 1 or old == new:
            sys.exit(
                f"{name}: {old!r} is there {text.count(old)} times, want once and another text for it"
            )
        path.write_text(text.replace(old, new))
    yield
    for path, text in saved.items():
        path.write_text(text)


def check_names(wanted, known):
    """Ends the program if something is wanted that is not known."""
    unknown = set(wanted) - set(known)
    if unknown:
        sys.exit(f"no such name: {', '.join(sorted(unknown))}")
