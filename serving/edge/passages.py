"""The passage of the knowledge base behind a citation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from psycopg.rows import dict_row

from domain.errors import NotFound
from serving.edge.boundary import Viewer
from serving.edge.database import EdgeDatabase
from storage.named_queries import load_queries

_QUERIES = load_queries(Path(__file__).parent / "sql" / "passages.sql")
_MAX_ORDINAL_DIGITS = 6


class UnknownPassage(NotFound):
    """Say that there is no such passage, or that the reader's roles may not read it."""

    code = "unknown_passage"


@dataclass(frozen=True, slots=True)
class Passage:
    """Hold one passage as its article has it."""

    article_id: str
    ordinal: int
    heading_path: str
    masked_text: str
    title: str
    language: str


def read_passage(database: EdgeDatabase, viewer: Viewer, ref: str) -> Passage:
    """Return the passage `<article id>#<ordinal>`. Raises: UnknownPassage."""
    article_id, _, ordinal = ref.rpartition("#")
    unknown = UnknownPassage("there is no such passage, or your roles may not read it")
    if not (article_id and ordinal.isascii() and ordinal.isdigit() and len(ordinal) <= _MAX_ORDINAL_DIGITS) or "\0" in ref:
        raise unknown
    with database.work(viewer.tenant_id) as connection, connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(
            _QUERIES["find_passage"],
            {
                "tenant_id": viewer.tenant_id,
                "article_id": article_id,
                "ordinal": int(ordinal),
                "roles": sorted(role.value for role in viewer.roles),
            },
        ).fetchone()
    if row is None:
        raise unknown
    return Passage(**row)
