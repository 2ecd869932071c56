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
)"}};
}

}  // namespace codegen::api
