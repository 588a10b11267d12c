"""The Merkle tree of RFC 6962 section 2.1, pure: which hashes it needs, and what follows from them.

A node is the hash of a complete subtree: key (level, position) covers the leaves from position * 2**level on. A tree of any
size is a row of complete subtrees, so complete ones are all that is ever stored; they never change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from domain.errors import BrokenInvariant

NodeKey = tuple[int, int]
HASH_BYTES = 32


class TreeMismatch(BrokenInvariant):
    """Say that the hashes at hand do not make the tree they should."""

    code = "tree_mismatch"


@dataclass(frozen=True, slots=True)
class Growth:
    """Hold what appending makes: the new complete subtrees above the leaves, the new size and root."""

    size: int
    root: bytes
    nodes: Mapping[NodeKey, bytes]


def hash_leaf(content: bytes) -> bytes:
    """Hash a leaf's content. The prefix keeps leaves and inner nodes apart."""
    return hashlib.sha256(b"\x00" + content).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """Hash two neighbouring subtrees into their parent."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def list_subtrees(start: int, end: int) -> list[NodeKey]:
    """Return the complete subtrees that cover the leaves [start, end), left to right, as large as they go."""
    keys: list[NodeKey] = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        keys.append((level, start >> level))
        start += 1 << level
    return keys


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the hash over neighbouring subtrees, largest first: from the right, as RFC 6962 splits."""
    if not hashes:
        raise TreeMismatch("nothing to fold")
    result = hashes[-1]
    for left in reversed(hashes[:-1]):
        result = hash_children(left, result)
    return result


def root_of(size: int, nodes: Mapping[NodeKey, bytes]) -> bytes:
    """Return the root of a tree; the empty one has the hash of nothing. Raises: TreeMismatch."""
    if size == 0:
        return hashlib.sha256(b"").digest()
    return fold(_pick(list_subtrees(0, size), nodes))


def append_leaves(size: int, nodes: Mapping[NodeKey, bytes], leaves: Iterable[bytes]) -> Growth:
    """Append leaf hashes to a tree of `size` leaves; of `nodes` only `list_subtrees(0, size)` is read.

    Raises: TreeMismatch.
    """
    keys = list_subtrees(0, size)
    row = list(zip(keys, _pick(keys, nodes), strict=True))
    made: dict[NodeKey, bytes] = {}
    for leaf in leaves:
        row.append(((0, size), leaf))
        size += 1
        while len(row) > 1 and row[-1][0][0] == row[-2][0][0]:
            (_, right), ((level, position), left) = row.pop(), row.pop()
            row.append(((level + 1, position >> 1), hash_children(left, right)))
            made[row[-1][0]] = row[-1][1]
    root = fold([digest for _, digest in row]) if row else root_of(0, {})
    return Growth(size=size, root=root, nodes=made)


def plan_path(index: int, size: int) -> list[list[NodeKey]]:
    """Return, leaf to root, the subtrees whose fold is each element of a leaf's audit path.

    Source: RFC 6962 section 2.1.1. Raises: TreeMismatch for an index outside of the tree.
    """
    if not 0 <= index < size:
        raise TreeMismatch(f"leaf {index} is not in a tree of {size}")
    plan: list[list[NodeKey]] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + (1 << ((end - start - 1).bit_length() - 1))
        if index < middle:
            plan.append(list_subtrees(middle, end))
            end = middle
        else:
            plan.append(list_subtrees(start, middle))
            start = middle
    return plan[::-1]


def make_path(index: int, size: int, nodes: Mapping[NodeKey, bytes]) -> tuple[bytes, ...]:
    """Return a leaf's audit path, leaf to root. `nodes` must hold what `plan_path` names. Raises: TreeMismatch."""
    return tuple(fold(_pick(keys, nodes)) for keys in plan_path(index, size))


def root_from_path(leaf: bytes, path: Sequence[bytes], *, index: int, size: int) -> bytes:
    """Return the root that a leaf hash and its path lead to. Source: RFC 9162 section 2.1.3.2. Raises: TreeMismatch."""
    if not 0 <= index < size:
        raise TreeMismatch(f"leaf {index} is not in a tree of {size}")
    node, last, result = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise TreeMismatch("the path is too long")
        if node & 1 or node == last:
            result = hash_children(sibling, result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = hash_children(result, sibling)
        node, last = node >> 1, last >> 1
    if last:
        raise TreeMismatch("the path is too short")
    return result


def _pick(keys: Iterable[NodeKey], nodes: Mapping[NodeKey, bytes]) -> list[bytes]:
    try:
        return [nodes[key] for key in keys]
    except KeyError as error:
        raise TreeMismatch(f"node {error.args[0]} is missing") from error
