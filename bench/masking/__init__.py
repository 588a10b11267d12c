"""How much does masking miss, what does it destroy, and what does it cost, beside stock Presidio in the same run?

May import: anything; nothing imports it. `generator.py` makes labelled texts of invented people out of `templates/` and `lists/`,
a development and a test part that share neither; `scoring.py` says what a leak is; `__main__.py` is the command. Open first:
`generator.py`, then `scoring.py`.
"""
