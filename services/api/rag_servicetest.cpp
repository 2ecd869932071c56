// Search over documents and messages: the same hits in both stores.
#include "services/api/api_fixture.hpp"

namespace codegen::api {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using Json = boost::json::object;

class RagTest : public ApiFixture {
  protected:
    void SetUp() override {
        ApiFixture::SetUp();
        ann_ = user_token(make_user(1));
        bob_ = user_token(make_user(2));
        project_ = make_project(ann_);
    }
    http::Response ingest(const std::string& source, const std::string& content, Json more = {}) {
        more["project_id"] = project_;
        more["source"] = source;
        more["content"] = content;
        return send("POST", "/api/rag/ingest", ann_, boost::json::serialize(more));
    }
    http::Response ask(const std::string& token, Json query) {
        return send("POST", "/api/rag/query", token, boost::json::serialize(query));
    }
    // The sources of the hits, best first; of a message its excerpt.
    std::vector<std::string> hits(const std::string& token, const Json& query) {
        std::vector<std::string> found;
        double last = 1e300;
        for (const auto& hit : must(200, ask(token, query)).as_array()) {
            EXPECT_LE(hit.at("score").to_number<double>(), last);
            last = hit.at("score").to_number<double>();
            found.push_back(hit.as_object().contains("source") ? text(hit, "source") : text(hit, "excerpt"));
        }
        return found;
    }

