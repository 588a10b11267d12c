"""Bundles made from the starter by changing its text: resealed, so that they load."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from gates.policy.bundle import PolicyBundle, load_bundle_content, load_bundle_directory

STARTER = Path(__file__).resolve().parents[3] / "gates" / "bundles" / "starter"


def change_starter(*changes: tuple[str, str, str], **manifest: Any) -> PolicyBundle:
    """Return the starter with `(file, old text, new text)` replaced, and other values in its manifest."""
    content = load_bundle_directory(STARTER).content
    files = dict(content["files"])
    for name, old, new in changes:
        assert old in files[name]
        files[name] = files[name].replace(old, new)
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    return load_bundle_content({"manifest": {**content["manifest"], **manifest, "files": hashes}, "files": files})


def allow_everything() -> PolicyBundle:
    """Return a bundle that permits every act and restricts none."""
    content = load_bundle_directory(STARTER).content
    permit = '@id("permit-all")\n@outcome("allow")\n@reason("within_policy")\npermit (principal, action, resource);\n'
    files = {**content["files"], "permits.cedar": permit, "restrictions.cedar": ""}
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}
    return load_bundle_content({"manifest": {**content["manifest"], "name": "careless", "files": hashes}, "files": files})
