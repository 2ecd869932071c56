#include "services/api/secret_key.hpp"

#include <fmt/format.h>

#include <array>

#include "services/api/objects.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"

namespace codegen::api {
namespace {

using secrets::SecretBox;

constexpr std::size_t kLongestKeyFile = 4096;
constexpr int kTries = 20;  // against writers of secrets

struct Sealed {
    std::string_view table;
    std::string_view key;
    std::string_view column;
};
constexpr std::array kSealed{Sealed{"servers", "handle", "ssh_key_enc"}, Sealed{"api_keys", "id", "key_enc"}};

std::unexpected<Error> refuse(std::string why) { return fail(ErrorCategory::fatal, "configuration", std::move(why)); }

Result<SecretBox> read_key(const std::filesystem::path& file, std::string_view setting) {
    auto text = posix::read_file(file, kLongestKeyFile);
    if (!text) {
        auto error = in_context(text.error(), setting);
        error.category = ErrorCategory::fatal;
        return std::unexpected(std::move(error));
    }
    return SecretBox::from_text(*text, fmt::format("{} {}", setting, file.string()));
}

Result<SecretBox> write_new_key(const std::filesystem::path& file) {
    const auto key = SecretBox::new_key();
    if (auto written = posix::write_new_file(file, key, 0600); !written) {
        // Another process of this installation starts too: one key for both.
        if (written.error().code == "exists") return read_key(file, "key for secrets");
        return std::unexpected(in_context(written.error(), "key for secrets"));
    }
    log::info("a key for secrets was made; keep a copy: without it they are lost", {{"file", file.string()}});
    return SecretBox::from_text(key, file.string());
}

// The id of the database's key; empty: it has none yet.
Task<Result<std::string>> key_of_database(storage::Database* database) {
    auto rows = co_await database->query("SELECT id FROM secret_keys");
    if (!rows) co_return std::unexpected(rows.error());
    co_return rows->rows.empty() ? std::string() : rows->rows.front().text("id");
}

// A rotation of own_file that was cut off after the database had changed.
Result<void> finish_rotation(const SecretKeySource& source, const std::string& key_id) {
    const auto next = read_key(source.next_file(), "key for secrets");
    if (!next || next->key_id() != key_id) return {};
    std::error_code error;
    std::filesystem::rename(source.next_file(), source.own_file, error);
    if (error) return refuse(fmt::format("{}: {}", source.next_file().string(), error.message()));
    log::info("the key for secrets is the new one", {{"file", source.own_file.string()}});
    return {};
}

std::string name_of(const SecretKeySource& source) {
    if (!source.key.empty()) return "SECRETS_KEY";
    return source.file.empty() ? source.own_file.string() : "SECRETS_KEY_FILE " + source.file.string();
}

// `wanted`: the id of the database's key, or empty.
Result<SecretBox> key_of_source(const SecretKeySource& source, const std::string& wanted) {
    if (!source.key.empty()) return SecretBox::from_text(source.key, "SECRETS_KEY");
    if (!source.file.empty()) return read_key(source.file, "SECRETS_KEY_FILE");
    if (auto finished = finish_rotation(source, wanted); !finished) return std::unexpected(finished.error());
    auto key = read_key(source.own_file, "key for secrets");
    if (key || key.error().code != "not_found") return key;
    if (wanted.empty()) return write_new_key(source.own_file);
    return refuse(
        fmt::format("the secrets in the database are encrypted with key {}, and {} is not there: give the key "
                    "back, or set SECRETS_KEY or SECRETS_KEY_FILE",
                    wanted, source.own_file.string()));
}

Result<void> check_same(const SecretBox& box, const std::string& wanted, const SecretKeySource& source) {
    if (box.key_id() == wanted) return {};
    return refuse(
        fmt::format("the secrets in the database are encrypted with key {}, but {} holds key {}: give the right "
                    "key (`orchestratord secrets rotate` changes it)",
                    wanted, name_of(source), box.key_id()));
}

// All secrets as the new key seals them, each only if it is still what was read.
Task<Result<std::vector<storage::Statement>>> sealed_anew(storage::Database* database, const SecretBox* from,
                                                          const SecretBox* to) {
    std::vector<storage::Statement> statements;
    for (const auto& [table, key, column] : kSealed) {
        auto rows = co_await database->query(
            fmt::format("SELECT {}, {} FROM {} WHERE {} IS NOT NULL", key, column, table, column));
        if (!rows) co_return std::unexpected(rows.error());
        for (const auto& row : rows->rows) {
            const auto place = fmt::format("{}/{}", table, row.text(key));
            const auto text = from->open(row.text(column), place);
            if (!text) co_return std::unexpected(text.error());
            statements.push_back(
                {fmt::format("UPDATE {0} SET {1} = :sealed WHERE {2} = :key AND {1} = :before", table, column, key),
                 {{"sealed", to->seal(*text, place)}, {"key", row.text(key)}, {"before", row.text(column)}},
                 1});
        }
    }
    co_return statements;
}

// The key's row is changed first: a writer of secrets that claims the old one waits, and is then refused. Secrets that
// were written since they were read make the last statement fail.
Task<Result<std::int64_t>> replace_key(storage::Database* database, const SecretBox* from, const SecretBox* to,
                                       Timestamp now) {
    for (int attempt = 1;; ++attempt) {
        auto anew = co_await sealed_anew(database, from, to);
        if (!anew) co_return std::unexpected(anew.error());
        const auto count = static_cast<std::int64_t>(anew->size());
        std::vector<storage::Statement> statements;
        statements.push_back({"UPDATE secret_keys SET id = :to, used_at = :now WHERE id = :from",
                              {{"to", to->key_id()}, {"from", from->key_id()}, {"now", to_micros(now)}},
                              1});
        for (auto& statement : *anew) statements.push_back(std::move(statement));
        std::string others;
        for (const auto& [table, key, column] : kSealed)
            others += fmt::format(" AND NOT EXISTS (SELECT 1 FROM {0} WHERE {1} IS NOT NULL AND {1} NOT LIKE :mine)",
                                  table, column);
        statements.push_back({"UPDATE secret_keys SET used_at = :now WHERE id = :to" + others,
                              {{"to", to->key_id()}, {"now", to_micros(now)}, {"mine", "v1." + to->key_id() + ".%"}},
                              1});
        auto done = co_await database->atomically(std::move(statements));
        if (done) co_return count;
        if (done.error().code != "conflict" || attempt == kTries) co_return std::unexpected(done.error());
    }
}

Result<SecretBox> next_key(const SecretKeySource& source, const std::filesystem::path& next) {
    const auto file = next.empty() ? source.next_file() : next;
    auto key = read_key(file, "new key for secrets");
    if (key || key.error().code != "not_found") return key;
    return write_new_key(file);
}

}  // namespace

storage::Statement claim_key(const std::string& key_id, Timestamp now) {
    return {"UPDATE secret_keys SET used_at = :now WHERE id = :id", {{"now", to_micros(now)}, {"id", key_id}}, 1};
}

Task<Result<SecretBox>> open_secrets(storage::Database* database, SecretKeySource source, Timestamp now) {
    auto wanted = co_await key_of_database(database);
    if (!wanted) co_return std::unexpected(wanted.error());
    auto box = key_of_source(source, *wanted);
    if (!box) co_return box;
    if (wanted->empty()) {
        auto noted = co_await database->query(
            "INSERT INTO secret_keys (id, used_at, created_at) VALUES (:id, :now, :now) ON CONFLICT DO NOTHING",
            {{"id", box->key_id()}, {"now", to_micros(now)}});
        if (!noted) co_return std::unexpected(noted.error());
        wanted = co_await key_of_database(database);
        if (!wanted) co_return std::unexpected(wanted.error());
    }
    if (auto same = check_same(*box, *wanted, source); !same) co_return std::unexpected(same.error());
    co_return box;
}

Task<Result<Rotation>> rotate_secrets(storage::Database* database, SecretKeySource source, std::filesystem::path next,
                                      Timestamp now) {
    if (next.empty() && (!source.key.empty() || !source.file.empty()))
        co_return refuse(
            fmt::format("{} is yours to change: name the file of the new key with --new-key-file", name_of(source)));
    auto wanted = co_await key_of_database(database);
    if (!wanted) co_return std::unexpected(wanted.error());
    if (wanted->empty()) co_return refuse("the database has no key yet: start the api once");
    auto to = next_key(source, next);
    if (!to) co_return std::unexpected(to.error());
    Rotation rotation{.key_id = to->key_id(), .secrets = 0};
    if (*wanted != to->key_id()) {
        auto from = key_of_source(source, *wanted);
        if (!from) co_return std::unexpected(from.error());
        if (auto same = check_same(*from, *wanted, source); !same) co_return std::unexpected(same.error());
        auto replaced = co_await replace_key(database, &*from, &*to, now);
        if (!replaced) co_return std::unexpected(in_context(replaced.error(), "rotation of secrets"));
        rotation.secrets = *replaced;
    }
    if (next.empty())
        if (auto finished = finish_rotation(source, to->key_id()); !finished)
            co_return std::unexpected(finished.error());
    co_return rotation;
}

}  // namespace codegen::api