    std::string ann_;
    std::string bob_;
    std::string project_;
};

Task<void> take_turns(const bool* ended, int* turns) {
    for (; !*ended; ++*turns) co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

Task<http::Response> handled(http::Handler handler, http::Request request, bool* ended) {
    auto reply = co_await handler(std::move(request), http::Peer{});
    *ended = true;
    co_return std::move(reply.head);
}

// SQLite reads inside the call: a long comparison is made in slices.
TEST_F(RagTest, WhileManyVectorsAreComparedOthersHaveTheirTurn) {
    must(201, ingest("0.md", "about nothing", {{"embedding", {0, 1, 0}}}));
    for (int doubled = 0; doubled < 12; ++doubled) {
        auto more = testing::run(
            io_, database_->query(
                     "INSERT INTO rag_entries (id, kind, project_id, source, content, said_at, dimensions, embedding, "
                     "request_hash, created_at) SELECT :tag || id, kind, project_id, :tag || source, content, said_at, "
                     "dimensions, embedding, request_hash, created_at FROM rag_entries",
                     {{"tag", std::to_string(doubled) + "-"}}));
        ASSERT_TRUE(more) << more.error().message;
    }
    http::Request request{.method = "POST", .target = "/api/rag/query", .headers = {}, .body = {}};
    request.headers.set("Authorization", "Bearer " + ann_);
    request.body = boost::json::serialize(Json{{"query", ""}, {"embedding", {0, 1, 0}}, {"limit", 1}});
    bool ended = false;
    int turns = 0;
    bool over = false;
    asio::co_spawn(io_, take_turns(&ended, &turns), [&](std::exception_ptr) { over = true; });
    const auto answer = testing::run(io_, handled(service_->handler(), std::move(request), &ended));
    io_.restart();
    while (!over && io_.run_one() > 0) {
    }
    EXPECT_EQ(answer.status, 200u) << answer.body;
    EXPECT_GE(turns, 8) << "of 4096 vectors 500 at once";
}

TEST_F(RagTest, DocumentsAreFoundByTheirWords) {
    must(201, ingest("docs/basket.md", "The basket holds what is to be bought. Basket, basket!"));
    must(201, ingest("docs/pay.md", "Paying empties the basket."));
    must(201, ingest("services/api/rows.cpp", "see shared/json/patch.hpp and user_name=caf\xc3\xa9"));
    EXPECT_THAT(hits(ann_, {{"query", "BASKET"}}), ElementsAre("docs/basket.md", "docs/pay.md"));
    EXPECT_THAT(hits(ann_, {{"query", "empties or buys"}}), ElementsAre("docs/pay.md"));
    // Paths and names are words in both stores.
    for (const auto* word : {"patch", "json", "name", "caf\xc3\xa9"})
        EXPECT_THAT(hits(ann_, {{"query", word}}), ElementsAre("services/api/rows.cpp")) << word;
    EXPECT_THAT(hits(ann_, {{"query", "basketball"}}), IsEmpty());
    EXPECT_THAT(hits(ann_, {{"query", "basket"}, {"limit", 1}}), ElementsAre("docs/basket.md"));
    // No syntax of either store gets through.
    for (const auto* odd : {"basket' | !x", "\"basket", "basket*) OR (", "title:basket", "basket\\", ":* & basket"})
        EXPECT_THAT(hits(ann_, {{"query", odd}}), UnorderedElementsAre("docs/basket.md", "docs/pay.md")) << odd;
    const auto hit = must(200, ask(ann_, {{"query", "empties"}})).at(0);
    EXPECT_EQ(text(hit, "kind"), "document");
    EXPECT_EQ(text(hit, "project_id"), project_);
    EXPECT_THAT(text(hit, "excerpt"), HasSubstr("empties the basket"));
}

TEST_F(RagTest, TheSameSourceAgainReplacesTheDocument) {
    const auto first = must(201, ingest("a.md", "apples", {{"title", "Fruit"}}));
    const auto second = must(200, ingest("a.md", "pears", {{"metadata", Json{{"branch", "main"}}}}));
    EXPECT_EQ(second.at("id"), first.at("id"));
    EXPECT_FALSE(second.as_object().contains("title"));
    EXPECT_EQ(second.at("metadata"), (Json{{"branch", "main"}}));
    for (const auto* gone : {"apples", "fruit"}) EXPECT_THAT(hits(ann_, {{"query", gone}}), IsEmpty());
    EXPECT_THAT(hits(ann_, {{"query", "pears"}}), ElementsAre("a.md"));
    EXPECT_EQ(ingest("b.md", "x", {{"id", first.at("id")}}).status, 409u);
    must(204, send("DELETE", "/api/projects/" + project_, ann_));
    EXPECT_THAT(hits(admin_, {{"query", "pears"}}), IsEmpty());
}

TEST_F(RagTest, NobodyFindsWhatIsNotHis) {
    must(201, ingest("a.md", "a secret recipe"));
    const auto said = [&](const std::string& token, Json message) {
        message["role"] = "user";
        return send("POST", "/api/rag/messages", token, boost::json::serialize(message));
    };
    must(201, said(ann_, {{"project_id", project_}, {"content", "recipe in the project"}}));
    must(201, said(ann_, {{"content", "recipe for me"}}));
    must(201, said(bob_, {{"content", "recipe of bob"}}));
    EXPECT_EQ(said(bob_, {{"project_id", project_}, {"content", "x"}}).status, 422u);
    EXPECT_EQ(said(bob_, {{"user_id", 2}, {"content", "x"}}).status, 403u);
    EXPECT_THAT(hits(ann_, {{"query", "recipe"}}),
                UnorderedElementsAre("a.md", "recipe in the project", "recipe for me"));
    EXPECT_THAT(hits(bob_, {{"query", "recipe"}}), ElementsAre("recipe of bob"));
    EXPECT_THAT(hits(bob_, {{"query", "recipe"}, {"project_id", project_}}), IsEmpty());
    EXPECT_EQ(hits(admin_, {{"query", "recipe"}}).size(), 4u);
    EXPECT_THAT(hits(admin_, {{"query", "recipe"}, {"project_id", project_}}),
                UnorderedElementsAre("a.md", "recipe in the project"));
    const auto worker = worker_token(make_task(ann_, project_), {"project.get"});
    EXPECT_EQ(hits(worker, {{"query", "recipe"}, {"project_id", project_}}).size(), 2u);
    EXPECT_EQ(hits(worker, {{"query", "recipe"}}).size(), 2u) << "not what its user said elsewhere";
    EXPECT_EQ(ask(worker_token(make_task(ann_, project_), {"respond"}), {{"query", "recipe"}}).status, 403u);

    const auto mine = must(200, send("GET", "/api/rag/summaries", ann_));
    ASSERT_EQ(mine.as_array().size(), 1u);
    EXPECT_EQ(text(mine.at(0), "project_id"), project_);
    EXPECT_EQ(mine.at(0).at("documents").as_int64(), 1);
    EXPECT_EQ(mine.at(0).at("messages").as_int64(), 1);
    EXPECT_EQ(send("GET", "/api/rag/summaries", bob_).body, "[]");
    EXPECT_EQ(send("GET", "/api/rag/summaries?project_id=" + project_, bob_).body, "[]");
}

TEST_F(RagTest, AnEmbeddingThatComesWithTheQueryFindsWhatIsNear) {
    must(201, ingest("north.md", "about nothing", {{"embedding", {0, 1, 0}}}));
    must(201, ingest("east.md", "about nothing", {{"embedding", {1, 0, 0}}}));
    must(201, ingest("two.md", "two dimensions", {{"embedding", {1, 0}}}));
    must(201, ingest("plain.md", "no embedding, words alone"));
    EXPECT_THAT(hits(ann_, {{"query", ""}, {"embedding", {0.9, 0.1, 0}}}), ElementsAre("east.md", "north.md"));
    EXPECT_THAT(hits(ann_, {{"query", ""}, {"embedding", {0.9, 0.1, 0}}, {"limit", 1}}), ElementsAre("east.md"));
    EXPECT_THAT(hits(bob_, {{"query", ""}, {"embedding", {1, 0, 0}}}), IsEmpty());
    // Both: what either finds, and first what both find.
    must(201, ingest("both.md", "words too", {{"embedding", {0.8, 0.2, 0}}}));
    const auto found = hits(ann_, {{"query", "words"}, {"embedding", {0.8, 0.2, 0}}});
    EXPECT_EQ(found.front(), "both.md");
    EXPECT_THAT(found, UnorderedElementsAre("both.md", "plain.md", "east.md", "north.md"));
}

TEST_F(RagTest, WhatCannotBeSearchedIsRefused) {
    const auto path = [&](const http::Response& response) {
        return text(must(422, response).at("errors").at(0), "path");
    };
    EXPECT_EQ(path(ask(ann_, {{"query", " ?! "}})), "query");
    EXPECT_EQ(path(ask(ann_, {{"query", "x"}, {"limit", 51}})), "limit");
    EXPECT_EQ(path(ask(ann_, {{"query", "x"}, {"embedding", boost::json::array{}}})), "embedding");
    EXPECT_EQ(path(ingest("a.md", std::string((256u << 10) + 1, 'x'))), "content");
    must(201, ingest("a.md", std::string(256u << 10, 'x')));
    std::string many;  // as many words as fit
    for (int i = 0; many.size() < (256u << 10) - 8; ++i) many += std::to_string(i) + " ";
    must(201, ingest("many.md", many));
    EXPECT_THAT(hits(ann_, {{"query", "31337"}}), ElementsAre("many.md"));
    EXPECT_EQ(path(ingest("", "x")), "source");
    const Json message{{"id", new_uuid()}, {"role", "user"}, {"content", "once"}};
    const auto said = [&](const Json& body) {
        return send("POST", "/api/rag/messages", ann_, boost::json::serialize(body));
    };
    const auto made = must(201, said(message));
    EXPECT_EQ(must(200, said(message)), made);
    auto other = message;
    other["content"] = "twice";
    EXPECT_EQ(said(other).status, 409u);
}

}  // namespace
}  // namespace codegen::api
