-- name: report_leak
-- One case for each surface, set of classes and hour. Shape: its id, or null where it stands already.
SELECT core.report_leak(
    %(case_id)s, %(event_id)s::UUID, %(surface)s, %(classes)s::TEXT[], %(place)s, %(now)s
) AS case_id;

-- name: count_leaks
-- How many there ever were, open and closed.
SELECT COUNT(*) AS leaks FROM core.cases
WHERE kind = 'leak_incident';
