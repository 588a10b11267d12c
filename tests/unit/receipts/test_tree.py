"""The tree against RFC 6962's own recursive definitions, and against its published test vectors."""

from __future__ import annotations

import hashlib

import pytest

from gates.receipts.tree import (
    TreeMismatch,
    append_leaves,
    fold,
    hash_children,
    hash_leaf,
    list_subtrees,
    make_path,
    plan_path,
    root_from_path,
    root_of,
)

# Source: the test data of the Certificate Transparency reference implementation (merkle tree tests).
_LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


@pytest.mark.parametrize("size", range(len(_ROOTS)))
def test_published_roots(size: int) -> None:
    assert append_leaves(0, {}, map(hash_leaf, _LEAVES[:size])).root.hex() == _ROOTS[size]


def test_leaf_and_node_hashes_are_kept_apart() -> None:
    left, right = hash_leaf(b"a"), hash_leaf(b"b")
    assert hash_children(left, right) != hash_leaf(left + right)
    assert hash_children(left, right) == hashlib.sha256(b"\x01" + left + right).digest()


@pytest.mark.parametrize(
    ("start", "end", "keys"),
    [
        (0, 0, []),
        (0, 1, [(0, 0)]),
        (0, 7, [(2, 0), (1, 2), (0, 6)]),
        (4, 7, [(1, 2), (0, 6)]),
        (8, 16, [(3, 1)]),
    ],
)
def test_subtrees(start: int, end: int, keys: list[tuple[int, int]]) -> None:
    assert list_subtrees(start, end) == keys


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_an_index_outside_of_the_tree_is_refused(index: int, size: int) -> None:
    with pytest.raises(TreeMismatch):
        plan_path(index, size)
    with pytest.raises(TreeMismatch):
        root_from_path(b"", [], index=index, size=size)


def test_missing_nodes_are_named() -> None:
    with pytest.raises(TreeMismatch, match=r"\(1, 0\)"):
        root_of(2, {})
    with pytest.raises(TreeMismatch):
        make_path(0, 2, {})
    with pytest.raises(TreeMismatch):
        append_leaves(2, {}, [])
    with pytest.raises(TreeMismatch):
        fold([])


def test_a_path_of_the_wrong_length_is_refused() -> None:
    leaves = [hash_leaf(bytes([number])) for number in range(5)]
    nodes = {(0, number): leaf for number, leaf in enumerate(leaves)} | dict(append_leaves(0, {}, leaves).nodes)
    path = make_path(4, 5, nodes)
    assert root_from_path(leaves[4], path, index=4, size=5) == root_of(5, nodes)
    for wrong in ((), (*path, path[0])):
        with pytest.raises(TreeMismatch):
            root_from_path(leaves[4], wrong, index=4, size=5)
