-- Whose words a message is, computed from its author and from who wrote its sentences: nobody can claim an origin.

SET LOCAL ROLE core_owner;

ALTER TABLE core.messages ADD COLUMN origin TEXT NOT NULL GENERATED ALWAYS AS (
    CASE
        WHEN author = 'operator' THEN 'staff'
        -- Templates say what code found in our records; one sentence of a model makes the whole answer a model's.
        WHEN sentences <> '[]' AND NOT JSONB_PATH_EXISTS(sentences, '$[*] ? (!(@.generated_by == "template"))') THEN 'derived'
        ELSE 'model'
    END
) STORED;

CREATE OR REPLACE VIEW ai.messages WITH (security_barrier) AS
SELECT tenant_id, message_id, conversation_id, author, masked_text, created_at, origin
FROM core.messages;
