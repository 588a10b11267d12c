"""For any sizes: growing in batches equals growing at once, paths lead to the root, and nothing else does."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from gates.receipts.tree import NodeKey, append_leaves, hash_leaf, make_path, root_from_path, root_of

_SIZES = st.integers(min_value=1, max_value=300)


def _leaves(size: int) -> list[bytes]:
    return [hash_leaf(str(number).encode()) for number in range(size)]


def _define_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + _define_root(leaves[:split]) + _define_root(leaves[split:])).digest()


def _define_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962 section 2.1.1, word by word."""
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*_define_path(index, leaves[:split]), _define_root(leaves[split:])]
    return [*_define_path(index - split, leaves[split:]), _define_root(leaves[:split])]


def _grow(leaves: list[bytes], batches: list[int]) -> tuple[dict[NodeKey, bytes], bytes]:
    """Append in batches, keeping what the database keeps."""
    nodes: dict[NodeKey, bytes] = {}
    size, root = 0, b""
    for batch in [*batches, len(leaves)]:
        part = leaves[size : size + batch]
        growth = append_leaves(size, nodes, part)
        nodes |= {(0, size + offset): leaf for offset, leaf in enumerate(part)} | dict(growth.nodes)
        size, root = growth.size, growth.root
    return nodes, root


@given(_SIZES, st.lists(st.integers(min_value=0, max_value=40), max_size=10))
def test_any_batches_give_the_defined_root(size: int, batches: list[int]) -> None:
    nodes, root = _grow(_leaves(size), batches)
    assert root == _define_root(_leaves(size)) == root_of(size, nodes)


@given(_SIZES, st.data())
def test_paths_are_the_defined_ones_and_lead_to_the_root(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    leaves = _leaves(size)
    nodes, root = _grow(leaves, [])
    path = make_path(index, size, nodes)
    assert list(path) == _define_path(index, leaves)
    assert root_from_path(leaves[index], path, index=index, size=size) == root
    assert root_from_path(hash_leaf(b"forged"), path, index=index, size=size) != root
