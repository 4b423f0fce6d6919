"""What the ledger has of a drill, read from its SQLite file once the gateway has ended."""

import contextlib
import sqlite3


def ask(file, statement):
    """The first column of the first row."""
    with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
        return database.execute(statement).fetchone()[0]


def questions(file):
    """How many requests are in the ledger, hits of the cache and refusals included."""
    return ask(file, "SELECT coalesce(sum(count), 0) FROM usage")
