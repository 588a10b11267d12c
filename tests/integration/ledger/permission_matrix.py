"""Who may do what, as data: one row for each table, view, sequence and function of the schemas `ledger` and `gate`.

What is not here fails `test_permission_matrix.py`; so add its row with it. Roles are beside the owner and the superuser, who
have every right that no guard takes away. Parts of `ledger.transfers` share one row.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PARTS = "ledger.transfers_*"
_READERS = "executor gate edge jobs auditor importer"
_STATEMENT_READERS = "executor gate gate_owner edge jobs auditor"
_REMOVAL = frozenset({"delete", "truncate"})
_CHANGE = _REMOVAL | {"update"}
_ALL_WRITING = _CHANGE | {"insert"}


@dataclass(frozen=True, slots=True)
class TableRights:
    """Hold who reads and writes a table. `guarded`: what its triggers refuse to everybody, the owner and the superuser included.

    A guarded insert is left to `ledger_writer` alone. `columns`: what one role may write, where that is not the whole row.
    """

    select: str = ""
    insert: str = ""
    update: str = ""
    delete: str = ""
    guarded: frozenset[str] = frozenset()
    has_tenant: bool = True
    columns: dict[tuple[str, str], frozenset[str] | None] = field(default_factory=dict)


# None for the columns: all but `recorded_at`, which is the server's stamp. Reviews cannot be emptied: approvals hang on them.
TABLES = {
    "ledger.default_chart": TableRights("edge jobs auditor importer ledger_writer", has_tenant=False),
    "ledger.chart": TableRights("edge jobs auditor importer ledger_writer", "importer", "importer"),
    "ledger.accounts": TableRights("jobs auditor gate_owner ledger_writer", "ledger_writer", "ledger_writer", guarded=_REMOVAL),
    "ledger.tails": TableRights(
        "jobs auditor ledger_writer", "ledger_writer", delete="ledger_writer", guarded=frozenset({"truncate"})
    ),
    "ledger.transfers": TableRights("jobs auditor gate_owner ledger_writer", "ledger_writer", guarded=_ALL_WRITING),
    PARTS: TableRights(guarded=_ALL_WRITING),
    "ledger.holds": TableRights(f"{_STATEMENT_READERS} ledger_writer", "ledger_writer", "ledger_writer", guarded=_REMOVAL),
    "ledger.reversals": TableRights("jobs auditor ledger_writer", "ledger_writer", "ledger_writer", guarded=_REMOVAL),
    "ledger.refusals": TableRights(f"{_STATEMENT_READERS} ledger_writer", "ledger_writer", guarded=_ALL_WRITING),
    "ledger.refund_totals": TableRights(
        f"{_STATEMENT_READERS} ledger_writer", "ledger_writer", "ledger_writer", guarded=_REMOVAL
    ),
    "ledger.writer_epochs": TableRights("ledger_writer", "ledger_writer", "ledger_writer", guarded=_REMOVAL),
    "ledger.archived_parts": TableRights("jobs auditor ledger_writer", guarded=_CHANGE),
    "ledger.archived_sums": TableRights("jobs auditor ledger_writer", guarded=_CHANGE),
    "ledger.checks": TableRights("jobs auditor edge", "jobs", "jobs"),
    "ledger.checked_sums": TableRights("jobs auditor edge", "jobs", "jobs"),
    "ledger.rebuilt_balances": TableRights("ledger_writer", "ledger_writer", delete="ledger_writer"),
    "gate.authorizations": TableRights(
        "gate jobs auditor ledger_owner ledger_writer",
        "gate",
        "ledger_writer",
        "ledger_writer",
        columns={
            # What is reserved is copied from the decision, by its own function.
            ("gate", "insert"): frozenset({"tenant_id", "transfer_id", "decision_id", "digest", "valid_from", "valid_until"})
        },
    ),
    "gate.decisions": TableRights(
        "gate executor jobs auditor ledger_owner ledger_writer core_owner",
        "gate",
        guarded=_CHANGE,
        columns={("gate", "insert"): None},
    ),
    "gate.freezes": TableRights("gate executor edge auditor ledger_writer jobs"),
    "gate.executed_acts": TableRights("gate executor jobs auditor ledger_writer"),
    "gate.executed_hours": TableRights("gate auditor"),
    "gate.policy_bundles": TableRights("gate auditor", "gate", guarded=_CHANGE),
    "gate.reviews": TableRights(
        "gate auditor",
        "gate",
        "gate",
        guarded=frozenset({"truncate"}),
        columns={
            ("gate", "update"): frozenset({"state", "closed_at", "claimed_by", "claimed_at", "claimed_until", "escalated_at"})
        },
    ),
    "gate.approvals": TableRights("gate auditor", "gate", guarded=_CHANGE),
    "gate.log_nodes": TableRights("gate auditor", "gate", guarded=_CHANGE),
    "gate.checkpoints": TableRights("gate auditor jobs", "gate", guarded=_CHANGE),
    "gate.log_keys": TableRights("gate auditor", "gate", guarded=_CHANGE),
    "gate.anchors": TableRights("gate auditor jobs", "gate jobs", guarded=_CHANGE),
    "gate.shadow_decisions": TableRights("gate auditor", "gate", guarded=_CHANGE),
    "gate.score_cards": TableRights("gate auditor", "gate", guarded=_CHANGE),
    "gate.shadow_scores": TableRights("gate auditor", "gate", guarded=_CHANGE),
    "gate.baselines": TableRights("gate auditor", "gate", guarded=_CHANGE),
}

# Nobody writes through a view.
VIEWS = {
    "ledger.account_balances": f"{_READERS} ledger_writer",
    "ledger.account_drift": _READERS,
    "ledger.account_entries": _READERS,
    "ledger.entry_effects": "jobs auditor ledger_writer",
    "ledger.hold_lines": _READERS,
    "ledger.transfer_events": f"{_READERS} gate_owner",
    "ledger.transfer_lines": _READERS,
    "ledger.trial_balance": _READERS,
    "gate.consumptions": "gate executor jobs auditor ledger_owner ledger_writer core_owner",
    "gate.review_outcomes": "gate auditor",
    "gate.reviewer_pace": "gate auditor",
}

# Who may draw a number; nobody but the owner sets one.
SEQUENCES = {"ledger.accounts_account_seq": "", "ledger.entry_order": "ledger_writer"}

# The doors: functions with their owner's rights that verify the tenant first.
DOORS = {
    "ledger.post_one": "executor",
    "ledger.post_many": "executor",
    "ledger.claim_writer": "executor",
    "ledger.execute_decision": "executor",
    "gate.freeze": "gate",
    "gate.thaw": "gate",
    "gate.is_frozen": "gate ledger_writer",
    "gate.record_act": "ledger_writer",
    "gate.fold_hours": "gate",
    "gate.rebuild_features": "gate",
    "ledger.define_account": "importer",
    "ledger.close_account": "importer",
    "ledger.resume_account": "importer",
    "ledger.import_transfers": "importer",
    "ledger.rebuild_balances": "importer",
    "ledger.stop_account": "importer jobs",
    "ledger.expire_holds": "jobs",
    "ledger.roll_up": "jobs",
    "ledger.tell_of_incident": "jobs",
    "ledger.tell_of_archive": "jobs",
    "ledger.list_entries": _READERS,
    "ledger.list_entries_before": _READERS,
    "ledger.find_balance_at": _READERS,
}

# What the gate reads for a decision, with the caller's rights: row-level security binds it, and so do his rights to tables.
READING = {
    "gate.open_case": "gate",
    "gate.count_velocity": "gate gate_owner",
    "gate.read_charge": "gate",
    "gate.read_records": "gate",
    "gate.read_people": "gate",
    "gate.read_turn": "gate",
    "gate.read_facts": "gate",
}

# Open to some, but of no tenant: they read no row of one.
COMPUTING = {
    "ledger.ensure_partitions": "jobs",
    "ledger.first_uuid_of": "ledger_writer",
    "ledger.make_event_id": "ledger_writer",
    "ledger.name_of_kind": "executor gate gate_owner edge importer jobs auditor ledger_owner",
    "ledger.name_of_code": "executor gate gate_owner edge importer jobs auditor ledger_owner",
    "ledger.digest_of_transfer": "gate gate_owner ledger_owner auditor",
    "gate.digest_of_flat": "gate ledger_writer auditor",
    "gate.digest_of_refund": "gate ledger_writer auditor",
    "gate.digest_of_act": "gate ledger_writer auditor",
    "gate.digest_of_decision": "gate ledger_writer auditor",
    "gate.plan_act": "ledger_writer",
    "gate.uuid_of": "gate ledger_owner ledger_writer jobs auditor",
    "gate.plan_transfer": "gate ledger_owner ledger_writer jobs auditor",
}

# The steps inside: for their owner alone.
INNER = {
    "ledger_owner": "guard_entries prepare_partition refuse_account refuse_removal refuse_stranger",
    "ledger_writer": (
        "admit answer_repetitions check_beneficiary check_charge check_decision check_dispute check_holder check_records"
        " check_requests cover_chains derive_expiry_id"
        " digest_requests explain_missing fail_chains find_chains find_covered find_repetitions find_second_places"
        " find_source_slots find_targets first_of hash_balances is_answered lock_account lock_accounts"
        " merge_answers open_account play_batch post_decision post_plain read_execution rebuild_beside"
        " record_execution require_shape result_codes swap_balances switch_account take_authorizations"
        " tell_of_account undo_side write_batch write_played write_targets write_units"
    ),
    "gate_owner": "authorize freeze_lock hash_features refuse_authorization refuse_frozen refuse_reopening supersede",
}

# What no role that can log in may do, whatever it knows; each as SQLSTATE 42501. `{role}` is the role itself.
FORBIDDEN = (
    "SET session_replication_role = replica",
    "SET ROLE {other}",
    "SET SESSION AUTHORIZATION {other}",
    "ALTER ROLE {role} BYPASSRLS",
    "ALTER ROLE {role} SUPERUSER",
    "GRANT ledger_writer TO {role}",
    "CREATE ROLE mallory",
    "CREATE SCHEMA mallory",
    "CREATE TEMP TABLE mallory (x INTEGER)",
    "CREATE TABLE ledger.mallory (x INTEGER)",
    "CREATE TABLE gate.mallory (x INTEGER)",
    "CREATE TABLE core.mallory (x INTEGER)",
    "CREATE TABLE public.mallory (x INTEGER)",
    "CREATE TABLE extensions.mallory (x INTEGER)",
    "CREATE FUNCTION extensions.mallory() RETURNS INTEGER LANGUAGE SQL AS 'SELECT 1'",
    "CREATE OPERATOR extensions.<> (LEFTARG = NAME, RIGHTARG = TEXT, FUNCTION = starts_with)",
    "DROP EXTENSION vector",
    "ALTER DATABASE {database} SET session_replication_role = replica",
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/mallory'",
    "SELECT PG_READ_FILE('PG_VERSION')",
    "SELECT PG_TERMINATE_BACKEND(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
    "SELECT outer_pad FROM core.context_keys",
    "UPDATE core.context_keys SET outer_pad = inner_pad",
    "INSERT INTO core.context_keys (key_id) VALUES ('mallory')",
    "INSERT INTO core.events_unsequenced (tenant_id, event_id) VALUES ('x', GEN_RANDOM_UUID())",
)
# The same, of what runs in no transaction.
FORBIDDEN_ALONE = ("CREATE DATABASE mallory", "ALTER SYSTEM SET fsync = off", "CREATE TABLESPACE mallory LOCATION '/tmp/mallory'")

# What only the owner of a table does to it.
OWNER_ONLY = (
    "ALTER TABLE {table} DISABLE TRIGGER USER",
    "ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
    "ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE {table} ADD COLUMN mallory INTEGER",
    "CREATE POLICY mallory ON {table} USING (TRUE)",
    "CREATE TRIGGER mallory BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE INDEX mallory ON {table} ((1))",
    "DROP TABLE {table} CASCADE",
)
