-- name: begin_in_context
-- TRUE: gone at the end of the transaction, so a pooled connection carries it nowhere.
BEGIN; SELECT SET_CONFIG('tellergate.context', %(context)s, TRUE);

-- name: set_transaction_context
-- TRUE: gone at the end of the transaction, so a pooled connection carries it nowhere.
SELECT SET_CONFIG('tellergate.context', %(context)s, TRUE);

-- name: set_session_context
-- FALSE: stays with the session; whoever sets it clears it.
SELECT SET_CONFIG('tellergate.context', %(context)s, FALSE);

-- name: delete_context_keys
-- The key is replaced whole.
DELETE FROM core.context_keys;

-- name: insert_context_key
-- The padded halves of the HMAC key.
INSERT INTO core.context_keys (key_id, inner_pad, outer_pad)
VALUES ('current', %(inner_pad)s, %(outer_pad)s);
