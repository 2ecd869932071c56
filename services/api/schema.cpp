// The tables of the api, as SQLite's DDL. Times are microseconds; JSON is text; request_hash is the fingerprint of the
// POST that made the row.
#include "services/api/resource.hpp"

namespace codegen::api {

std::vector<storage::Migration> migrations() {
    return {{1, "users, projects, tasks, executions, tokens", R"(
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT, telegram_id BIGINT UNIQUE, username TEXT, first_name TEXT, last_name TEXT,
    is_admin BIGINT NOT NULL, created_at BIGINT NOT NULL, last_seen BIGINT NOT NULL);
CREATE INDEX users_page ON users (created_at, id);

CREATE TABLE projects (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, description TEXT, status TEXT NOT NULL, modules TEXT NOT NULL,
    repository_url TEXT, github_repo_id BIGINT, owner_id BIGINT REFERENCES users (id), config TEXT NOT NULL,
    project_spec TEXT, request_hash TEXT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);
CREATE INDEX projects_page ON projects (created_at, id);
CREATE INDEX projects_owner ON projects (owner_id, created_at, id);
CREATE INDEX projects_status ON projects (status, created_at, id);

CREATE TABLE tasks (
    id TEXT PRIMARY KEY, project_id TEXT REFERENCES projects (id) ON DELETE SET NULL, type TEXT NOT NULL,
    status TEXT NOT NULL, spec TEXT, task_metadata TEXT NOT NULL, result TEXT, error_message TEXT,
    user_id BIGINT REFERENCES users (id), callback_stream TEXT, started_at BIGINT, completed_at BIGINT,
    request_hash TEXT NOT NULL, created_at BIGINT NOT NULL, updated_at BIGINT NOT NULL);
CREATE INDEX tasks_page ON tasks (created_at, id);
CREATE INDEX tasks_project ON tasks (project_id, created_at, id);
CREATE INDEX tasks_user ON tasks (user_id, created_at, id);
CREATE INDEX tasks_status ON tasks (status, created_at, id);

CREATE TABLE task_executions (
    id TEXT PRIMARY KEY, task_id TEXT REFERENCES tasks (id), worker_id TEXT NOT NULL, started_at BIGINT NOT NULL,
    finished_at BIGINT, duration_ms BIGINT, exit_code BIGINT, status TEXT NOT NULL, result_data TEXT,
    input_tokens BIGINT, output_tokens BIGINT, cache_read_tokens BIGINT, cache_write_tokens BIGINT,
    cost_usd DOUBLE PRECISION, turns BIGINT, model TEXT, request_hash TEXT NOT NULL, created_at BIGINT NOT NULL);
CREATE INDEX task_executions_page ON task_executions (created_at, id);
CREATE INDEX task_executions_task ON task_executions (task_id, created_at, id);
CREATE INDEX task_executions_worker ON task_executions (worker_id, created_at, id);

CREATE TABLE tokens (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, user_id BIGINT REFERENCES users (id), worker_id TEXT, task_id TEXT,
    actions TEXT NOT NULL, secret_hash TEXT NOT NULL UNIQUE, expires_at BIGINT, request_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL);
CREATE INDEX tokens_page ON tokens (created_at, id);
CREATE INDEX tokens_worker ON tokens (worker_id, created_at, id);
)"},
            {2, "available models", R"(
CREATE TABLE available_models (
    id TEXT PRIMARY KEY, provider TEXT NOT NULL, context_window BIGINT, input_price DOUBLE PRECISION,
    output_price DOUBLE PRECISION, cache_read_price DOUBLE PRECISION, cache_write_price DOUBLE PRECISION,
    created_at BIGINT NOT NULL);
CREATE INDEX available_models_page ON available_models (created_at, id);
)"},
            {3, "hosts", R"(
CREATE TABLE hosts (
    id TEXT PRIMARY KEY, manager_url TEXT NOT NULL, capacity BIGINT NOT NULL, last_seen BIGINT NOT NULL,
    created_at BIGINT NOT NULL);
CREATE INDEX hosts_page ON hosts (created_at, id);
)"},
            {4, "revisions", R"(
ALTER TABLE projects ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
ALTER TABLE available_models ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;
)"},
            {5, "servers and what runs on them", R"(
CREATE TABLE servers (
    handle TEXT PRIMARY KEY, host TEXT NOT NULL, public_ip TEXT NOT NULL, ssh_user TEXT NOT NULL, ssh_key_enc TEXT,
    capacity_cpu BIGINT NOT NULL, capacity_ram_mb BIGINT NOT NULL, capacity_disk_mb BIGINT NOT NULL,
    used_ram_mb BIGINT NOT NULL, used_disk_mb BIGINT NOT NULL, os_template TEXT, is_managed BIGINT NOT NULL,
    status TEXT NOT NULL, notes TEXT, last_health_check BIGINT, provisioning_attempts BIGINT NOT NULL DEFAULT 0,
    provisioning_started_at BIGINT, last_incident BIGINT, labels TEXT NOT NULL, request_hash TEXT NOT NULL,
    revision BIGINT NOT NULL DEFAULT 0, created_at BIGINT NOT NULL);
CREATE INDEX servers_page ON servers (created_at, handle);

CREATE TABLE allocations (
    id INTEGER PRIMARY KEY AUTOINCREMENT, server_handle TEXT NOT NULL REFERENCES servers (handle), port BIGINT NOT NULL,
    project_id TEXT REFERENCES projects (id) ON DELETE SET NULL, service_name TEXT NOT NULL,
    allocated_at BIGINT NOT NULL, created_at BIGINT NOT NULL, UNIQUE (server_handle, port));
CREATE INDEX allocations_page ON allocations (created_at, id);
CREATE INDEX allocations_project ON allocations (project_id, created_at, id);

CREATE TABLE incidents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, server_handle TEXT NOT NULL REFERENCES servers (handle),
    incident_type TEXT NOT NULL, severity TEXT NOT NULL, status TEXT NOT NULL, title TEXT, detected_at BIGINT NOT NULL,
    resolved_at BIGINT, details TEXT NOT NULL, affected_services TEXT NOT NULL, recovery_attempts BIGINT NOT NULL,
    revision BIGINT NOT NULL DEFAULT 0, created_at BIGINT NOT NULL);
CREATE INDEX incidents_page ON incidents (created_at, id);
CREATE INDEX incidents_server ON incidents (server_handle, created_at, id);
CREATE INDEX incidents_status ON incidents (status, created_at, id);

CREATE TABLE service_deployments (
    id INTEGER PRIMARY KEY AUTOINCREMENT, project_id TEXT NOT NULL REFERENCES projects (id),
    service_name TEXT NOT NULL, server_handle TEXT NOT NULL REFERENCES servers (handle), port BIGINT NOT NULL,
    status TEXT NOT NULL, url TEXT, deployed_at BIGINT NOT NULL, deployment_info TEXT NOT NULL,
    revision BIGINT NOT NULL DEFAULT 0, created_at BIGINT NOT NULL);
CREATE INDEX service_deployments_page ON service_deployments (created_at, id);
CREATE INDEX service_deployments_project ON service_deployments (project_id, created_at, id);
CREATE INDEX service_deployments_server ON service_deployments (server_handle, created_at, id);
)"},
            {6, "settings and keys", R"(
CREATE TABLE agent_configs (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, type TEXT NOT NULL, model TEXT NOT NULL, system_prompt TEXT NOT NULL,
    is_active BIGINT NOT NULL, version BIGINT NOT NULL, request_hash TEXT NOT NULL,
    revision BIGINT NOT NULL DEFAULT 0, created_at BIGINT NOT NULL);
CREATE INDEX agent_configs_page ON agent_configs (created_at, id);

CREATE TABLE cli_agent_configs (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, provider TEXT NOT NULL, model_name TEXT, prompt_template TEXT NOT NULL,
    timeout_seconds BIGINT NOT NULL, workspace_image TEXT, required_credentials TEXT NOT NULL,
    provider_settings TEXT NOT NULL, is_active BIGINT NOT NULL, version BIGINT NOT NULL, request_hash TEXT NOT NULL,
    revision BIGINT NOT NULL DEFAULT 0, created_at BIGINT NOT NULL);
CREATE INDEX cli_agent_configs_page ON cli_agent_configs (created_at, id);

CREATE TABLE resources (
    handle TEXT PRIMARY KEY, resource_type TEXT NOT NULL, name TEXT NOT NULL, metadata TEXT NOT NULL,
    request_hash TEXT NOT NULL, revision BIGINT NOT NULL DEFAULT 0, created_at BIGINT NOT NULL);
CREATE INDEX resources_page ON resources (created_at, handle);

CREATE TABLE secret_keys (id TEXT PRIMARY KEY, used_at BIGINT NOT NULL, created_at BIGINT NOT NULL);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY, service TEXT NOT NULL, owner TEXT NOT NULL, key_enc TEXT NOT NULL, type TEXT NOT NULL,
    project_id TEXT REFERENCES projects (id) ON DELETE CASCADE, revision BIGINT NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL, UNIQUE (service, owner));
)"},
            {7, "what can be searched", R"(
CREATE TABLE rag_entries (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
    project_id TEXT REFERENCES projects (id) ON DELETE CASCADE, user_id BIGINT REFERENCES users (id), role TEXT,
    source TEXT, title TEXT, content TEXT NOT NULL, metadata TEXT, said_at BIGINT NOT NULL, dimensions BIGINT NOT NULL,
    embedding TEXT, request_hash TEXT NOT NULL, created_at BIGINT NOT NULL, UNIQUE (project_id, source));
CREATE INDEX rag_entries_user ON rag_entries (user_id);
CREATE INDEX rag_entries_dimensions ON rag_entries (dimensions, number);
)"},
            // Both take letters and digits as words, without stems: the same hits in both stores.
            {8, "full-text search", R"(
CREATE VIRTUAL TABLE rag_search USING fts5(
    title, content, content='rag_entries', content_rowid='number', tokenize='unicode61 remove_diacritics 0');
CREATE TRIGGER rag_added AFTER INSERT ON rag_entries BEGIN
    INSERT INTO rag_search (rowid, title, content) VALUES (new.number, new.title, new.content);
END;
CREATE TRIGGER rag_removed AFTER DELETE ON rag_entries BEGIN
    INSERT INTO rag_search (rag_search, rowid, title, content) VALUES ('delete', old.number, old.title, old.content);
END;
CREATE TRIGGER rag_changed AFTER UPDATE ON rag_entries BEGIN
    INSERT INTO rag_search (rag_search, rowid, title, content) VALUES ('delete', old.number, old.title, old.content);
    INSERT INTO rag_search (rowid, title, content) VALUES (new.number, new.title, new.content);
END;
)",
             R"(
