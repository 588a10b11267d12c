"""Which habits does no off-the-shelf linter hold for us?

One rule a module; each rule's docstring says what goes wrong without it. `python -m tools.lint_rules` runs all on the checkout.
"""
