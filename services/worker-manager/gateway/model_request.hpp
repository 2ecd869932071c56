// What the gateway reads of a request to a model, without holding a second copy of it. Pure.
#pragma once
#include <string>
#include <string_view>

namespace codegen::worker_manager {

struct ModelAsked {
    std::string model;  // "": none is named, or more than one, or the body is no JSON object
    bool streams = false;
    bool has_stream_options = false;
    bool includes_usage = false;
};
ModelAsked read_model_request(std::string_view body);

// A streamed chat completion says what it has used only when asked to. Returns the body that asks.
std::string asking_for_usage(std::string body, const ModelAsked& asked);

}  // namespace codegen::worker_manager
