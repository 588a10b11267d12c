"""Answers: what must exist on this machine before a command can run, and how is it made?

Runs before any environment exists, so it imports the standard library of Python 3.11 only; the two converters are the
exception, they are run by the environments that set-up has made. Open `table.py` first.
"""
