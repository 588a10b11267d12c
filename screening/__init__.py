"""Which listed names match this name?

Names in, matches out; pure.
May import: masking, storage, domain. Empty until screening is built: its state is `unknown`, which is review.
"""
