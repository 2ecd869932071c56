// The document says what the routes do, and is served.
#include <set>

#include "services/api/api_fixture.hpp"
#include "services/api/openapi.hpp"
#include "shared/contracts/schema.hpp"

namespace codegen::api {
namespace {

namespace bj = boost::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class OpenApi : public ApiFixture {};

const std::string kCommitted = CODEGEN_SOURCE_DIR "/shared/contracts/schemas/openapi.json";

TEST_F(OpenApi, IsServedToEverybodyAndCommitted) {
    const auto answer = send("GET", "/openapi.json", "");
    EXPECT_EQ(answer.status, 200u);
    EXPECT_EQ(answer.headers.get("Content-Type"), "application/json");
    const auto committed = posix::read_file(kCommitted, 16u << 20);
    ASSERT_TRUE(committed) << committed.error().message;
    EXPECT_THAT(contracts::incompatible_changes(bj::parse(*committed), bj::parse(answer.body)), IsEmpty())
        << "other programs were made for the committed document";
    EXPECT_TRUE(*committed == answer.body) << kCommitted << " is out of date; fix: make build docs";
}

TEST_F(OpenApi, PageForPeopleNeedsNothingFromElsewhere) {
    const auto page = send("GET", "/docs", "");
    EXPECT_EQ(page.status, 200u);
    EXPECT_EQ(page.headers.get("Content-Type"), "text/html; charset=utf-8");
    EXPECT_THAT(page.headers.get("Content-Security-Policy").value_or(""), HasSubstr("default-src 'none'"));
    for (const auto* wanted : {"/api/tasks/{id}", "TaskCreate", "openapi.json", "engineering.status"})
        EXPECT_THAT(page.body, HasSubstr(wanted));
    for (const auto* unwanted : {"<script", "http://", "https://", "url("})
        EXPECT_THAT(page.body, Not(HasSubstr(unwanted)));
}

// What the router has, not what all_routes() says.
TEST_F(OpenApi, EveryRouteIsDocumentedAndEveryDocumentedPathRouted) {
    auto document = openapi(all_routes());
    std::set<std::string> routed;
    for (const auto& route : service_->routes()) routed.insert(route.method + " " + route.pattern);
    std::set<std::string> listed;
    for (const auto* spec : all_routes()) listed.insert(std::string(spec->method) + " " + std::string(spec->pattern));
    EXPECT_EQ(routed, listed);
    EXPECT_THAT(undocumented(all_routes(), document), IsEmpty());
    // Could it fail?
    document.at("paths").as_object().erase("/api/tasks/{id}");
    document.at("paths").as_object()["/api/moon"] = bj::object{{"get", bj::object{}}};
    EXPECT_THAT(undocumented(all_routes(), document),
                ElementsAre("GET /api/moon", "GET /api/tasks/{id}", "PATCH /api/tasks/{id}"));
}

TEST_F(OpenApi, EveryRouteSaysWhatItTakesAndAnswers) {
    std::set<std::string> ids;
    const auto document = openapi(all_routes());
    for (const auto& [path, operations] : document.at("paths").as_object())
        for (const auto& [method, operation] : operations.as_object())
            EXPECT_TRUE(ids.insert(std::string(operation.at("operationId").as_string())).second) << path;
    for (const auto* spec : all_routes()) {
        const std::string name = std::string(spec->method) + " " + std::string(spec->pattern);
        EXPECT_FALSE(spec->contract.summary.empty()) << name;
        const auto statuses = statuses_of(*spec);
        EXPECT_TRUE(std::ranges::any_of(statuses, [](unsigned s) { return s < 300; })) << name;
        const bool has_body = spec->method == "POST" || spec->method == "PUT" || spec->method == "PATCH";
        EXPECT_TRUE(has_body || spec->contract.request.name.empty()) << name << " takes a body";
        if (spec->contract.media_type == "application/json" && spec->pattern != "/openapi.json" &&
            std::ranges::find(statuses, 204u) == statuses.end())
            EXPECT_FALSE(spec->contract.response.name.empty()) << name << " does not say what it answers";
    }
}

// Every answer of JSON to a GET has an ETag, and If-None-Match is heard (representation.cpp).
TEST_F(OpenApi, WhatIsReadMayBe304) {
    const auto document = openapi(all_routes());
    const auto& paths = document.at("paths");
    EXPECT_TRUE(paths.at("/api/tasks/{id}").at("get").at("responses").as_object().contains("304"));
    EXPECT_TRUE(paths.at("/api/tasks").at("get").at("responses").as_object().contains("304"));
    EXPECT_FALSE(paths.at("/api/tasks").at("post").at("responses").as_object().contains("304"));
    EXPECT_FALSE(document.at("components").at("responses").at("304").as_object().contains("content"));
    const auto answer = send("GET", "/api/tasks", admin_, {}, {{"If-None-Match", "*"}});
    EXPECT_EQ(answer.status, 304u);
}

TEST_F(OpenApi, MadeUpChangesAreJudged) {
    const auto before = openapi(all_routes());
    const auto judged = [&](void (*make)(bj::object&)) {
        auto after = before;
        make(after);
        return contracts::incompatible_changes(before, after);
    };
    EXPECT_THAT(judged([](bj::object& d) { d.at("paths").as_object().erase("/api/tasks/{id}"); }),
                ElementsAre("/api/tasks/{id}: went"));
    EXPECT_THAT(judged([](bj::object& d) { d.at("paths").at("/api/tasks/{id}").as_object().erase("patch"); }),
                ElementsAre("/api/tasks/{id}.patch: went"));
    EXPECT_THAT(judged([](bj::object& d) {
                    auto& parameters = d.at("paths").at("/api/tasks").at("get").at("parameters").as_array();
                    parameters.erase(parameters.end() - 2);  // the last is If-None-Match
                }),
                ElementsAre("/api/tasks.get.query parameter cursor: went"));
    EXPECT_THAT(
        judged([](bj::object& d) {
            auto& parameters = d.at("paths").at("/api/tasks").at("get").at("parameters").as_array();
            parameters.at(0).as_object()["required"] = true;
            parameters.push_back({{"name", "new"}, {"in", "query"}, {"required", true}, {"schema", bj::object{}}});
        }),
        ElementsAre("/api/tasks.get.query parameter project_id: became required",
                    "/api/tasks.get.query parameter new: is new and required"));
    EXPECT_THAT(judged([](bj::object& d) {
                    d.at("paths").at("/api/tasks").at("post").at("responses").as_object().erase("200");
                }),
                ElementsAre("/api/tasks.post.200: went"));
    EXPECT_THAT(judged([](bj::object& d) {
                    d.at("components").at("schemas").at("User").at("properties").as_object().erase("username");
                }),
                ElementsAre("User.username: went"));
    EXPECT_THAT(judged([](bj::object& d) { d.at("paths").as_object()["/api/more"] = bj::object{}; }), IsEmpty());
}

// Handlers are held to their declarations.
TEST_F(OpenApi, AnAnswerThatIsNotDeclaredIsABreach) {
    const auto routes = all_routes();
    const auto* spec = *std::ranges::find_if(
        routes, [](const auto* route) { return route->method == "GET" && route->pattern == "/api/projects/{id}"; });
    http::Response answer;
    answer.headers.set("Content-Type", "application/json");
    answer.body = R"({"id":"a","name":"b","status":"draft"})";
    EXPECT_EQ(breach_of(*spec, answer), "");
    answer.body = R"({"id":"a","status":"draft"})";
    EXPECT_EQ(breach_of(*spec, answer), "the body is no Project: name: required field is missing");
    answer.headers.set("Content-Type", "text/plain");
    EXPECT_EQ(breach_of(*spec, answer), "content type \"text/plain\" is not declared, application/json is");
    answer.status = 202;
    EXPECT_EQ(breach_of(*spec, answer), "status 202 is not declared");
    EXPECT_EQ(breach_of(*spec, http::problem(404, "no project")), "");
}

}  // namespace
}  // namespace codegen::api
