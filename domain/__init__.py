"""What is Money, an Origin, a Proposal, a Fact, a Decision, an Event, a Receipt?

Pure vocabulary: no I/O, no clock, no environment. May import: the standard library, pydantic, rfc8785.
Open first: `decision.py`, then `proposal.py`.
"""
