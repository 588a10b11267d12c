"""Named queries load whole or say what is wrong, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from storage.named_queries import InvalidQueryFile, UnknownQuery, load_queries

GOOD = "-- name: find_x\n-- Why it is there.\nSELECT 1 -- inline stays\nWHERE TRUE;\n\n-- name: list_y\n-- Why.\nSELECT '--';\n"


def test_blocks_come_back_without_name_comment_and_semicolon(tmp_path: Path) -> None:
    path = tmp_path / "x.sql"
    path.write_text(GOOD)
    queries = load_queries(path)
    assert dict(queries) == {"find_x": "SELECT 1 -- inline stays\nWHERE TRUE", "list_y": "SELECT '--'"}
    assert "find_x" in queries
    assert "find_z" not in queries


def test_indentation_goes(tmp_path: Path) -> None:
    path = tmp_path / "x.sql"
    path.write_text("-- name: find_x\n-- Why.\nSELECT\n    one,\n    two\nFROM twos;\n")
    assert load_queries(path)["find_x"] == "SELECT\none,\ntwo\nFROM twos"


def test_a_folder_is_one_mapping(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text(GOOD)
    (tmp_path / "b.sql").write_text("-- name: find_b\n-- Why.\nSELECT 2\n")
    assert sorted(load_queries(tmp_path)) == ["find_b", "find_x", "list_y"]
    (tmp_path / "c.sql").write_text("-- name: find_b\n-- Why.\nSELECT 3\n")
    with pytest.raises(InvalidQueryFile, match=r"'find_b' stands twice.*c\.sql"):
        load_queries(tmp_path)


def test_a_missing_query_names_the_ones_there_are(tmp_path: Path) -> None:
    path = tmp_path / "x.sql"
    path.write_text(GOOD)
    with pytest.raises(UnknownQuery, match=r"'find_z'.*there are: find_x, list_y"):
        load_queries(path)["find_z"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "line 1: expected"),
        ("SELECT 1;\n", "line 1: expected"),
        ("-- a stray comment\n" + GOOD, "line 1: expected"),
        (GOOD + "-- name: find_x\n-- Why.\nSELECT 1;\n", "stands twice"),
        (GOOD + "-- name: Find-X\n-- Why.\nSELECT 1;\n", "line 9: 'Find-X' is no lower_snake name"),
        ("-- name: find_x\nSELECT 1;\n", "line 1: query 'find_x' needs a comment line"),
        ("-- name: find_x\n-- Why.\n", "needs a comment line and a statement"),
    ],
)
def test_a_broken_file_says_where(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.sql"
    path.write_text(content)
    with pytest.raises(InvalidQueryFile, match=message):
        load_queries(path)


def test_a_missing_file_or_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.sql"):
        with pytest.raises(InvalidQueryFile):
            load_queries(path)
