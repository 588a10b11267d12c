"""The check at the start: every file that a process is about to use must be the one that is in force."""

from __future__ import annotations

from datetime import datetime, timedelta

from psycopg import Error as DatabaseError

from domain.errors import SetupError, Unavailable
from serving.artifacts import find_models, find_prompts, key_of
from serving.settings import ROOT_DIR, Settings
from storage.pools import open_pool
from storage.registry_start import Admission, Found, admit
from storage.roles import read_role_password
from storage.server_address import ServerAddress
from storage.tenancy import mint_context, read_context_key
from storage.unit_of_work import unit_of_work

_CONTEXT_LIFETIME = timedelta(minutes=5)


def admit_artifacts(settings: Settings, address: ServerAddress, *, now: datetime) -> tuple[Admission, ...]:
    """Hold what lies on the disk against the registry, name by name; what is new there becomes a candidate.

    A refusal is an answer, with its incident opened: whoever would use the file goes without it. Raises: SetupError when the
    registry cannot be asked: then nothing starts.
    """
    found = find_governed(settings)
    context = mint_context(
        read_context_key(settings.secrets_dir), tenant_id=settings.tenant_id, role="gate", expires_at=now + _CONTEXT_LIFETIME
    )
    pool = open_pool(address.dsn("gate", read_role_password(settings.secrets_dir, "gate")), name="supervisor-gate", max_size=1)
    try:
        admissions = []
        for one in found:
            with unit_of_work(pool, context) as connection:
                admissions.append(admit(connection, one, tenant_id=settings.tenant_id, now=now))
        return tuple(admissions)
    except (DatabaseError, Unavailable) as error:
        raise SetupError(
            f"the registry could not be asked what is approved ({type(error).__name__}): nothing starts until it can",
            code="artifacts_not_checked",
        ) from error
    finally:
        pool.close()


def find_governed(settings: Settings) -> tuple[Found, ...]:
    """Measure every file that these settings put to use."""
    parts = ["ner"]
    if settings.vllm != "none" and settings.with_model and (settings.models_dir / "chat" / "config.json").exists():
        parts.append("chat")
        if settings.with_embeddings and (settings.models_dir / "embedding" / "config.json").exists():
            parts.append("embedding")
    return (*find_models(settings.models_dir, parts), *find_prompts(ROOT_DIR))


def list_admitted(admissions: tuple[Admission, ...]) -> dict[str, str]:
    """Return what the processes are told: the hash of each content that may be used."""
    return {key_of(one.kind, one.name): one.sha256 for one in admissions if one.sha256 is not None}
