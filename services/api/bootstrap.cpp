#include "services/api/bootstrap.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <cerrno>

#include "services/api/caller.hpp"
#include "services/api/resource.hpp"
#include "shared/base/ids.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"

namespace codegen::api {
namespace {

constexpr std::size_t kLongestTokenFile = 4096;
constexpr std::chrono::seconds kTurnLimit{30};
constexpr std::chrono::milliseconds kTurnPoll{10};

// One process of a state directory at a time: each of two that make a token at once would revoke the other's.
Task<Result<posix::Fd>> turn(std::filesystem::path state_directory) {
    const auto file = state_directory / "tokens.lock";
    posix::Fd lock(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock) co_return posix::errno_error("open " + file.string(), errno);
    const auto end = std::chrono::steady_clock::now() + kTurnLimit;
    while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) co_return posix::errno_error("lock " + file.string(), errno);
        if (std::chrono::steady_clock::now() > end)
            co_return fail(ErrorCategory::transient, "busy",
                           fmt::format("{} is held by another process that starts; try again", file.string()));
        co_await async::sleep_for(kTurnPoll);
    }
    co_return lock;
}

struct OwnToken {
    std::string id;
    std::string kind;
    std::optional<std::int64_t> user_id = {};
    std::string actions = "[]";
};

// The token that `file` holds and the database knows under its id stays; else a new one replaces both.
Task<Result<void>> ensure_token(storage::Database* database, std::filesystem::path file, OwnToken token,
                                Timestamp now) {
    auto present = posix::read_file(file, kLongestTokenFile);
    if (!present && present.error().code != "not_found") co_return std::unexpected(present.error());
    if (present) {
        while (present->ends_with('\n')) present->pop_back();
        auto known =
            co_await database->query("SELECT id FROM tokens WHERE id = :id AND kind = :kind AND secret_hash = :hash",
                                     {{"id", token.id}, {"kind", token.kind}, {"hash", sha256_hex(*present)}});
        if (!known) co_return std::unexpected(known.error());
        if (!known->rows.empty()) co_return Result<void>();
    }
    // Database first: a crash in between leaves a file that the next start finds unknown and replaces.
    const auto secret = random_token();
    std::vector<storage::Statement> statements;
    statements.push_back({"DELETE FROM tokens WHERE id = :id", {{"id", token.id}}, {}});
    statements.push_back(
        {"INSERT INTO tokens (id, kind, user_id, actions, secret_hash, request_hash, created_at) "
         "VALUES (:id, :kind, :user_id, :actions, :secret_hash, '', :now)",
         {{"id", token.id},
          {"kind", token.kind},
          {"user_id", token.user_id},
          {"actions", token.actions},
          {"secret_hash", sha256_hex(secret)},
          {"now", to_micros(now)}},
         {}});
    auto stored = co_await database->atomically(std::move(statements));
    if (!stored) co_return std::unexpected(stored.error());
    if (auto written = posix::write_file_atomically(file, secret, 0600); !written) {
        co_return std::unexpected(in_context(written.error(), token.id + " token"));
    }
    if (stored->at(0).affected > 0) {
        log::warning(
            token.id + " token made anew: its file was missing or unknown to the database; the former is revoked",
            {{"file", file.string()}});
    } else {
        log::info(token.id + " token made", {{"file", file.string()}});
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
    const auto ours = co_await turn(state_directory);
    if (!ours) co_return std::unexpected(ours.error());
    auto admin_token = co_await ensure_token(database, state_directory / "admin.token", {"admin", "admin", 1}, now);
    if (!admin_token) co_return admin_token;
    auto service_token =
        co_await ensure_token(database, state_directory / "service.token", {"service", "service"}, now);
    if (!service_token) co_return service_token;
    // All that a service may, and by saying so also kInfrastructureSecrets, which has to be named.
    auto infra_token =
        co_await ensure_token(database, state_directory / "infra.token", {"infra", "service", {}, R"(["*"])"}, now);
    co_return infra_token;
}

}  // namespace codegen::api
