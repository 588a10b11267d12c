"""How fast and how large is it, measured in one run? Prints figures; asserts nothing.

Run by `./tellergate bench NAME --json`. One JSON object: bench, machine, peers, figures (name, value, unit, goal).
"""
