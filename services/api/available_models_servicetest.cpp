#include "services/api/api_fixture.hpp"

namespace codegen::api {
namespace {

class AvailableModelsTest : public ApiFixture {
  protected:
    static constexpr const char* kSonnet = "/api/available-models/claude-sonnet-4-5";
};

TEST_F(AvailableModelsTest, AModelIsPutReplacedListedAndFoundAgain) {
    const auto made = must(201, admin("PUT", kSonnet,
                                      R"({"provider": "anthropic", "context_window": 200000, "input_price": 3,
                                          "output_price": 15.5, "cache_read_price": 0.3, "cache_write_price": 3.75})"));
    EXPECT_EQ(text(made, "id"), "claude-sonnet-4-5");
    EXPECT_EQ(made.at("input_price").to_number<double>(), 3.0);
    EXPECT_EQ(made.at("output_price").to_number<double>(), 15.5);
    EXPECT_EQ(must(200, admin("GET", kSonnet)), made);
    EXPECT_EQ(must(200, admin("PUT", kSonnet, boost::json::serialize(made))), made);
    const auto bare = must(200, admin("PUT", kSonnet, R"({"provider": "anthropic"})"));
    EXPECT_FALSE(bare.as_object().contains("input_price"));  // replaced, not merged
    must(201, admin("PUT", "/api/available_models/gpt-x", R"({"provider": "openai"})"));
    EXPECT_EQ(must(200, admin("GET", "/api/available-models")).as_array().size(), 2u);
    EXPECT_EQ(must(200, admin("GET", "/api/available-models?provider=openai")).as_array().size(), 1u);
    EXPECT_EQ(must(200, admin("GET", "/api/available-models?limit=1")).as_array().size(), 1u);
    restart();
    EXPECT_EQ(must(200, admin("GET", kSonnet)), bare);
}

TEST_F(AvailableModelsTest, AnIdMayHoldSlashes) {
    const auto made =
        must(201, admin("PUT", "/api/available-models/openrouter/anthropic/claude-x:beta", R"({"provider": "o"})"));
    EXPECT_EQ(text(made, "id"), "openrouter/anthropic/claude-x:beta");
    EXPECT_EQ(must(200, admin("GET", "/api/available-models/openrouter/anthropic/claude-x:beta")), made);
    EXPECT_EQ(must(200, admin("GET", "/api/available-models/openrouter%2Fanthropic%2Fclaude-x:beta")), made);
    EXPECT_EQ(admin("GET", "/api/available-models/openrouter/anthropic").status, 404u);
}

TEST_F(AvailableModelsTest, WhatIsWrongIsNamedWithItsPath) {
    const auto wrong = [&](const char* body) { return admin("PUT", kSonnet, body); };
    EXPECT_EQ(wrong("{").status, 400u);
    for (const auto& [body, path] : std::vector<std::pair<const char*, const char*>>{
             {"{}", "provider"},
             {R"({"provider": ""})", "provider"},
             {R"({"provider": "a b"})", "provider"},
             {R"({"provider": "p", "id": "other"})", "id"},
             {R"({"provider": "p", "context_window": 0})", "context_window"},
             {R"({"provider": "p", "input_price": -0.1})", "input_price"},
             {R"({"provider": "p", "output_price": 1e7})", "output_price"},
             {R"({"provider": "p", "cache_read_price": "3"})", "cache_read_price"},
             {R"({"provider": "p", "cache_write_price": true})", "cache_write_price"}}) {
        EXPECT_EQ(text(must(422, wrong(body)).at("errors").at(0), "path"), path) << body;
    }
    EXPECT_EQ(admin("PUT", ("/api/available-models/" + std::string(201, 'x')).c_str(), R"({"provider": "p"})").status,
              422u);
    EXPECT_EQ(admin("GET", kSonnet).status, 404u);
}

TEST_F(AvailableModelsTest, EverybodyButAWorkerReadsAndOnlyAdminsAndServicesWrite) {
    const auto user = user_token(make_user(100));
    const std::string body = R"({"provider": "p"})";
    EXPECT_EQ(send("PUT", kSonnet, user, body).status, 403u);
    EXPECT_EQ(send("PUT", kSonnet, control_, body).status, 201u);
    EXPECT_EQ(send("GET", kSonnet, user).status, 200u);
    EXPECT_EQ(send("GET", "/api/available-models", user).status, 200u);
}

}  // namespace
}  // namespace codegen::api