ALTER TABLE rag_entries ADD COLUMN search tsvector GENERATED ALWAYS AS (to_tsvector('simple'::regconfig,
    regexp_replace(coalesce(title, '') || ' ' || content, '[^[:alnum:]]+', ' ', 'g'))) STORED;
CREATE INDEX rag_entries_search ON rag_entries USING gin (search);
)"},
            {9, "idempotency keys", R"(
CREATE TABLE idempotency_keys (
    scope TEXT NOT NULL, key TEXT NOT NULL, request_hash TEXT NOT NULL, effect BIGINT NOT NULL, status BIGINT,
    response TEXT, claimed_at BIGINT NOT NULL, created_at BIGINT NOT NULL, PRIMARY KEY (scope, key));
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
)"},
            {10, "one key for secrets", R"(
ALTER TABLE secret_keys ADD COLUMN place BIGINT NOT NULL DEFAULT 1;
CREATE UNIQUE INDEX secret_keys_place ON secret_keys (place);
)"},
            {11, "messages that are not taken up yet", R"(
CREATE TABLE pending_provisionings (
    id TEXT PRIMARY KEY, server_handle TEXT NOT NULL REFERENCES servers (handle), message TEXT NOT NULL,
    request_hash TEXT NOT NULL, created_at BIGINT NOT NULL);
CREATE INDEX pending_provisionings_page ON pending_provisionings (created_at, id);
CREATE TABLE pending_commands (
    id TEXT PRIMARY KEY, task_id TEXT NOT NULL REFERENCES tasks (id) ON DELETE CASCADE, message TEXT NOT NULL,
    request_hash TEXT NOT NULL, created_at BIGINT NOT NULL);
CREATE INDEX pending_commands_page ON pending_commands (created_at, id);
)"}};
}

}  // namespace codegen::api
