"""How does personal data leave a text, and how does it come back, and to whom?

Text goes in, `MaskedText` comes out; nothing else builds one. May import: `storage`, `domain`, presidio, onnxruntime,
tokenizers, phonenumbers, cryptography. `masking.unmask` is importable by `serving` only. Cheap to import everywhere: `text`,
`tokens`, `classes`, `guard`; `detection` and what uses it take two seconds (presidio brings spaCy).
Open first: `masker.py` (the way in), then `detection.py`, `vault.py` and `unmask.py` (the way back).
"""
