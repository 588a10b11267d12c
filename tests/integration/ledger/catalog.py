"""What the schemas `ledger` and `gate` hold, from the system catalogue."""

from __future__ import annotations

import re
from typing import Any

from psycopg import Connection

from tests.integration.ledger.permission_matrix import PARTS

FUNCTIONS = """
SELECT pg_proc.oid, nspname || '.' || proname, pg_get_userbyid(proowner), prokind, prosecdef, proconfig, prosrc,
    ARRAY(SELECT FORMAT_TYPE(type, NULL) FROM UNNEST(proargtypes::OID[]) AS types (type)) AS arguments
FROM pg_catalog.pg_proc INNER JOIN pg_catalog.pg_namespace ON pg_namespace.oid = pronamespace
WHERE nspname IN ('ledger', 'gate') ORDER BY 2
"""
_RELATIONS = """
SELECT nspname || '.' || relname, relkind, pg_get_userbyid(relowner)
FROM pg_catalog.pg_class INNER JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname IN ('ledger', 'gate') AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S') ORDER BY 1
"""


def row_of(table: str) -> str:
    """Name the row of the matrix that a table has: the parts of the transfers share one."""
    return PARTS if re.fullmatch(r"ledger\.transfers_(\d{4}_\d\d|other)", table) else table


def list_relations(admin: Connection[Any], kinds: str) -> dict[str, str]:
    """Return name and owner."""
    return {name: owner for name, kind, owner in admin.execute(_RELATIONS) if kind in kinds}
