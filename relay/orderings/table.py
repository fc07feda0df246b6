"""The ordering table, and its comparison with the accesses."""

import re
from collections import namedtuple

from .rust import ORDERINGS

HEADING = "# The ordering table"

Row = namedtuple("Row", "line words operation functions ordering")

NAME = r"`([\w.]+)`"
ACCESS = re.compile(rf"`(\w+)`(?: in {NAME}(?:, {NAME})*)?(?::|$)")
ORDERING = re.compile(
    rf"((?:{'|'.join(ORDERINGS)})(?:/(?:{'|'.join(ORDERINGS)}))?|the caller's|non-LOCKed|LOCKed)(?:[,;:]|$)"
)


def read_table(text):
    """(rows, problems) of the ordering table in `text`."""
    rows, problems = [], []
    lines = text.split("\n")
    if HEADING not in lines:
        return [], [f"no section {HEADING!r}"]
    for number, line in enumerate(lines[lines.index(HEADING) + 1 :], lines.index(HEADING) + 2):
        if line.startswith("#"):
            break
        if not line.startswith("|") or line.startswith("| word |") or line.startswith("|---"):
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        words = re.findall(NAME, cells[0])
        access = ACCESS.match(cells[1]) if len(cells) > 2 else None
        ordering = ORDERING.match(cells[2]) if len(cells) > 2 else None
        if not (words and access and ordering) or re.sub(NAME, "", cells[0]).strip(" ,"):
            problems.append(
                f"ordering table, line {number}: not of the form | `Type.field` | `operation` in `function`: ... | Ordering |"
            )
            continue
        functions_named = re.findall(NAME, access[0])[1:]
        rows.append(Row(number, words, access[1], functions_named, ordering[1]))
    keys = [(word, row.operation) for row in rows for word in row.words]
    for row in rows:
        for word in row.words:
            if not row.functions and keys.count((word, row.operation)) > 1:
                problems.append(
                    f"ordering table, line {row.line}: `{row.operation}` of `{word}` has several rows: each must say `in` which functions"
                )
    return rows, problems


def compare(accesses, rows):
    """What is wrong between code and table."""
    problems, used = [], set()
    for access in accesses:
        place = f"{access.path}:{access.line}: `{access.operation}` of `{access.word}` in `{access.function}`"
        same = [
            row for row in rows if access.word in row.words and access.operation == row.operation
        ]
        here = [row for row in same if not row.functions or access.function in row.functions]
        if not here:
            problems.append(f"{place}, {access.ordering}: has no row in the ordering table")
            continue
        matching = [row for row in here if row.ordering == access.ordering]
        for row in matching or here:
            used.add((row.line, access.word, access.function if row.functions else None))
        if not matching:
            said = " or ".join(f"{row.ordering} (line {row.line})" for row in here)
            problems.append(f"{place}: is {access.ordering}, the ordering table says {said}")
    for row in rows:
        for word in row.words:
            if not row.functions and (row.line, word, None) not in used:
                problems.append(
                    f"ordering table, line {row.line}: stale, no `{row.operation}` of `{word}` is left"
                )
        for function in row.functions:
            if not any((row.line, word, function) in used for word in row.words):
                problems.append(
                    f"ordering table, line {row.line}: stale, no `{row.operation}` of {', '.join(row.words)} is left in `{function}`"
                )
        for word in row.words:
            if (
                row.functions
                and len(row.words) > 1
                and not any((row.line, word, function) in used for function in row.functions)
            ):
                problems.append(
                    f"ordering table, line {row.line}: stale, no `{row.operation}` of `{word}` is left in these functions"
                )
    return problems
