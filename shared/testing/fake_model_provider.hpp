// A model provider for tests: the Anthropic Messages, OpenAI Responses and OpenAI Chat Completions APIs on a real HTTP
// server, in the test's process, on its own thread, all answering from one script. Checked with the agents' own
// programs (docs/agents.md): streaming and not, tools, errors, stalls.
//
// Every method is thread-safe and may block the test's thread. A request that no turn answers by rights - no tools, or
// max_tokens 1: the agent's own side requests for titles, quotas and the like - gets a harmless default answer and
// takes no turn. A main request beyond the script gets a 400 that says so. Anything without the expected key gets 401.
#pragma once
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/http/message.hpp"

namespace codegen::testing {

// One answer of the model: text and tool calls in order, or an error.
struct ModelTurn {
    struct Block {
        std::string text;  // or, when `tool` is set, a call of it
        std::optional<std::string> tool;
        boost::json::object input;
        bool freeform = false;  // Responses only: the tool takes `text` instead of an object
    };
    enum class Hold {
        none,
        before_head,     // not a byte until released
        before_content,  // the head and message_start go out, the rest when released
    };

    enum class Cut {
        none,
        before_content,     // claude 2.1.197 asks again by itself
        after_first_block,  // claude 2.1.197 gives up: is_error, exit 1
    };

    std::vector<Block> blocks;
    unsigned error_status = 0;            // 401, 429, 500, 529, ...: an error document instead
    std::string error_message;            // of the error document
    std::optional<unsigned> retry_after;  // seconds, with an error
    Hold hold = Hold::none;
    Cut cut = Cut::none;  // streamed answers only: the connection breaks there
    std::int64_t input_tokens = 100;
    std::int64_t output_tokens = 20;
    std::int64_t cache_read_tokens = 7;
    std::int64_t cache_write_tokens = 3;

    static ModelTurn say(std::string text);
    static ModelTurn call(std::string tool, boost::json::object input, std::string text_before = {});
    static ModelTurn call_freeform(std::string tool, std::string text);
    static ModelTurn fail(unsigned status, std::string message = "scripted failure");
    ModelTurn held(Hold where = Hold::before_content) &&;
};

// What arrived, in order of arrival.
struct ModelRequest {
    std::string method;
    std::string target;
    http::Headers headers;
    std::string body;
    boost::json::value json;  // of the body; null when it is none
    bool main = false;        // it took (or missed) a turn of the script
    unsigned answered = 0;    // status
};

struct FakeModelProviderOptions {
    std::string key = "fake-model-key";
    bool every_message_is_main = false;  // for clients that send no tools
};

class FakeModelProvider {
  public:
    using Options = FakeModelProviderOptions;
    // Listens on a free port of 127.0.0.1; throws std::runtime_error when it cannot.
    explicit FakeModelProvider(Options options = {});
    ~FakeModelProvider();  // cuts what is open
    FakeModelProvider(const FakeModelProvider&) = delete;

    std::string base_url() const;  // "http://127.0.0.1:12345"
    const std::string& key() const;

    void push(ModelTurn turn);    // behind what is still to come
    void always(ModelTurn turn);  // answers every main request from now on that the script has nothing for
    std::size_t turns_left() const;

    // Lets the oldest held turn go on; without one, the next that is held will not wait.
    void release();
    // Until a turn is being held. False: not within `limit`.
    bool wait_held(std::chrono::milliseconds limit = std::chrono::seconds(30));
    // Until at least `count` main requests have arrived.
    bool wait_main_requests(std::size_t count, std::chrono::milliseconds limit = std::chrono::seconds(30));

    std::vector<ModelRequest> requests() const;
    std::vector<ModelRequest> main_requests() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace codegen::testing
