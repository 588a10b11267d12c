-- name: upsert_merchants
-- Rows come as one JSON list; what is equal stays untouched. Shape: inserted, changed.
WITH written AS (
    INSERT INTO core.merchants AS held (
        tenant_id, merchant_id, name, category_code, country
    )
    SELECT
        %(tenant_id)s,
        given.merchant_id,
        given.name,
        given.category_code,
        given.country
    FROM JSON_POPULATE_RECORDSET(NULL::core.merchants, %(rows)s::json) AS given
    ORDER BY given.merchant_id
    ON CONFLICT (tenant_id, merchant_id) DO UPDATE
        SET
            name = excluded.name,
            category_code = excluded.category_code,
            country = excluded.country
        WHERE
        (
            held.name, held.category_code, held.country
        ) IS DISTINCT FROM (
            excluded.name, excluded.category_code, excluded.country
        )
    RETURNING held.xmax = 0 AS is_new
)

SELECT
    COUNT(*) FILTER (WHERE is_new) AS inserted,
    COUNT(*) FILTER (WHERE NOT is_new) AS changed
FROM written;

-- name: upsert_operators
-- Without a password hash nobody can sign in with a password ("!" matches none), and a held one stays. Shape: inserted, changed.
WITH written AS (
    INSERT INTO core.operators AS held (
        tenant_id, operator_id, username, display_name, password_hash, roles, active
    )
    SELECT
        %(tenant_id)s,
        given.operator_id,
        given.username,
        given.display_name,
        COALESCE(given.password_hash, '!') AS password_hash,
        given.roles,
        given.active
    FROM JSON_POPULATE_RECORDSET(NULL::core.operators, %(rows)s::json) AS given
    ORDER BY given.operator_id
    ON CONFLICT (tenant_id, operator_id) DO UPDATE
        SET
            username = excluded.username,
            display_name = excluded.display_name,
            password_hash = CASE excluded.password_hash WHEN '!' THEN held.password_hash ELSE excluded.password_hash END,
            roles = excluded.roles,
            active = excluded.active
        WHERE
        (
            held.username, held.display_name, held.password_hash, held.roles, held.active
        ) IS DISTINCT FROM (
            excluded.username, excluded.display_name, CASE excluded.password_hash
                WHEN '!'
                    THEN
                        held.password_hash
                ELSE excluded.password_hash
            END, excluded.roles, excluded.active
        )
    RETURNING held.xmax = 0 AS is_new
)

SELECT
    COUNT(*) FILTER (WHERE is_new) AS inserted,
    COUNT(*) FILTER (WHERE NOT is_new) AS changed
FROM written;

-- name: upsert_operator_limits
-- Rows come as one JSON list; what is equal stays untouched. Shape: inserted, changed.
WITH written AS (
    INSERT INTO core.operator_limits AS held (
        tenant_id, operator_id, action_kind, currency, limit_minor
    )
    SELECT
        %(tenant_id)s,
        given.operator_id,
        given.action_kind,
        given.currency,
        given.limit_minor
    FROM JSON_POPULATE_RECORDSET(NULL::core.operator_limits, %(rows)s::json) AS given
    ORDER BY given.operator_id, given.action_kind, given.currency
    ON CONFLICT (tenant_id, operator_id, action_kind, currency) DO UPDATE
        SET
            limit_minor = excluded.limit_minor
        WHERE held.limit_minor IS DISTINCT FROM excluded.limit_minor
    RETURNING held.xmax = 0 AS is_new
)

SELECT
    COUNT(*) FILTER (WHERE is_new) AS inserted,
    COUNT(*) FILTER (WHERE NOT is_new) AS changed
FROM written;

