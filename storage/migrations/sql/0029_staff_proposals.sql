-- A second way into the inbox: what a person proposes himself, in his own conversation, by a message of his own.
-- Who proposed stands in a column that only the edge may write; a row of the agents cannot claim to be a person's, nor the other way.

SET LOCAL ROLE core_owner;

ALTER TABLE core.conversations ADD CONSTRAINT conversations_of_operator UNIQUE (tenant_id, conversation_id, operator_id);
ALTER TABLE core.messages ADD CONSTRAINT messages_of_operator UNIQUE (tenant_id, message_id, conversation_id, operator_id);

-- The two keys hold only where `proposed_by` is given: then the conversation is his, and so is the message in it. No row has it
-- yet, so there is nothing to look at (NOT VALID), and no tenant's context to look with.
ALTER TABLE ai.proposals
ADD COLUMN proposed_by TEXT,
ADD CONSTRAINT proposals_own_conversation FOREIGN KEY (tenant_id, conversation_id, proposed_by)
REFERENCES core.conversations (tenant_id, conversation_id, operator_id) NOT VALID,
ADD CONSTRAINT proposals_own_message FOREIGN KEY (tenant_id, message_id, conversation_id, proposed_by)
REFERENCES core.messages (tenant_id, message_id, conversation_id, operator_id) NOT VALID,
ADD CONSTRAINT proposals_staff_is_named CHECK (
    (proposed_by IS NOT NULL) = (trace ->> 'generated_by' IS NOT DISTINCT FROM 'staff')
);

GRANT INSERT (tenant_id, proposal_id, conversation_id, message_id, kind, arguments, trace, submitted_at, proposed_by)
ON ai.proposals TO edge;
CREATE POLICY edge_names_the_person ON ai.proposals AS RESTRICTIVE FOR INSERT TO edge WITH CHECK (proposed_by IS NOT NULL);

RESET ROLE;
