"""What exactly is said to a model, in which version, and with which hash?

Versioned prompt files, their manifest, and the only way to render them. May import: masking, storage, domain.
Open first: `templates/support_draft.v1.md`, then `rendering.py`.
"""
