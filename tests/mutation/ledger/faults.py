"""The faults, as data: what stands in a function, what stands there instead, and the tests that have to notice."""

from __future__ import annotations

from dataclasses import dataclass

_LEDGER = "tests/integration/ledger"
CONCURRENCY = f"{_LEDGER}/test_concurrency.py"
REFUNDS = f"{_LEDGER}/test_execute_refund.py"
LADDER = f"{_LEDGER}/test_result_ladder.py"
RIGHTS = f"{_LEDGER}/test_rights.py"
MATRIX = f"{_LEDGER}/test_permission_matrix.py"
WALLS = f"{_LEDGER}/test_walls.py"
ATTACKS = f"{_LEDGER}/test_attacks.py"
PAIRS = f"{_LEDGER}/test_both_ways.py"


@dataclass(frozen=True, slots=True)
class Fault:
    """Plant one fault. `function`: whose text changes, each `old` to `new`. `statement`: SQL that does the harm instead.

    `also` and `more` take away the second wall, where one stands behind. `tests` is the small set that has to notice.
    """

    name: str
    tests: str
    function: str = ""
    old: str = ""
    new: str = ""
    statement: str = ""
    also: tuple[str, ...] = ()
    more: tuple[tuple[str, str, str], ...] = ()


_PLAIN, _PLAY, _WRITE = "post_plain", "play_batch", "write_played"
_GONE = "WHERE FALSE"
FAULTS = (
    # Locks
    Fault("batch_without_row_locks", CONCURRENCY, "lock_accounts", "FOR NO KEY UPDATE OF accounts", ""),
    Fault("locks_in_no_order", CONCURRENCY, "lock_accounts", "ORDER BY accounts.code, accounts.currency", "ORDER BY RANDOM()"),
    Fault("locks_in_the_opposite_order", CONCURRENCY, "lock_accounts", "ORDER BY accounts.code,", "ORDER BY accounts.code DESC,"),
    Fault("single_locks_the_debit_first", CONCURRENCY, _PLAIN, "p_debit < p_credit AND v_debit IS NULL", "v_debit IS NULL"),
    Fault("holds_without_a_lock", CONCURRENCY, "find_targets", "ORDER BY transfer_id FOR NO KEY UPDATE", "ORDER BY transfer_id"),
    Fault("reversals_without_a_lock", CONCURRENCY, "write_batch", "PERFORM pg_advisory_xact_lock(", "PERFORM ABS("),
    Fault("charge_without_a_lock", REFUNDS, "check_charge", " FOR NO KEY UPDATE", ""),
    Fault(
        "decision_without_a_lock", REFUNDS, "execute_decision", "v_decision.transfer_id FOR UPDATE", "v_decision.transfer_id",
    ),
    # Ids
    Fault("id_check_gone", PAIRS, "explain_missing", "WHEN stored.transfer_id IS NOT NULL THEN", "WHEN FALSE THEN"),
    Fault("same_id_other_body_is_the_same", PAIRS, "explain_missing", "THEN 7 ELSE 8", "THEN 7 ELSE 7"),
    Fault("refusals_not_asked_for", PAIRS, "explain_missing", "WHEN refusals.transfer_id IS NOT NULL THEN", "WHEN FALSE THEN"),
    Fault("refusals_not_written", PAIRS, "write_batch", "WHERE admitted = 0 AND result <> 29", _GONE),
    Fault(
        "refused_body_not_compared", PAIRS, "explain_missing", "WHEN refusals.digest = asked.digest THEN 9 ELSE 8",
        "WHEN TRUE THEN 9 ELSE 8",
    ),
    Fault("repetitions_in_a_batch_not_seen", PAIRS, "find_repetitions", "IF NOT EXISTS", "IF TRUE OR NOT EXISTS"),
    # Limits
    Fault("single_debit_limit_gone", PAIRS, _PLAIN, "WHEN debits_must_not_exceed_credits THEN", "WHEN FALSE THEN"),
    Fault("single_credit_limit_gone", PAIRS, _PLAIN, "WHEN credits_must_not_exceed_debits THEN", "WHEN FALSE THEN"),
    Fault("single_holds_do_not_count", PAIRS, _PLAIN, "credits_posted_minor - debits_pending_minor", "credits_posted_minor"),
    Fault("batch_debit_limit_gone", PAIRS, _PLAY, "db[d] + hd[d] + amt > cr[d]", "FALSE"),
    Fault("batch_credit_limit_gone", PAIRS, _PLAY, "cr[c] + hc[c] + amt > db[c]", "FALSE"),
    Fault("batch_holds_do_not_count", PAIRS, _PLAY, "db[d] + hd[d] + amt > cr[d]", "db[d] + amt > cr[d]"),
    Fault("batch_takes_closed_accounts", PAIRS, _PLAY, "(fd | fc) & 4 <> 0", "FALSE"),
    Fault("single_takes_closed_accounts", PAIRS, _PLAIN, "rolled_up OR closed OR stopped", "rolled_up OR stopped"),
    Fault("single_takes_stopped_houses", PAIRS, _PLAIN, "AND rolled_up AND NOT closed AND NOT stopped", "AND rolled_up"),
    # Decisions
    Fault(
        "single_without_a_decision", PAIRS, _PLAIN, "IF v_decision_id IS NULL THEN",
        "v_decision_id := COALESCE(v_decision_id, p_transfer_id); IF FALSE THEN",
    ),
    Fault(
        "batch_without_a_decision", PAIRS, "explain_missing", "WHEN tokens.transfer_id IS NULL THEN 10",
        "WHEN tokens.transfer_id IS NULL THEN 0",
        more=(("admit", "IF res[i] = 0 AND v_decisions[i] IS NULL AND NOT p_system THEN res[i] := 10; END IF;", ""),),
    ),
    Fault("single_digest_not_compared", PAIRS, _PLAIN, "AND digest = v_digest", ""),
    Fault("batch_digest_not_compared", PAIRS, "take_authorizations", "AND tokens.digest = asked.digest", ""),
    Fault("single_lives_for_ever", PAIRS, _PLAIN, "AND p_now < valid_until", ""),
    Fault("batch_lives_for_ever", PAIRS, "take_authorizations", "AND p_now < tokens.valid_until", ""),
    Fault("single_is_early", PAIRS, _PLAIN, "AND p_now >= valid_from", ""),
    Fault("batch_is_early", PAIRS, "take_authorizations", "AND p_now >= tokens.valid_from", "AND TRUE"),
    Fault("single_believes_the_callers_clock", PAIRS, _PLAIN, "AND v_clock - recorded_at < valid_until - valid_from", ""),
    Fault(
        "batch_believes_the_callers_clock", PAIRS, "take_authorizations",
        "AND clock_timestamp() - tokens.recorded_at < tokens.valid_until - tokens.valid_from", "",
    ),
    Fault(
        "superseding_takes_nothing_back", PAIRS, "gate.supersede", "DELETE FROM gate.authorizations WHERE",
        "DELETE FROM gate.authorizations WHERE FALSE AND",
    ),
    Fault("superseding_after_the_posting", RIGHTS, "gate.supersede", "transfers.kind <> 2", "FALSE"),
    Fault("authorized_twice", RIGHTS, "gate.refuse_authorization", "WHERE transfers.tenant_id = added.tenant_id", "WHERE FALSE"),
    Fault("authorized_by_a_deny", RIGHTS, "gate.refuse_authorization", "decisions.outcome IN ('allow', 'hold')", "TRUE"),
    Fault("refund_decision_superseded", LADDER, "check_decision", "RETURN 'decision_superseded'", "NULL"),
    Fault("refund_past_the_charge", REFUNDS, "check_charge", "RETURN 'exceeds_refundable'", "NULL"),
    # What is written
    Fault("chain_not_undone", PAIRS, _PLAY, "db[d] := undo.db[b];", ""),
    Fault("chain_leaves_versions", PAIRS, _PLAY, "ver[d] := ver[d] - 1; ver[c] := ver[c] - 1;", ""),
    Fault("chain_leaves_the_first_leg", PAIRS, _PLAY, "res[k] := 6;", "res[k] := 29;"),
    Fault(
        "undo_of_a_single_forgotten", PAIRS, _PLAIN, "PERFORM ledger.undo_side(p_tenant_id, v_debit, p_amount_minor, 0);",
        "NULL;",
    ),
    Fault(
        "reversed_twice", PAIRS, _PLAY, "amt > t_amounts[slot] - t_reversed[slot]", "FALSE",
        also=("ALTER TABLE ledger.reversals DROP CONSTRAINT reversals_within_transfer",),
    ),
    Fault("posted_more_than_held", PAIRS, _PLAY, "ELSIF amt > held THEN code := 24;", ""),
    Fault("hold_answered_twice", PAIRS, _PLAY, "ELSIF t_states[slot] <> 0 THEN code := 20 + t_states[slot];", ""),
    Fault("hold_outlives_its_time", PAIRS, _PLAY, "ELSIF kind <> 5 AND t_expiries[slot] <= p_now THEN code := 23;", ""),
    Fault("hold_not_released", PAIRS, _PLAY, "hd[d] := hd[d] - held;", ""),
    Fault(
        "single_tail_forgotten", PAIRS, _PLAIN,
        "INSERT INTO ledger.tails VALUES (p_tenant_id, v_debit, p_amount_minor, 0, 0, 0, 1);", "NULL;",
    ),
    Fault("batch_tail_forgotten", PAIRS, _WRITE, "CONTINUE WHEN v_flags[i] & 16 = 0 OR v_versions[i] = 0;", "CONTINUE;"),
    Fault("single_version_stands_still", PAIRS, _PLAIN, "version = version + 1", "version = version"),
    Fault("batch_version_stands_still", PAIRS, _PLAY, "b := ver[d] + 1;", "b := ver[d];"),
    Fault(
        "single_without_its_event", PAIRS, _PLAIN,
        "INSERT INTO core.events_unsequenced (tenant_id, event_id) VALUES (p_tenant_id, p_transfer_id);", "",
    ),
    Fault("batch_without_its_events", PAIRS, _WRITE, "AS made WHERE result = 29;", "AS made WHERE FALSE;"),
    Fault("batch_stores_what_it_refused", PAIRS, _WRITE, "result = 29;", "result >= 16;"),
    # Walls
    Fault(
        "caller_says_which_tenant", ATTACKS, "post_one", "v_tenant_id TEXT := core.current_tenant();",
        "v_tenant_id TEXT := COALESCE(current_setting('tellergate.tenant', TRUE), core.current_tenant());",
    ),
    Fault("tenant_not_noted", ATTACKS, "post_many", "PERFORM set_config('tellergate.tenant', v_tenant_id, TRUE);", ""),
    Fault("view_without_row_security", ATTACKS, statement="ALTER TABLE ledger.accounts DISABLE ROW LEVEL SECURITY"),
    Fault("policy_for_everyone", ATTACKS, statement="CREATE POLICY open ON ledger.holds USING (TRUE)"),
    Fault("writer_epoch_not_compared", CONCURRENCY, "post_many", "AND epoch = p_writer_epoch FOR SHARE", ""),
    Fault("claim_does_not_wait", CONCURRENCY, "post_many", "AND epoch = p_writer_epoch FOR SHARE", "AND epoch = p_writer_epoch"),
    Fault("guard_of_inserts_gone", RIGHTS, statement="DROP TRIGGER from_functions ON ledger.transfers"),
    Fault("guard_of_a_part_gone", MATRIX, statement="DROP TRIGGER append_only ON ledger.transfers_other"),
    Fault("guard_not_for_replicas", MATRIX, statement="ALTER TABLE ledger.transfers ENABLE TRIGGER append_only"),
    Fault("new_parts_without_guards", WALLS, "prepare_partition", "CALL ledger.guard_entries(p_part);", ""),
    Fault("insert_for_another_tenant", WALLS, _PLAIN, "event_id) VALUES (p_tenant_id,", "event_id) VALUES (p_currency,"),
    Fault("update_of_every_tenant", WALLS, "undo_side", "WHERE tenant_id = p_tenant_id AND account", "WHERE account"),
    Fault("door_that_proves_nothing", WALLS, "claim_writer", "core.current_tenant()", "current_setting('tellergate.tenant')"),
    Fault("one_right_too_many", MATRIX, statement="GRANT INSERT ON ledger.transfers TO executor"),
    Fault(
        "inner_step_open_to_all", MATRIX,
        statement="GRANT EXECUTE ON FUNCTION ledger.undo_side(TEXT, INTEGER, BIGINT, BIGINT) TO PUBLIC",
    ),
    Fault("names_not_pinned", ATTACKS, statement=(
        "ALTER FUNCTION ledger.post_many(ledger.request_batch, TIMESTAMPTZ, BIGINT) RESET search_path"
    )),
)  # fmt: skip

# A few of every sort, quick enough for each run of the tests.
SAMPLE = ("batch_without_row_locks", "id_check_gone", "single_debit_limit_gone", "single_digest_not_compared", "tenant_not_noted")
