#include "tests/harness/product_owner.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "shared/base/ids.hpp"

namespace codegen::testing {
namespace json = boost::json;
using namespace std::chrono_literals;

std::vector<json::object> messages(ControlPlane& plane, const std::string& stream) {
    std::vector<json::object> out;
    for (const auto& entry : plane.stream(stream)) out.push_back(json::parse(*entry.field("data")).as_object());
    return out;
}

json::object create_product_owner(ControlPlane& plane, const std::string& name, const std::string& script,
                                  json::object context) {
    context["user_id"] = "1";
    const auto request = new_uuid();
    const json::object message{{"command", "create"},
                               {"request_id", request},
                               {"config",
                                {{"name", name},
                                 {"worker_type", "po"},
                                 {"agent_type", "custom"},
                                 {"instructions", "Be brief."},
                                 {"allowed_commands", json::array{"respond", "project.*"}},
                                 {"capabilities", json::array{}},
                                 {"command", json::array{"bash", "-c", script}}}},
                               {"context", context}};
    plane.redis({"XADD", "worker:commands", "*", "data", json::serialize(message)});
    json::object found;
    eventually(
        "an answer to the create command",
        [&] {
            for (const auto& response : messages(plane, "worker:responses:po"))
                if (response.at("request_id").as_string() == request) found = response;
            return !found.empty();
        },
        90s);
    return found;
}

std::string say(ControlPlane& plane, const std::string& name, const std::string& prompt, bool directed) {
    const auto request = new_uuid();
    const json::object input{{"request_id", request}, {"user_id", 1}, {"prompt", prompt}};
    plane.redis({"XADD", (directed ? "worker:" : "worker:po:") + name + ":input", "*", "data", json::serialize(input)});
    return request;
}

std::vector<json::object> outputs(ControlPlane& plane, const std::string& name, const std::string& request,
                                  bool final) {
    std::vector<json::object> out;
    for (const auto& output : messages(plane, "worker:po:" + name + ":output"))
        if (output.at("request_id").as_string() == request && output.at("is_final").as_bool() == final)
            out.push_back(output);
    return out;
}

json::object answer(ControlPlane& plane, const std::string& name, const std::string& request) {
    std::vector<json::object> found;
    eventually(
        "an answer of the worker",
        [&] {
            found = outputs(plane, name, request, true);
            return !found.empty();
        },
        60s);
    if (found.size() != 1) ADD_FAILURE() << found.size() << " answers\n" << plane.log();
    return found.empty() ? json::object{{"text", ""}} : found.front();
}

}  // namespace codegen::testing
