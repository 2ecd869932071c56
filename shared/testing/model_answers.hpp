// How the model providers' APIs shape an answer: Anthropic Messages, OpenAI Responses and OpenAI Chat Completions,
// whole and as a stream of server-sent events. Pure; used by the fake model provider. Checked with claude 2.1.197,
// droid 0.215.0 and codex 0.169.0.
#pragma once
#include <boost/json/object.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "shared/testing/fake_model_provider.hpp"

namespace codegen::testing {

enum class ModelApi { messages, responses, chat };

// Of a request's path, without its query.
std::optional<ModelApi> model_api(std::string_view path);
// Whether a request offers tools: the agent's own work does, its side requests for titles and the like do not.
bool offers_tools(ModelApi api, const boost::json::object& body);
boost::json::object error_document(ModelApi api, unsigned status, const std::string& message);

// One answer. The pieces of a stream in order: start, each block, end.
class ModelAnswer {
  public:
    virtual ~ModelAnswer() = default;
    virtual boost::json::object whole() = 0;
    virtual std::string start() = 0;
    virtual std::string block(std::size_t index) = 0;
    virtual std::string end() = 0;
};
std::unique_ptr<ModelAnswer> make_answer(ModelApi api, std::string model, ModelTurn turn);

}  // namespace codegen::testing