-- name: upsert_customers
-- Rows come as one JSON list; what is equal stays untouched. Shape: inserted, changed.
WITH written AS (
    INSERT INTO core.customers AS held (
        tenant_id, customer_id, name_token, email_token, phone_token, birth_date_token, address_token,
        national_id_token, country, language, segment, kyc_status, opened_at
    )
    SELECT
        %(tenant_id)s,
        given.customer_id,
        given.name_token,
        given.email_token,
        given.phone_token,
        given.birth_date_token,
        given.address_token,
        given.national_id_token,
        given.country,
        given.language,
        given.segment,
        given.kyc_status,
        given.opened_at
    FROM JSON_POPULATE_RECORDSET(NULL::core.customers, %(rows)s::json) AS given
    ORDER BY given.customer_id
    ON CONFLICT (tenant_id, customer_id) DO UPDATE
        SET
            name_token = excluded.name_token,
            email_token = excluded.email_token,
            phone_token = excluded.phone_token,
            birth_date_token = excluded.birth_date_token,
            address_token = excluded.address_token,
            national_id_token = excluded.national_id_token,
            country = excluded.country,
            language = excluded.language,
            segment = excluded.segment,
            kyc_status = excluded.kyc_status,
            opened_at = excluded.opened_at
        WHERE
        (
            held.name_token, held.email_token, held.phone_token, held.birth_date_token, held.address_token,
            held.national_id_token, held.country, held.language, held.segment, held.kyc_status, held.opened_at
        ) IS DISTINCT FROM (
            excluded.name_token, excluded.email_token, excluded.phone_token, excluded.birth_date_token,
            excluded.address_token, excluded.national_id_token, excluded.country, excluded.language,
            excluded.segment, excluded.kyc_status, excluded.opened_at
        )
    RETURNING held.xmax = 0 AS is_new
)

SELECT
    COUNT(*) FILTER (WHERE is_new) AS inserted,
    COUNT(*) FILTER (WHERE NOT is_new) AS changed
FROM written;

-- name: upsert_accounts
-- Rows come as one JSON list; what is equal stays untouched. Shape: inserted, changed.
WITH written AS (
    INSERT INTO core.accounts AS held (
        tenant_id, account_id, customer_id, number_token, product, currency, status, opened_at
    )
    SELECT
        %(tenant_id)s,
        given.account_id,
        given.customer_id,
        given.number_token,
        given.product,
        given.currency,
        given.status,
        given.opened_at
    FROM JSON_POPULATE_RECORDSET(NULL::core.accounts, %(rows)s::json) AS given
    ORDER BY given.account_id
    ON CONFLICT (tenant_id, account_id) DO UPDATE
        SET
            customer_id = excluded.customer_id,
            number_token = excluded.number_token,
            product = excluded.product,
            currency = excluded.currency,
            status = excluded.status,
            opened_at = excluded.opened_at
        WHERE
        (
            held.customer_id, held.number_token, held.product, held.currency, held.status, held.opened_at
        ) IS DISTINCT FROM (
            excluded.customer_id, excluded.number_token, excluded.product, excluded.currency, excluded.status,
            excluded.opened_at
        )
    RETURNING held.xmax = 0 AS is_new
)

SELECT
    COUNT(*) FILTER (WHERE is_new) AS inserted,
    COUNT(*) FILTER (WHERE NOT is_new) AS changed
FROM written;

-- name: upsert_cards
-- Rows come as one JSON list; what is equal stays untouched. Shape: inserted, changed.
WITH written AS (
    INSERT INTO core.cards AS held (
        tenant_id, card_id, account_id, pan_token, last4, scheme, status, expires_on
    )
    SELECT
        %(tenant_id)s,
        given.card_id,
        given.account_id,
        given.pan_token,
        given.last4,
        given.scheme,
        given.status,
        given.expires_on
    FROM JSON_POPULATE_RECORDSET(NULL::core.cards, %(rows)s::json) AS given
    ORDER BY given.card_id
    ON CONFLICT (tenant_id, card_id) DO UPDATE
        SET
            account_id = excluded.account_id,
            pan_token = excluded.pan_token,
            last4 = excluded.last4,
            scheme = excluded.scheme,
            status = excluded.status,
            expires_on = excluded.expires_on
        WHERE
        (
            held.account_id, held.pan_token, held.last4, held.scheme, held.status, held.expires_on
        ) IS DISTINCT FROM (
            excluded.account_id, excluded.pan_token, excluded.last4, excluded.scheme, excluded.status,
            excluded.expires_on
        )
    RETURNING held.xmax = 0 AS is_new
)

SELECT
    COUNT(*) FILTER (WHERE is_new) AS inserted,
    COUNT(*) FILTER (WHERE NOT is_new) AS changed
FROM written;

