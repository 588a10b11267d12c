-- name: insert_conversation
-- Opened by the first message.
INSERT INTO core.conversations (tenant_id, conversation_id, customer_id, operator_id, created_at)
VALUES (%(tenant_id)s, %(conversation_id)s, %(customer_id)s, %(operator_id)s, %(created_at)s);

-- name: find_conversation
-- One conversation with the language its customer writes and the name of who opened it.
SELECT
    conversations.conversation_id, conversations.customer_id, conversations.operator_id, conversations.created_at, customers.language,
    customers.segment, operators.display_name AS operator_name
FROM core.conversations
INNER JOIN core.customers USING (tenant_id, customer_id)
INNER JOIN core.operators USING (tenant_id, operator_id)
WHERE conversations.tenant_id = %(tenant_id)s AND conversations.conversation_id = %(conversation_id)s;

-- name: list_conversations
-- The conversations about a customer, newest first, with who opened them.
SELECT conversations.conversation_id, conversations.operator_id, conversations.created_at, operators.display_name
FROM core.conversations
INNER JOIN core.operators USING (tenant_id, operator_id)
WHERE conversations.tenant_id = %(tenant_id)s AND conversations.customer_id = %(customer_id)s
ORDER BY conversations.created_at DESC, conversations.conversation_id DESC
LIMIT 20;

-- name: insert_grant
-- One handle of a conversation.
INSERT INTO core.grants (tenant_id, conversation_id, handle, kind, ref, origin, granted, created_at)
VALUES (%(tenant_id)s, %(conversation_id)s, %(handle)s, %(kind)s, %(ref)s, %(origin)s, %(granted)s, %(created_at)s);

-- name: list_grants
-- What a conversation may name.
SELECT conversation_id, handle, kind, ref, origin, granted
FROM core.grants
WHERE tenant_id = %(tenant_id)s AND conversation_id = %(conversation_id)s
ORDER BY created_at, handle;

-- name: insert_message
-- One masked message.
INSERT INTO core.messages (tenant_id, message_id, conversation_id, author, operator_id, masked_text, sentences, state, created_at)
VALUES (
    %(tenant_id)s, %(message_id)s, %(conversation_id)s, %(author)s, %(operator_id)s, %(masked_text)s, %(sentences)s, %(state)s, %(created_at)s
);

-- name: list_messages
-- The newest messages of a conversation, in their order.
SELECT message_id, author, operator_id, masked_text, sentences, state, created_at
FROM (
    SELECT message_id, author, operator_id, masked_text, sentences, state, created_at
    FROM core.messages
    WHERE tenant_id = %(tenant_id)s AND conversation_id = %(conversation_id)s
    ORDER BY created_at DESC, message_id DESC
    LIMIT 200
) AS newest
ORDER BY created_at, message_id;

-- name: find_message
-- One message.
SELECT message_id, conversation_id, author, operator_id, masked_text, sentences, state, created_at
FROM core.messages
WHERE tenant_id = %(tenant_id)s AND message_id = %(message_id)s;

-- name: insert_mention
-- One value that a person wrote.
INSERT INTO core.mentions (tenant_id, message_id, ordinal, kind, value, origin)
VALUES (%(tenant_id)s, %(message_id)s, %(ordinal)s, %(kind)s, %(value)s, %(origin)s);

-- name: list_proposals
-- What the agents put into the inbox for a conversation. JSON as text: an attacker's is parsed where its faults can be caught.
SELECT proposal_id, message_id, kind, arguments::TEXT AS arguments, trace::TEXT AS trace, submitted_at
FROM ai.proposals
WHERE tenant_id = %(tenant_id)s AND conversation_id = %(conversation_id)s
ORDER BY submitted_at, proposal_id;

-- name: list_proposals_of_message
-- What the agents put into the inbox for one turn.
SELECT proposal_id, message_id, kind, arguments::TEXT AS arguments, trace::TEXT AS trace, submitted_at
FROM ai.proposals
WHERE tenant_id = %(tenant_id)s AND message_id = %(message_id)s
ORDER BY submitted_at, proposal_id;

-- name: find_proposal
-- One inbox row with its conversation.
SELECT proposal_id, conversation_id, message_id, kind, arguments::TEXT AS arguments, trace::TEXT AS trace, submitted_at
FROM ai.proposals
WHERE tenant_id = %(tenant_id)s AND proposal_id = %(proposal_id)s;

-- name: find_stored_answer
-- What was stored under an idempotency key.
SELECT body_digest, response
FROM core.idempotency_keys
WHERE tenant_id = %(tenant_id)s AND scope = %(scope)s AND key = %(key)s;

-- name: list_stored_answers
-- What was stored under several keys of one scope.
SELECT key, response
FROM core.idempotency_keys
WHERE tenant_id = %(tenant_id)s AND scope = %(scope)s AND key = ANY(%(keys)s);

-- name: insert_stored_answer
-- Keeps an answer under its key, in the transaction of its effect.
INSERT INTO core.idempotency_keys (tenant_id, scope, key, body_digest, response, created_at)
VALUES (%(tenant_id)s, %(scope)s, %(key)s, %(body_digest)s, %(response)s, %(created_at)s);

-- name: lock_conversation
-- One writer of handles and messages at a time in a conversation.
SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED('conversation:' || %(conversation_id)s, 0));
