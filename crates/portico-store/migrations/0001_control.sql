-- Control tables. One text for every database; the tokens in braces are expanded by dialect.rs:
-- {key} text that is compared byte by byte, {blob} bytes.
-- Times are microseconds since 1970 UTC, JSON is TEXT. The first column of every key is the tenant.

CREATE TABLE tenants (
    tenant      {key} NOT NULL PRIMARY KEY,
    name        TEXT NOT NULL,
    generation  BIGINT NOT NULL,
    event_seq   BIGINT NOT NULL,
    created_at  BIGINT NOT NULL
);

CREATE TABLE tenant_hosts (
    tenant  {key} NOT NULL REFERENCES tenants (tenant) ON DELETE CASCADE,
    host    {key} NOT NULL,
    PRIMARY KEY (tenant, host)
);
-- A host leads to one tenant only.
CREATE UNIQUE INDEX tenant_hosts_host ON tenant_hosts (host);

CREATE TABLE generations (
    tenant      {key} NOT NULL REFERENCES tenants (tenant) ON DELETE CASCADE,
    generation  BIGINT NOT NULL,
    parent      BIGINT NOT NULL,
    cause       TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, generation)
);

CREATE TABLE installations (
    tenant      {key} NOT NULL REFERENCES tenants (tenant) ON DELETE CASCADE,
    package     {key} NOT NULL,
    origin      TEXT NOT NULL,
    state       TEXT NOT NULL,
    reason      TEXT,
    mount       TEXT NOT NULL,
    config      TEXT NOT NULL,
    overrides   TEXT NOT NULL,
    generation  BIGINT NOT NULL,
    changed_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, package)
);

-- The release that serves (position 0) and those kept for rollback, newest first.
CREATE TABLE installation_releases (
    tenant    {key} NOT NULL,
    package   {key} NOT NULL,
    position  BIGINT NOT NULL,
    version   TEXT NOT NULL,
    digest    {key} NOT NULL,
    release   TEXT NOT NULL,
    PRIMARY KEY (tenant, package, position),
    FOREIGN KEY (tenant, package) REFERENCES installations (tenant, package) ON DELETE CASCADE
);

CREATE TABLE removed_packages (
    tenant      {key} NOT NULL REFERENCES tenants (tenant) ON DELETE CASCADE,
    package     {key} NOT NULL,
    name        TEXT NOT NULL,
    version     TEXT NOT NULL,
    mount       TEXT NOT NULL,
    removed_by  TEXT NOT NULL,
    removed_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, package)
);

-- A ledger: rows are added and closed, never deleted.
CREATE TABLE grants (
    tenant             {key} NOT NULL REFERENCES tenants (tenant) ON DELETE CASCADE,
    id                 {key} NOT NULL,
    package            {key} NOT NULL,
    permission         {key} NOT NULL,
    granted_at         BIGINT NOT NULL,
    granted_by         TEXT NOT NULL,
    granted_operation  TEXT NOT NULL,
    revoked_at         BIGINT,
    revoked_by         TEXT,
    revoked_operation  TEXT,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX grants_current ON grants (tenant, package, permission) WHERE revoked_at IS NULL;
CREATE INDEX grants_package ON grants (tenant, package);

CREATE TABLE operations (
    tenant           {key} NOT NULL REFERENCES tenants (tenant) ON DELETE CASCADE,
    id               {key} NOT NULL,
    actor            {key} NOT NULL,
    idempotency_key  {key},
    request_digest   {key} NOT NULL,
    request_id       TEXT NOT NULL,
    verb             TEXT NOT NULL,
    package          {key} NOT NULL,
    name             TEXT NOT NULL,
    state            {key} NOT NULL,
    plan             TEXT NOT NULL,
    approved         TEXT NOT NULL,
    steps            TEXT NOT NULL,
    error            TEXT,
    generation       BIGINT,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX operations_idempotency ON operations (tenant, actor, idempotency_key);
CREATE INDEX operations_newest ON operations (tenant, created_at, id);
CREATE INDEX operations_state ON operations (tenant, state, created_at, id);

-- The outbox.
CREATE TABLE events (
    tenant      {key} NOT NULL REFERENCES tenants (tenant) ON DELETE CASCADE,
    seq         BIGINT NOT NULL,
    kind        TEXT NOT NULL,
    body        TEXT NOT NULL,
    generation  BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, seq)
);

CREATE TABLE audit (
    tenant      {key} NOT NULL REFERENCES tenants (tenant) ON DELETE CASCADE,
    id          {key} NOT NULL,
    actor       TEXT NOT NULL,
    action      TEXT NOT NULL,
    subject     {key} NOT NULL,
    detail      TEXT NOT NULL,
    request_id  TEXT NOT NULL,
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX audit_newest ON audit (tenant, created_at, id);
CREATE INDEX audit_subject ON audit (tenant, subject, created_at, id);

CREATE TABLE users (
    tenant      {key} NOT NULL REFERENCES tenants (tenant) ON DELETE CASCADE,
    id          {key} NOT NULL,
    name        {key} NOT NULL,
    roles       TEXT NOT NULL,
    disabled    BOOLEAN NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX users_name ON users (tenant, name);

-- Secrets that somebody carries (sessions, tokens, sign-in links) stand here as digests only.
CREATE TABLE sessions (
    tenant        {key} NOT NULL,
    hash          {key} NOT NULL,
    user_id       {key} NOT NULL,
    csrf          TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    last_seen_at  BIGINT NOT NULL,
    expires_at    BIGINT NOT NULL,
    PRIMARY KEY (tenant, hash),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);
CREATE INDEX sessions_expiry ON sessions (tenant, expires_at);
CREATE INDEX sessions_user ON sessions (tenant, user_id);

CREATE TABLE tokens (
    tenant        {key} NOT NULL REFERENCES tenants (tenant) ON DELETE CASCADE,
    id            {key} NOT NULL,
    hash          {key} NOT NULL,
    name          TEXT NOT NULL,
    scopes        TEXT NOT NULL,
    created_by    TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT,
    last_used_at  BIGINT,
    PRIMARY KEY (tenant, id)
);
CREATE UNIQUE INDEX tokens_hash ON tokens (tenant, hash);

CREATE TABLE sign_in_links (
    tenant      {key} NOT NULL,
    hash        {key} NOT NULL,
    user_id     {key} NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT NOT NULL,
    used_at     BIGINT,
    PRIMARY KEY (tenant, hash),
    FOREIGN KEY (tenant, user_id) REFERENCES users (tenant, id) ON DELETE CASCADE
);

CREATE TABLE registries (
    tenant          {key} NOT NULL REFERENCES tenants (tenant) ON DELETE CASCADE,
    name            {key} NOT NULL,
    url             TEXT NOT NULL,
    kind            TEXT NOT NULL,
    root            TEXT NOT NULL,
    publisher_keys  TEXT NOT NULL,
    added_at        BIGINT NOT NULL,
    added_by        TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
);

-- What a registry signed last: the floor below which its metadata may not roll back. It outlives the
-- registry's row, so that removing and adding a registry does not lower the floor.
CREATE TABLE registry_metadata (
    tenant      {key} NOT NULL REFERENCES tenants (tenant) ON DELETE CASCADE,
    registry    {key} NOT NULL,
    file        {key} NOT NULL,
    bytes       {blob} NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, registry, file)
);

CREATE TABLE settings (
    tenant      {key} NOT NULL REFERENCES tenants (tenant) ON DELETE CASCADE,
    name        {key} NOT NULL,
    value       TEXT NOT NULL,
    updated_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);
