#include "services/api/bootstrap.hpp"

#include <fmt/format.h>

#include "services/api/caller.hpp"
#include "services/api/resource.hpp"
#include "shared/base/ids.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"

namespace codegen::api {
namespace {

constexpr std::size_t kLongestTokenFile = 4096;

// The token that `file` holds and the database knows under `kind` stays; else a new one replaces both.
Task<Result<void>> ensure_token(storage::Database* database, std::filesystem::path file, std::string kind,
                                std::optional<std::int64_t> user_id, Timestamp now) {
    auto present = posix::read_file(file, kLongestTokenFile);
    if (!present && present.error().code != "not_found") co_return std::unexpected(present.error());
    if (present) {
        while (present->ends_with('\n')) present->pop_back();
        auto known =
            co_await database->query("SELECT id FROM tokens WHERE id = :id AND kind = :id AND secret_hash = :hash",
                                     {{"id", kind}, {"hash", sha256_hex(*present)}});
        if (!known) co_return std::unexpected(known.error());
        if (!known->rows.empty()) co_return Result<void>();
    }
    // Database first: a crash in between leaves a file that the next start finds unknown and replaces.
    const auto secret = random_token();
    std::vector<storage::Statement> statements;
    statements.push_back({"DELETE FROM tokens WHERE id = :id", {{"id", kind}}, {}});
    statements.push_back(
        {"INSERT INTO tokens (id, kind, user_id, actions, secret_hash, request_hash, created_at) "
         "VALUES (:id, :id, :user_id, '[]', :secret_hash, '', :now)",
         {{"id", kind}, {"user_id", user_id}, {"secret_hash", sha256_hex(secret)}, {"now", to_micros(now)}},
         {}});
    auto stored = co_await database->atomically(std::move(statements));
    if (!stored) co_return std::unexpected(stored.error());
    if (auto written = posix::write_file_atomically(file, secret, 0600); !written) {
        co_return std::unexpected(in_context(written.error(), kind + " token"));
    }
    if (stored->at(0).affected > 0) {
        log::warning(kind + " token made anew: its file was missing or unknown to the database; the former is revoked",
                     {{"file", file.string()}});
    } else {
        log::info(kind + " token made", {{"file", file.string()}});
    }
    co_return Result<void>();
}

}  // namespace

Task<Result<void>> prepare_store(storage::Database* database, std::filesystem::path state_directory, Timestamp now) {
    auto migrated = co_await database->migrate("api", migrations());
    if (!migrated) co_return migrated;
    auto admin = co_await database->query(
        "INSERT INTO users (id, username, is_admin, created_at, last_seen) VALUES (1, 'admin', 1, :now, :now) "
        "ON CONFLICT (id) DO NOTHING",
        {{"now", to_micros(now)}});
    if (!admin) co_return std::unexpected(admin.error());
    if (admin->affected > 0) log::info("admin user made", {{"user_id", "1"}});
    auto admin_token = co_await ensure_token(database, state_directory / "admin.token", "admin", 1, now);
    if (!admin_token) co_return admin_token;
    auto service_token = co_await ensure_token(database, state_directory / "service.token", "service", {}, now);
    co_return service_token;
}

}  // namespace codegen::api