-- name: upsert_beneficiaries
-- Screening belongs to us: it starts again when the name or the number changed. Shape: inserted, changed.
WITH written AS (
    INSERT INTO core.beneficiaries AS held (
        tenant_id, beneficiary_id, customer_id, name_token, account_number_token, currency, added_at,
        verified_at
    )
    SELECT
        %(tenant_id)s,
        given.beneficiary_id,
        given.customer_id,
        given.name_token,
        given.account_number_token,
        given.currency,
        given.added_at,
        given.verified_at
    FROM JSON_POPULATE_RECORDSET(NULL::core.beneficiaries, %(rows)s::json) AS given
    ORDER BY given.beneficiary_id
    ON CONFLICT (tenant_id, beneficiary_id) DO UPDATE
        SET
            customer_id = excluded.customer_id,
            name_token = excluded.name_token,
            account_number_token = excluded.account_number_token,
            currency = excluded.currency,
            added_at = excluded.added_at,
            verified_at = excluded.verified_at,
            screening_state = CASE
                WHEN (held.name_token, held.account_number_token) IS DISTINCT FROM (excluded.name_token, excluded.account_number_token)
                    THEN 'unknown'
                ELSE held.screening_state
            END
        WHERE
        (
            held.customer_id, held.name_token, held.account_number_token, held.currency, held.added_at,
            held.verified_at
        ) IS DISTINCT FROM (
            excluded.customer_id, excluded.name_token, excluded.account_number_token, excluded.currency,
            excluded.added_at, excluded.verified_at
        )
    RETURNING held.xmax = 0 AS is_new
)

SELECT
    COUNT(*) FILTER (WHERE is_new) AS inserted,
    COUNT(*) FILTER (WHERE NOT is_new) AS changed
FROM written;

-- name: upsert_devices
-- Rows come as one JSON list; what is equal stays untouched. Shape: inserted, changed.
WITH written AS (
    INSERT INTO core.devices AS held (
        tenant_id, device_id, customer_id, platform, first_seen_at, trusted
    )
    SELECT
        %(tenant_id)s,
        given.device_id,
        given.customer_id,
        given.platform,
        given.first_seen_at,
        given.trusted
    FROM JSON_POPULATE_RECORDSET(NULL::core.devices, %(rows)s::json) AS given
    ORDER BY given.device_id
    ON CONFLICT (tenant_id, device_id) DO UPDATE
        SET
            customer_id = excluded.customer_id,
            platform = excluded.platform,
            first_seen_at = excluded.first_seen_at,
            trusted = excluded.trusted
        WHERE
        (
            held.customer_id, held.platform, held.first_seen_at, held.trusted
        ) IS DISTINCT FROM (
            excluded.customer_id, excluded.platform, excluded.first_seen_at, excluded.trusted
        )
    RETURNING held.xmax = 0 AS is_new
)

SELECT
    COUNT(*) FILTER (WHERE is_new) AS inserted,
    COUNT(*) FILTER (WHERE NOT is_new) AS changed
FROM written;

-- name: upsert_logins
-- Rows come as one JSON list; what is equal stays untouched. Shape: inserted, changed.
WITH written AS (
    INSERT INTO core.logins AS held (
        tenant_id, login_id, customer_id, device_id, ip_token, country, outcome, occurred_at
    )
    SELECT
        %(tenant_id)s,
        given.login_id,
        given.customer_id,
        given.device_id,
        given.ip_token,
        given.country,
        given.outcome,
        given.occurred_at
    FROM JSON_POPULATE_RECORDSET(NULL::core.logins, %(rows)s::json) AS given
    ORDER BY given.login_id
    ON CONFLICT (tenant_id, login_id) DO UPDATE
        SET
            customer_id = excluded.customer_id,
            device_id = excluded.device_id,
            ip_token = excluded.ip_token,
            country = excluded.country,
            outcome = excluded.outcome,
            occurred_at = excluded.occurred_at
        WHERE
        (
            held.customer_id, held.device_id, held.ip_token, held.country, held.outcome, held.occurred_at
        ) IS DISTINCT FROM (
            excluded.customer_id, excluded.device_id, excluded.ip_token, excluded.country, excluded.outcome,
            excluded.occurred_at
        )
    RETURNING held.xmax = 0 AS is_new
)

SELECT
    COUNT(*) FILTER (WHERE is_new) AS inserted,
    COUNT(*) FILTER (WHERE NOT is_new) AS changed
FROM written;

