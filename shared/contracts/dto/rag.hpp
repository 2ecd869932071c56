// /api/rag: search over project documents and over what was said about them. Fields are ours (docs/protocols.md,
// "Search").
#pragma once
#include <array>
#include <boost/describe/class.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/ids.hpp"
#include "shared/base/result.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/contracts/rules.hpp"
#include "shared/contracts/vocabulary.hpp"

namespace codegen::contracts {

// POST /rag/messages: one turn of a conversation about a project.
struct RagMessage {
    std::string id = new_uuid();
    std::optional<std::string> project_id;
    std::optional<std::int64_t> user_id;
    RagRole role{};
    std::string content;
    Timestamp created_at = system_now();
    std::optional<std::vector<double>> embedding;  // made by the client: the API calls no provider

    static constexpr std::array<std::string_view, 2> defaulted{"id", "created_at"};
    static constexpr std::array<json::Rule, 2> rules{client_id("id"), embedding_rule("embedding")};
    void check(FieldErrors& errors, const std::string& prefix) const;
};
BOOST_DESCRIBE_STRUCT(RagMessage, (), (id, project_id, user_id, role, content, created_at, embedding))

// POST /rag/ingest: one document. `source` (a path, an address) is its name within the project: the same again
// replaces it.
struct RagDocument {
    std::string id = new_uuid();
    std::string project_id;
    std::string source;
    std::optional<std::string> title;
    std::string content;
    boost::json::object metadata;
    Timestamp created_at = system_now();
    std::optional<std::vector<double>> embedding;

    static constexpr std::array<std::string_view, 3> defaulted{"id", "metadata", "created_at"};
    static constexpr std::array<json::Rule, 4> rules{
        {client_id("id"),
         {.field = "source", .expected = "1 to 1000 characters", .min_length = 1, .max_length = 1000},
         {.field = "title", .expected = "at most 1000 characters", .max_length = 1000},
         embedding_rule("embedding")}};
    void check(FieldErrors& errors, const std::string& prefix) const;
};
BOOST_DESCRIBE_STRUCT(RagDocument, (), (id, project_id, source, title, content, metadata, created_at, embedding))

// POST /rag/query; the answer is a list of RagHit, best first.
struct RagQuery {
    std::string query;
    std::optional<std::string> project_id;  // absent: all that the caller may read
    std::int64_t limit = 10;
    std::optional<std::vector<double>> embedding;  // of `query`: entries with as many dimensions are compared too

    static constexpr std::array<std::string_view, 1> defaulted{"limit"};
    static constexpr std::array<json::Rule, 3> rules{
        {{.field = "query", .expected = "at most 10000 characters", .max_length = 10000},
         whole("limit", 1, 50, "1 to 50"),
         embedding_rule("embedding")}};
    void check(FieldErrors& errors, const std::string& prefix) const;
};
BOOST_DESCRIBE_STRUCT(RagQuery, (), (query, project_id, limit, embedding))

struct RagHit {
    std::string id;  // of the document or the message
    RagKind kind{};
    std::optional<std::string> project_id;
    std::optional<std::string> source;  // documents
    std::string excerpt;
    double score = 0;  // higher is better; comparable within one answer only
};
BOOST_DESCRIBE_STRUCT(RagHit, (), (id, kind, project_id, source, excerpt, score))

// GET /rag/summaries: what can be searched, one for each project.
struct RagSummary {
    std::string project_id;
    std::int64_t documents = 0;
    std::int64_t messages = 0;
    std::optional<Timestamp> updated_at;
};
BOOST_DESCRIBE_STRUCT(RagSummary, (), (project_id, documents, messages, updated_at))

}  // namespace codegen::contracts
