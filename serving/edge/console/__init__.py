"""Which pages does a person see?

One module per screen; each renders templates of `serving/templates`. May import the rest of `serving.edge`.
Open first: `chat.py`.
"""