-- name: upsert_transactions
-- Rows come as one JSON list; what is equal stays untouched. Shape: inserted, changed.
WITH written AS (
    INSERT INTO core.transactions AS held (
        tenant_id, transaction_id, account_id, card_id, merchant_id, beneficiary_id, kind, status, amount_minor, currency,
        descriptor, reference, occurred_at, posted_at, decline_code, decline_trace, related_transaction_id,
        settles_on
    )
    SELECT
        %(tenant_id)s,
        given.transaction_id,
        given.account_id,
        given.card_id,
        given.merchant_id,
        given.beneficiary_id,
        given.kind,
        given.status,
        given.amount_minor,
        given.currency,
        given.descriptor,
        given.reference,
        given.occurred_at,
        given.posted_at,
        given.decline_code,
        given.decline_trace,
        given.related_transaction_id,
        given.settles_on
    FROM JSON_POPULATE_RECORDSET(NULL::core.transactions, %(rows)s::json) AS given
    ORDER BY given.transaction_id
    ON CONFLICT (tenant_id, transaction_id) DO UPDATE
        SET
            account_id = excluded.account_id,
            card_id = excluded.card_id,
            merchant_id = excluded.merchant_id,
            beneficiary_id = excluded.beneficiary_id,
            kind = excluded.kind,
            status = excluded.status,
            amount_minor = excluded.amount_minor,
            currency = excluded.currency,
            descriptor = excluded.descriptor,
            reference = excluded.reference,
            occurred_at = excluded.occurred_at,
            posted_at = excluded.posted_at,
            decline_code = excluded.decline_code,
            decline_trace = excluded.decline_trace,
            related_transaction_id = excluded.related_transaction_id,
            settles_on = excluded.settles_on
        WHERE
        (
            held.account_id, held.card_id, held.merchant_id, held.beneficiary_id, held.kind, held.status, held.amount_minor,
            held.currency, held.descriptor, held.reference, held.occurred_at, held.posted_at,
            held.decline_code, held.decline_trace, held.related_transaction_id, held.settles_on
        ) IS DISTINCT FROM (
            excluded.account_id, excluded.card_id, excluded.merchant_id, excluded.beneficiary_id, excluded.kind, excluded.status,
            excluded.amount_minor, excluded.currency, excluded.descriptor, excluded.reference,
            excluded.occurred_at, excluded.posted_at, excluded.decline_code, excluded.decline_trace,
            excluded.related_transaction_id, excluded.settles_on
        )
    RETURNING held.xmax = 0 AS is_new
)

SELECT
    COUNT(*) FILTER (WHERE is_new) AS inserted,
    COUNT(*) FILTER (WHERE NOT is_new) AS changed
FROM written;

-- name: upsert_disputes
-- Rows come as one JSON list; what is equal stays untouched. Shape: inserted, changed.
WITH written AS (
    INSERT INTO core.disputes AS held (
        tenant_id, dispute_id, transaction_id, state, network_reason_code, opened_at, due_on
    )
    SELECT
        %(tenant_id)s,
        given.dispute_id,
        given.transaction_id,
        given.state,
        given.network_reason_code,
        given.opened_at,
        given.due_on
    FROM JSON_POPULATE_RECORDSET(NULL::core.disputes, %(rows)s::json) AS given
    ORDER BY given.dispute_id
    ON CONFLICT (tenant_id, dispute_id) DO UPDATE
        SET
            transaction_id = excluded.transaction_id,
            state = excluded.state,
            network_reason_code = excluded.network_reason_code,
            opened_at = excluded.opened_at,
            due_on = excluded.due_on
        WHERE
        (
            held.transaction_id, held.state, held.network_reason_code, held.opened_at, held.due_on
        ) IS DISTINCT FROM (
            excluded.transaction_id, excluded.state, excluded.network_reason_code, excluded.opened_at,
            excluded.due_on
        )
    RETURNING held.xmax = 0 AS is_new
)

SELECT
    COUNT(*) FILTER (WHERE is_new) AS inserted,
    COUNT(*) FILTER (WHERE NOT is_new) AS changed
FROM written;

-- name: upsert_labels
-- A label is never changed, so one that is held stays as it is. Shape: inserted, changed.
WITH written AS (
    INSERT INTO core.labels (
        tenant_id, label_id, subject_kind, subject_id, label, pattern, source, occurred_at, known_at
    )
    SELECT
        %(tenant_id)s,
        given.label_id,
        given.subject_kind,
        given.subject_id,
        given.label,
        given.pattern,
        given.source,
        given.occurred_at,
        given.known_at
    FROM JSON_POPULATE_RECORDSET(NULL::core.labels, %(rows)s::json) AS given
    ORDER BY given.label_id
    ON CONFLICT (tenant_id, label_id) DO NOTHING
    RETURNING label_id
)

SELECT
    COUNT(*) AS inserted,
    0 AS changed
FROM written;
