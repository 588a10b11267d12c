-- What the agents may write into their inbox: no stamp of ours, no time that no program can read, nothing that fills a page.

SET LOCAL ROLE core_owner;

ALTER TABLE ai.proposals
-- PostgreSQL knows infinity, years before Christ and after 9999; a row with one of them could be read by nobody who decides on it.
ADD CONSTRAINT submitted_at_readable CHECK (submitted_at >= '2000-01-01 00:00:00Z' AND submitted_at < '2200-01-01 00:00:00Z'),
ADD CONSTRAINT kind_short CHECK (LENGTH(kind) <= 100),
ADD CONSTRAINT arguments_short CHECK (OCTET_LENGTH(arguments::TEXT) <= 65536),
ADD CONSTRAINT trace_short CHECK (OCTET_LENGTH(trace::TEXT) <= 65536);

-- `recorded_at` is the server's own: whoever sets it hides a row from the sweeper.
REVOKE INSERT ON ai.proposals FROM ai;
GRANT INSERT (tenant_id, proposal_id, conversation_id, message_id, kind, arguments, trace, submitted_at) ON ai.proposals TO ai;
