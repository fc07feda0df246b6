"""Compares the atomic accesses of Rust sources with a table; see relay/check-orderings."""

from .accesses import read_sources
from .table import compare, read_table


def check(files, table):
    """(accesses, rows, problems) of `files`, a dict from path to text, against the text of the document."""
    accesses, problems = read_sources(files)
    rows, wrong = read_table(table)
    return accesses, rows, problems + wrong + compare(accesses, rows)
