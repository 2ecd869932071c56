#include "services/worker-manager/gateway/model_request.hpp"

#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdint>

namespace codegen::worker_manager {
namespace {

namespace json = boost::json;
using boost::system::error_code;
using json::string_view;

constexpr std::size_t kDeepest = 512;  // a conversation holds tool calls, which nest as deep as a model likes

// Looks at the keys of the outermost object and of its "stream_options", and passes over everything else.
struct Handler {
    static constexpr std::size_t max_object_size = SIZE_MAX;
    static constexpr std::size_t max_array_size = SIZE_MAX;
    static constexpr std::size_t max_key_size = SIZE_MAX;
    static constexpr std::size_t max_string_size = SIZE_MAX;

    ModelAsked asked;
    int depth = 0;
    int models = 0;
    bool is_object = false;
    bool in_options = false;
    std::string key;   // of the outermost object, while its value comes
    std::string part;  // of that key, or of the model's name
    std::string inner_key;

    bool wants_key() const { return depth == 1 || (depth == 2 && in_options); }
    void value_begins() {
        if (depth == 1 && key == "model") ++models;
        if (depth == 1 && key == "stream_options") asked.has_stream_options = true;
    }

    bool on_document_begin(error_code&) { return true; }
    bool on_document_end(error_code&) { return true; }
    bool on_object_begin(error_code&) {
        if (depth == 0) is_object = true;
        value_begins();
        in_options = depth == 1 ? key == "stream_options" : in_options;
        ++depth;
        return true;
    }
    bool on_object_end(std::size_t, error_code&) {
        if (--depth == 1) in_options = false;
        return true;
    }
    bool on_array_begin(error_code&) {
        value_begins();
        ++depth;
        return true;
    }
    bool on_array_end(std::size_t, error_code&) {
        --depth;
        return true;
    }
    bool on_key_part(string_view text, std::size_t, error_code&) {
        if (wants_key()) part.append(text);
        return true;
    }
    bool on_key(string_view text, std::size_t, error_code&) {
        if (!wants_key()) return true;
        part.append(text);
        (depth == 1 ? key : inner_key) = std::move(part);
        part.clear();
        return true;
    }
    bool on_string_part(string_view text, std::size_t, error_code&) {
        if (depth == 1 && key == "model") part.append(text);
        return true;
    }
    bool on_string(string_view text, std::size_t, error_code&) {
        value_begins();
        if (depth == 1 && key == "model") {
            part.append(text);
            asked.model = std::move(part);
            part.clear();
        }
        return true;
    }
    bool on_number_part(string_view, error_code&) { return true; }
    bool on_int64(std::int64_t, string_view, error_code&) { return scalar(); }
    bool on_uint64(std::uint64_t, string_view, error_code&) { return scalar(); }
    bool on_double(double, string_view, error_code&) { return scalar(); }
    bool on_null(error_code&) { return scalar(); }
    bool on_bool(bool value, error_code&) {
        if (depth == 1 && key == "stream") asked.streams = value;
        if (depth == 2 && in_options && inner_key == "include_usage") asked.includes_usage = value;
        return scalar();
    }
    bool on_comment_part(string_view, error_code&) { return true; }
    bool on_comment(string_view, error_code&) { return true; }
    bool scalar() {
        value_begins();
        return true;
    }
};

}  // namespace

ModelAsked read_model_request(std::string_view body) {
    json::parse_options options;
    options.max_depth = kDeepest;
    json::basic_parser<Handler> parser(options);
    error_code ec;
    const auto used = parser.write_some(false, body.data(), body.size(), ec);
    const auto& handler = parser.handler();
    if (ec || !handler.is_object || body.substr(used).find_first_not_of(" \t\r\n") != body.npos) return {};
    auto asked = handler.asked;
    if (handler.models != 1) asked.model.clear();
    return asked;
}

std::string asking_for_usage(std::string body, const ModelAsked& asked) {
    if (!asked.streams || asked.includes_usage) return body;
    if (!asked.has_stream_options) {
        body.insert(body.find('{') + 1, R"("stream_options":{"include_usage":true},)");
        return body;
    }
    json::parse_options options;
    options.max_depth = kDeepest;
    error_code ec;
    auto value = json::parse(body, ec, {}, options);
    if (ec) return body;
    auto& wanted = value.as_object()["stream_options"];
    if (!wanted.is_object()) wanted = json::object{};
    wanted.get_object()["include_usage"] = true;
    return json::serialize(value);
}

}  // namespace codegen::worker_manager
