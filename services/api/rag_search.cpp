#include "services/api/rag_search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <map>

#include "services/api/objects.hpp"
#include "services/api/search_words.hpp"

namespace codegen::api {
namespace {

using contracts::RagHit;
using contracts::RagKind;
using contracts::RagQuery;

constexpr std::int64_t kCompared = 20'000;
constexpr std::int64_t kPage = 500;
constexpr double kRankOffset = 60;  // of reciprocal rank fusion (Cormack and others, SIGIR 2009)

struct Found {
    std::int64_t number = 0;
    double score = 0;
};

bool better(const Found& a, const Found& b) { return a.score != b.score ? a.score > b.score : a.number < b.number; }

Where visible(const Context& context, const RagQuery& query) {
    Where where;
    if (!context.caller.sees_all()) {
        Where own;
        limit_to_own_projects(context.caller, "project_id", own);
        where.parameters = own.parameters;
        // A worker of a task reaches what its project has, not what its user said elsewhere.
        if (context.caller.is_worker() && context.caller.task_id) {
            where.add(own.conditions.front());
        } else {
            where.add(fmt::format("({} OR (project_id IS NULL AND user_id = :rag_user))", own.conditions.front()));
            where.parameters.set("rag_user", context.caller.user_id);
        }
    }
    if (query.project_id) where.equals("project_id", *query.project_id);
    return where;
}

// 'one' | 'two': what holds any of the words, ranked.
std::string any_of(const std::vector<std::string>& words, char quote, std::string_view separator) {
    std::string text;
    for (const auto& word : words) text += fmt::format("{}{}{}{}", text.empty() ? "" : separator, quote, word, quote);
    return text;
}

Task<Result<std::vector<Found>>> by_words(const Context* context, const RagQuery* query) {
    const auto words = search_words(query->query);
    std::vector<Found> found;
    if (words.empty()) co_return found;
    auto where = visible(*context, *query);
    std::string sql;
    if (context->database.is_postgres()) {
        where.add("search @@ to_tsquery('simple'::regconfig, :match)");
        where.parameters.set("match", any_of(words, '\'', " | "));
        sql = "SELECT number, ts_rank(search, to_tsquery('simple'::regconfig, :match)) AS score FROM rag_entries";
    } else {
        where.add("rag_search MATCH :match");
        where.parameters.set("match", any_of(words, '"', " OR "));
        sql = "SELECT number, -bm25(rag_search) AS score FROM rag_search JOIN rag_entries ON number = rag_search.rowid";
    }
    where.parameters.set("most", query->limit);
    auto rows = co_await context->database.query(sql + where.sql() + " ORDER BY score DESC, number LIMIT :most",
                                                 std::move(where.parameters));
    if (!rows) co_return std::unexpected(rows.error());
    for (const auto& row : rows->rows) found.push_back({row.integer("number"), row.real("score")});
    co_return found;
}

Task<Result<std::vector<Found>>> by_embedding(const Context* context, const RagQuery* query) {
    std::vector<Found> best;
    if (!query->embedding) co_return best;
    const std::vector<float> wanted(query->embedding->begin(), query->embedding->end());
    auto before = std::numeric_limits<std::int64_t>::max();
    for (std::int64_t compared = 0; compared < kCompared; compared += kPage) {
        auto where = visible(*context, *query);
        where.equals("dimensions", static_cast<std::int64_t>(wanted.size()));
        where.add("number < :before");
        where.parameters.set("before", before);
        where.parameters.set("page", kPage);
        auto rows = co_await context->database.query(
            "SELECT number, embedding FROM rag_entries" + where.sql() + " ORDER BY number DESC LIMIT :page",
            std::move(where.parameters));
        if (!rows) co_return std::unexpected(rows.error());
        for (const auto& row : rows->rows) {
            best.push_back({row.integer("number"), similarity(wanted, unpack_vector(row.text("embedding")))});
            before = row.integer("number");
        }
        std::ranges::sort(best, better);
        if (best.size() > static_cast<std::size_t>(query->limit)) best.resize(static_cast<std::size_t>(query->limit));
        if (rows->rows.size() < static_cast<std::size_t>(kPage)) break;
        // SQLite reads inside the call: between pages everybody else of the process has a turn.
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    }
    co_return best;
}

std::vector<Found> merged(const std::vector<Found>& a, const std::vector<Found>& b, std::size_t most) {
    if (a.empty()) return b;
    if (b.empty()) return a;
    std::map<std::int64_t, double> scores;
    for (const auto* list : {&a, &b})
        for (std::size_t rank = 0; rank < list->size(); ++rank)
            scores[(*list)[rank].number] += 1 / (kRankOffset + static_cast<double>(rank) + 1);
    std::vector<Found> all;
    for (const auto& [number, score] : scores) all.push_back({number, score});
    std::ranges::sort(all, better);
    if (all.size() > most) all.resize(most);
    return all;
}

}  // namespace

Task<Result<std::vector<RagHit>>> search(const Context* context, RagQuery query) {
    auto words = co_await by_words(context, &query);
    if (!words) co_return std::unexpected(words.error());
    auto near = co_await by_embedding(context, &query);
    if (!near) co_return std::unexpected(near.error());
    const auto found = merged(*words, *near, static_cast<std::size_t>(query.limit));
    std::vector<RagHit> hits;
    if (found.empty()) co_return hits;
    std::string list;
    storage::Parameters numbers;
    for (std::size_t i = 0; i < found.size(); ++i) {
        list += fmt::format("{}:n{}", i > 0 ? ", " : "", i);
        numbers.set(fmt::format("n{}", i), found[i].number);
    }
    auto rows = co_await context->database.query(
        "SELECT number, id, kind, project_id, source, content FROM rag_entries WHERE number IN (" + list + ")",
        std::move(numbers));
    if (!rows) co_return std::unexpected(rows.error());
    const auto shown = search_words(query.query);
    for (const auto& [number, score] : found) {
        const auto row =
            std::ranges::find_if(rows->rows, [&](const auto& one) { return one.integer("number") == number; });
        if (row == rows->rows.end()) continue;  // removed meanwhile
        hits.push_back({.id = row->text("id"),
                        .kind = enum_column<RagKind>(*row, "kind"),
                        .project_id = row->optional_text("project_id"),
                        .source = row->optional_text("source"),
                        .excerpt = excerpt_of(row->text("content"), shown),
                        .score = score});
    }
    co_return hits;
}

}  // namespace codegen::api
