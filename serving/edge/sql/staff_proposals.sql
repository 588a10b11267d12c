-- name: insert_staff_proposal
-- What a person proposes himself, in his own conversation: the database refuses another's.
INSERT INTO ai.proposals (
    tenant_id, proposal_id, conversation_id, message_id, kind, arguments, trace, submitted_at, proposed_by
)
VALUES (
    %(tenant_id)s, %(proposal_id)s, %(conversation_id)s, %(message_id)s, %(kind)s, %(arguments)s, %(trace)s, %(submitted_at)s,
    %(proposed_by)s
);
