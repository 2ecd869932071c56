// /api/rag: what is searched, and one line for each project. The search itself is rag_search.cpp.
#include "shared/contracts/dto/rag.hpp"

#include <fmt/format.h>

#include "services/api/columns.hpp"
#include "services/api/objects.hpp"
#include "services/api/rag_search.hpp"
#include "services/api/search_words.hpp"

namespace codegen::api {
namespace {

using contracts::RagDocument;
using contracts::RagKind;
using contracts::RagMessage;
using contracts::RagSummary;

// In bytes: what PostgreSQL can index of one text (a tsvector holds 1 MiB).
constexpr std::size_t kLongestContent = 256u << 10;

// Without the embedding, which the client has.
std::string write_message(const storage::Row& row) {
    return json::write(RagMessage{.id = row.text("id"),
                                  .project_id = row.optional_text("project_id"),
                                  .user_id = row.optional_integer("user_id"),
                                  .role = enum_column<contracts::RagRole>(row, "role"),
                                  .content = row.text("content"),
                                  .created_at = time_column(row, "said_at"),
                                  .embedding = {}});
}
std::string write_document(const storage::Row& row) {
    return json::write(RagDocument{.id = row.text("id"),
                                   .project_id = row.text("project_id"),
                                   .source = row.text("source"),
                                   .title = row.optional_text("title"),
                                   .content = row.text("content"),
                                   .metadata = object_column(row, "metadata"),
                                   .created_at = time_column(row, "said_at"),
                                   .embedding = {}});
}
constexpr Table kMessages{.name = "rag_entries",
                          .what = "message",
                          .id = Page::Id::text,
                          .write = write_message,
                          .reference = "user_id"};  // its project is looked for before
constexpr Table kDocuments{.name = "rag_entries", .what = "document", .id = Page::Id::text, .write = write_document};
constexpr Table kSummaries{
    .name =
        "(SELECT project_id, sum(CASE WHEN kind = 'document' THEN 1 ELSE 0 END) AS documents, "
        "sum(CASE WHEN kind = 'message' THEN 1 ELSE 0 END) AS messages, max(created_at) AS updated_at, "
        "min(created_at) AS created_at FROM rag_entries WHERE project_id IS NOT NULL GROUP BY project_id) AS sums",
    .what = "summary",
    .id = Page::Id::text,
    .write = write_record<RagSummary>,
    .key = "project_id"};

// Nothing: fine.
Task<std::optional<http::Response>> refused(const Context* context, std::optional<std::string> project_id,
                                            std::size_t size) {
    if (size > kLongestContent)
        co_return invalid_field(
            "content", fmt::format("has {} bytes: expected at most {}; split it into several", size, kLongestContent))
            .error();
    if (!project_id) co_return std::nullopt;
    auto visible = co_await sees_project(context, *project_id);
    if (!visible) co_return visible.error();
    if (!*visible)
        co_return invalid_field("project_id", fmt::format("no project {}", project_id->substr(0, 100))).error();
    co_return std::nullopt;
}

Assignments values_of(RagKind kind, const std::optional<std::vector<double>>& embedding) {
    Assignments values;
    values.set("kind", value_of(kind));
    values.set("dimensions", static_cast<std::int64_t>(embedding ? embedding->size() : 0));
    values.set("embedding", embedding ? storage::Value(pack_vector(*embedding)) : storage::Value());
    return values;
}

Task<http::Response> add_message(const Context* context) {
    auto body = body_of<RagMessage>(*context);
    if (!body) co_return body.error();
    body->id = lower_case(body->id);
    if (body->project_id) body->project_id = lower_case(*body->project_id);
    const Caller& caller = context->caller;
    if (!body->user_id) body->user_id = caller.user_id;
    if (!caller.sees_all() && body->user_id != caller.user_id)
        co_return http::problem(403, "only an admin may write for another user", {{"user_id", "is not you"}});
    if (auto no = co_await refused(context, body->project_id, body->content.size())) co_return std::move(*no);
    auto values = values_of(RagKind::message, body->embedding);
    values.set("id", body->id);
    values.set("project_id", value_of(body->project_id));
    values.set("user_id", value_of(body->user_id));
    values.set("role", value_of(body->role));
    values.set("content", body->content);
    values.set("said_at", to_micros(body->created_at));
    values.set("request_hash", sha256_hex(context->request.body));  // the body itself: what it leaves out has defaults
    auto answer = co_await answer_made(context, &kMessages, std::move(values), body->id);
    co_return answer;
}

// The same source again replaces the document; its id stays.
Task<http::Response> ingest(const Context* context) {
    auto body = body_of<RagDocument>(*context);
    if (!body) co_return body.error();
    body->project_id = lower_case(body->project_id);
    if (auto no = co_await refused(context, body->project_id, body->content.size())) co_return std::move(*no);
    auto values = values_of(RagKind::document, body->embedding);
    values.set("id", lower_case(body->id));
    values.set("project_id", body->project_id);
    values.set("source", body->source);
    values.set("title", value_of(body->title));
    values.set("content", body->content);
    values.set("metadata", value_of(body->metadata));
    values.set("said_at", to_micros(body->created_at));
    values.set("request_hash", "");
    values.set("created_at", to_micros(context->now));
    std::vector<storage::Statement> statements;
    statements.push_back({"SELECT id FROM rag_entries WHERE project_id = :project_id AND source = :source",
                          {{"project_id", body->project_id}, {"source", body->source}},
                          {}});
    statements.push_back({values.insert_into("rag_entries") +
                              " ON CONFLICT (project_id, source) DO UPDATE SET title = excluded.title, "
                              "content = excluded.content, metadata = excluded.metadata, said_at = excluded.said_at, "
                              "dimensions = excluded.dimensions, embedding = excluded.embedding, "
                              "created_at = excluded.created_at RETURNING *",
                          std::move(values.parameters),
                          {}});
    auto done = co_await context->database.atomically(std::move(statements));
    if (!done && done.error().code == "duplicate")
        co_return http::problem(409, "another document has this id", {{"id", "is taken; leave it out to get one"}});
    if (!done) co_return problem_of(done.error());
    co_return object_answer(done->at(0).rows.empty() ? 201 : 200, kDocuments, done->at(1).rows.at(0));
}

Task<http::Response> query(const Context* context) {
    auto body = body_of<contracts::RagQuery>(*context);
    if (!body) co_return body.error();
    if (search_words(body->query).empty() && !body->embedding)
        co_return invalid_field("query", "has no word to search for: expected letters or digits").error();
    if (body->project_id) body->project_id = lower_case(*body->project_id);
    auto hits = co_await search(context, std::move(*body));
    if (!hits) co_return problem_of(hits.error());
    std::string text = "[";
    for (const auto& hit : *hits) text += (text.size() > 1 ? "," : "") + json::write(hit);
    co_return json_text(200, text + "]");
}

Task<http::Response> summaries(const Context* context) {
    Filters filters(*context);
    limit_to_own_projects(context->caller, "project_id", filters.where);
    filters.id("project_id");
    return answer_list(context, &kSummaries, std::move(filters));
}

constexpr RouteSpec kRoutes[] = {
    {"POST",
     "/api/rag/messages",
     Access::member,
     "",
     add_message,
     {.summary = "Keep what was said, to be searched",
      .request = contract("RagMessage"),
      .response = contract("RagMessage"),
      .answers = {201, 200, 409}}},
    {"POST",
     "/api/rag/ingest",
     Access::member,
     "",
     ingest,
     {.summary = "Keep a document of a project, to be searched; the same source again replaces it",
      .request = contract("RagDocument"),
      .response = contract("RagDocument"),
      .answers = {201, 200, 409}}},
    {"POST",
     "/api/rag/query",
     Access::everyone,
     "project.get",
     query,
     {.summary = "Search, best first: by words, by the embedding that comes with the query, or both",
      .request = contract("RagQuery"),
      .response = list_of("RagHit")}},
    {"GET",
     "/api/rag/summaries",
     Access::everyone,
     "project.get",
     summaries,
     {.summary = "What can be searched, by project",
      .response = list_of("RagSummary"),
      .query = {text("project_id")},
      .paged = true}},
};

}  // namespace

std::span<const RouteSpec> rag_routes() { return kRoutes; }

}  // namespace codegen::api
