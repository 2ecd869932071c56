#include "services/api/idempotency.hpp"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "shared/logging/log.hpp"

namespace codegen::api {
namespace {

constexpr std::string_view kHeader = "Idempotency-Key";
constexpr std::string_view kKept[] = {"Content-Type", "ETag", "Link", "Cache-Control"};
constexpr auto kLife = std::chrono::hours(24);
constexpr auto kUnderWay = std::chrono::seconds(60);  // then its process is taken for dead: a request takes 10 s
constexpr auto kLookEvery = std::chrono::minutes(1);
constexpr std::int64_t kMostKeys = 10'000;  // of one token
constexpr std::size_t kLongestKey = 255;
constexpr std::size_t kLargestAnswer = 1u << 20;

// One request's row, and the fence (claimed_at) that tells it from an earlier try.
struct Claim {
    std::string scope;
    std::string key;
    std::int64_t claimed_at = 0;
    std::string place() const { return fmt::format("idempotency_keys/{}/{}", scope, key); }
};

bool is_key(std::string_view key) {
    return !key.empty() && key.size() <= kLongestKey &&
           std::ranges::all_of(key, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

std::string scope_of(const Caller& caller) {
    return fmt::format("{}:{}", caller.token_id, caller.user_id ? std::to_string(*caller.user_id) : "");
}

// The first write of the handler commits together with the note that it was made; of two tries one gets through.
class OnceDatabase final : public storage::Database {
  public:
    OnceDatabase(storage::Database& database, const Claim& claim) : database_(database), claim_(claim) {}

    Task<Result<storage::Rows>> query(std::string sql, storage::Parameters parameters) override {
        if (noted_ || sql.starts_with("SELECT")) return database_.query(std::move(sql), std::move(parameters));
        return noting(this, std::move(sql), std::move(parameters));
    }
    Task<Result<std::vector<storage::Rows>>> atomically(std::vector<storage::Statement> statements,
                                                        storage::Durability durability) override {
        if (noted_) return database_.atomically(std::move(statements), durability);
        return noting_all(this, std::move(statements));  // the note must last
    }
    Task<Result<void>> migrate(std::string component, std::vector<storage::Migration> migrations) override {
        return database_.migrate(std::move(component), std::move(migrations));
    }
    bool is_postgres() const override { return database_.is_postgres(); }
    bool noted() const { return noted_; }

  private:
    static Task<Result<std::vector<storage::Rows>>> noting_all(OnceDatabase* self,
                                                               std::vector<storage::Statement> statements) {
        statements.insert(
            statements.begin(),
            storage::Statement{
                "UPDATE idempotency_keys SET effect = 1 WHERE scope = :scope AND "
                "key = :key AND effect = 0 AND claimed_at = :claimed_at",
                {{"scope", self->claim_.scope}, {"key", self->claim_.key}, {"claimed_at", self->claim_.claimed_at}},
                1});
        auto done = co_await self->database_.atomically(std::move(statements));
        if (!done) co_return done;
        self->noted_ = true;
        done->erase(done->begin());
        co_return done;
    }
    static Task<Result<storage::Rows>> noting(OnceDatabase* self, std::string sql, storage::Parameters parameters) {
        std::vector<storage::Statement> one;
        one.push_back({std::move(sql), std::move(parameters), {}});
        auto done = co_await noting_all(self, std::move(one));
        if (!done) co_return std::unexpected(done.error());
        co_return std::move(done->front());
    }

    storage::Database& database_;
    const Claim& claim_;
    bool noted_ = false;
};

http::Response later(unsigned status, std::string detail, std::int64_t seconds) {
    auto response = http::problem(status, std::move(detail));
    response.headers.set("Retry-After", std::to_string(seconds));
    return response;
}

http::Response lost() {
    return http::problem(409,
                         "the first request with this Idempotency-Key took effect, but its answer is not kept: read "
                         "the object instead of making it again");
}

// Fingerprints are made with the key for secrets: with another key, the same request has another one.
std::string hash_of(const Context& context) {
    const auto& request = context.request;
    return fmt::format(
        "{}:{}", context.secrets.key_id(),
        context.secrets.fingerprint(fmt::format("{} {}\n{}", request.method, request.target, request.body)));
}
std::string_view hashed_with(std::string_view hash) { return hash.substr(0, hash.find(':')); }

http::Response of_former_key() {
    return http::problem(409,
                         "this Idempotency-Key was used before the key for secrets was changed, so whether for this "
                         "request is not known: look for what it should have made, then use another key");
}

std::string packed(const http::Response& response) {
    boost::json::object headers;
    for (const auto name : kKept)
        if (const auto value = response.headers.get(name)) headers[name] = *value;
    return boost::json::serialize(boost::json::object{{"headers", std::move(headers)}, {"body", response.body}});
}

http::Response replayed(const Context& context, const Claim& claim, const storage::Row& row) {
    const auto sealed = row.optional_text("response");
    const auto text =
        sealed ? context.secrets.open(*sealed, claim.place()) : fail(ErrorCategory::permanent, "none", "not kept");
    if (!text) return lost();  // too large, or the key for secrets was changed since
    const auto kept = json::parse_own(*text).as_object();
    http::Response response;
    response.status = static_cast<unsigned>(row.integer("status"));
    for (const auto& [name, value] : kept.at("headers").as_object())
        response.headers.set(name, std::string(value.as_string()));
    response.body = kept.at("body").as_string();
    response.headers.set("Idempotency-Replayed", "true");
    return response;
}

// Nothing: the row is ours now.
Task<std::optional<http::Response>> claimed(const Context* context, Claim* claim, std::string hash) {
    const auto now = to_micros(context->now);
    claim->claimed_at = now;
    const storage::Parameters named{{"scope", claim->scope}, {"key", claim->key}};
    auto outdated = named;
    outdated.set("cutoff", to_micros(context->now - kLife));
    auto fresh = named;
    fresh.set("hash", std::move(hash));
    fresh.set("now", now);
    fresh.set("most", kMostKeys);
    const auto wanted = std::get<std::string>(fresh.values.at("hash"));
    std::vector<storage::Statement> statements;
    statements.push_back(
        {"DELETE FROM idempotency_keys WHERE scope = :scope AND key = :key AND created_at <= :cutoff", outdated, {}});
    statements.push_back(
        {"INSERT INTO idempotency_keys (scope, key, request_hash, effect, claimed_at, created_at) "
         "SELECT :scope, :key, :hash, 0, :now, :now "
         "WHERE (SELECT count(*) FROM idempotency_keys WHERE scope = :scope) < :most "
         "ON CONFLICT (scope, key) DO NOTHING",
         fresh,
         {}});
    statements.push_back({"SELECT * FROM idempotency_keys WHERE scope = :scope AND key = :key", named, {}});
    auto done = co_await context->database.atomically(std::move(statements));
    if (!done) co_return problem_of(done.error());
    if (done->at(1).affected == 1) co_return std::nullopt;
    if (done->at(2).rows.empty())
        co_return later(429, fmt::format("this token has {} idempotency keys of the last 24 hours", kMostKeys), 3600);
    const auto& row = done->at(2).rows.front();
    if (hashed_with(row.text("request_hash")) != hashed_with(wanted)) co_return of_former_key();
    if (row.text("request_hash") != wanted)
        co_return http::problem(422, "this Idempotency-Key was used for another request",
                                {{std::string(kHeader), "was used with another method, address or body"}});
    if (!row.is_null("status")) co_return replayed(*context, *claim, row);
    const auto since = row.integer("claimed_at");
    if (from_micros(since) + kUnderWay > context->now)
        co_return later(409, "the first request with this Idempotency-Key is still under way", 1);
    if (row.integer("effect") != 0) co_return lost();
    auto mine = named;
    mine.set("now", now);
    mine.set("since", since);
    auto taken = co_await context->database.query(
        "UPDATE idempotency_keys SET claimed_at = :now WHERE scope = :scope AND key = :key AND effect = 0 AND "
        "claimed_at = :since",
        std::move(mine));
    if (!taken) co_return problem_of(taken.error());
    if (taken->affected == 0) co_return later(409, "another request with this Idempotency-Key is under way", 1);
    co_return std::nullopt;
}

// An answer without an effect is forgotten: the same request may fare better the next time.
Task<void> keep(const Context* context, const Claim* claim, const http::Response* response, bool effect) {
    storage::Parameters parameters{{"scope", claim->scope}, {"key", claim->key}, {"claimed_at", claim->claimed_at}};
    // The row itself knows: of a commit whose answer was lost, nobody here does.
    std::string sql = "DELETE FROM idempotency_keys WHERE effect = 0 AND";
    if (effect || response->status < 300) {
        const bool fits = response->body.size() <= kLargestAnswer;
        parameters.set("status", static_cast<std::int64_t>(response->status));
        parameters.set("response", fits ? storage::Value(context->secrets.seal(packed(*response), claim->place()))
                                        : storage::Value());
        sql = "UPDATE idempotency_keys SET status = :status, response = :response WHERE";
    }
    auto kept = co_await context->database.query(sql + " scope = :scope AND key = :key AND claimed_at = :claimed_at",
                                                 std::move(parameters));
    if (!kept) log::warning("an answer was not kept for its Idempotency-Key", {{"error", kept.error().message}});
}

}  // namespace

bool Idempotency::wanted(const http::Request& request) {
    return request.method == "POST" && request.headers.get(kHeader).has_value();
}

Task<void> Idempotency::forget_the_old(storage::Database* database, Timestamp now) {
    if (now < next_look_) co_return;
    next_look_ = now + kLookEvery;
    auto gone = co_await database->query("DELETE FROM idempotency_keys WHERE created_at <= :cutoff",
                                         {{"cutoff", to_micros(now - kLife)}});
    if (!gone) log::warning("old idempotency keys stay", {{"error", gone.error().message}});
}

Task<http::Response> Idempotency::answer(const Context* context) {
    const std::string key(*context->request.headers.get(kHeader));
    if (!is_key(key))
        co_return http::problem(422, "the Idempotency-Key is not valid",
                                {{std::string(kHeader), "expected 1 to 255 printable characters without blanks"}});
    co_await forget_the_old(&context->database, context->now);
    Claim claim{.scope = scope_of(context->caller), .key = key, .claimed_at = 0};
    auto hash = hash_of(*context);
    auto other = co_await claimed(context, &claim, std::move(hash));
    if (other) co_return std::move(*other);
    OnceDatabase database(context->database, claim);
    const Context once{.database = database,
                       .request = context->request,
                       .match = context->match,
                       .caller = context->caller,
                       .now = context->now,
                       .metrics = context->metrics,
                       .route = context->route,
                       .secrets = context->secrets};
    auto response = co_await context->route.handler(&once);
    // Trouble of ours after an effect: the row stays as it is, and says so.
    if (response.status < 500 || !database.noted()) co_await keep(context, &claim, &response, database.noted());
    co_return response;
}

}  // namespace codegen::api
