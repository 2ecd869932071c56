// Workers made by hand, past the workflow: configurations that no task of today asks for, in images of the test's own.
#pragma once
#include <boost/json.hpp>
#include <fstream>
#include <stdexcept>
#include <string>

#include "shared/base/ids.hpp"
#include "tests/harness/control_plane.hpp"

namespace codegen::testing {

// An image of the test, gone at its end.
class OwnRoot {
  public:
    // `script` writes a root as a tar to stdout.
    OwnRoot(ControlPlane& plane, const std::string& script, const std::string& changes = {}) : plane_(plane) {
        const auto made =
            plane.run({"bash", "-c",
                       "set -eo pipefail; " + script + " | docker import " + changes + " - " + name_ + " >/dev/null"},
                      std::chrono::seconds(120));
        if (made.exit_code != 0) throw std::runtime_error("own image: " + made.errors + made.output);
    }
    ~OwnRoot() { plane_.run({"docker", "rmi", "-f", name_}); }
    OwnRoot(const OwnRoot&) = delete;
    const std::string& name() const { return name_; }

  private:
    ControlPlane& plane_;
    const std::string name_ = "codegen-test-own:" + random_token(6);
};

// No libc, no package manager, no git, no /etc/passwd: one static program and its names.
inline constexpr const char* kBusyboxRoot =
    "d=$(mktemp -d); trap 'rm -rf $d' EXIT; mkdir $d/bin; test -x /bin/busybox || { echo 'apt-get install "
    "busybox-static' >&2; exit 1; }; cp /bin/busybox $d/bin/; for n in sh cat id ls test; do ln -s busybox $d/bin/$n; "
    "done; tar -C $d -c .";

inline boost::json::object direct_config(const std::string& worker, boost::json::array command,
                                         boost::json::array capabilities = {}) {
    return {{"name", worker},
            {"worker_type", "developer"},
            {"agent_type", "custom"},
            {"instructions", ""},
            {"allowed_commands", {"project.get", "result"}},
            {"capabilities", std::move(capabilities)},
            {"command", std::move(command)},
            {"pool", false}};
}
inline std::string direct_name() { return "own-" + random_token(6); }

inline boost::json::object direct_answer(ControlPlane& plane, const std::string& stream, const std::string& request) {
    boost::json::object found;
    eventually(
        "an answer to " + request + " on " + stream,
        [&] {
            for (const auto& entry : plane.stream(stream))
                if (const auto* data = entry.field("data")) {
                    boost::system::error_code none;
                    auto parsed = boost::json::parse(*data, none);
                    if (none || !parsed.is_object()) continue;  // a test's own nonsense
                    auto& message = parsed.get_object();
                    if (message["request_id"] == boost::json::string(request)) found = std::move(message);
                }
            return !found.empty();
        },
        std::chrono::seconds(120));
    return found;
}
inline boost::json::object create_directly(ControlPlane& plane, boost::json::object with,
                                           boost::json::value workspace = {}) {
    const auto request = "create-" + random_token(6);
    boost::json::object command{
        {"command", "create"}, {"request_id", request}, {"config", std::move(with)}, {"context", {{"user_id", "1"}}}};
    if (!workspace.is_null()) command["workspace"] = std::move(workspace);
    plane.redis({"XADD", "worker:commands", "*", "data", boost::json::serialize(command)});
    return direct_answer(plane, "worker:responses:developer", request);
}
// What the worker answers to one request.
inline boost::json::object work_directly(ControlPlane& plane, const std::string& worker, const std::string& project) {
    const auto request = new_uuid();
    plane.redis({"XADD", "worker:" + worker + ":input", "*", "data",
                 boost::json::serialize(boost::json::object{{"request_id", request},
                                                            {"task_id", new_uuid()},
                                                            {"project_id", project},
                                                            {"prompt", "do it"},
                                                            {"timeout", 60}})});
    return direct_answer(plane, "worker:developer:output", request);
}
inline std::string direct_error(const boost::json::object& response) {
    const auto* error = response.if_contains("error");
    return error && error->is_string() ? std::string(error->as_string()) : std::string();
}
inline std::string workspace_file(ControlPlane& plane, const std::string& worker, const std::string& file) {
    std::ifstream in(plane.worker_directory(worker) / "workspace" / file);
    return {std::istreambuf_iterator<char>(in), {}};
}
// A flat Debian root with git and perl: what a worker of ours is made of, without its labels and its user.
inline std::string debian_root(ControlPlane& plane) {
    const auto worker = direct_name();
    const auto made = create_directly(plane, direct_config(worker, {"true"}, {"git"}));
    EXPECT_EQ(made.at("success"), true) << boost::json::serialize(made);
    return "d=$(mktemp -d); trap 'rm -rf $d' EXIT; docker export worker-" + worker +
           " | tar -x -C $d; sed -i /^agent:/d $d/etc/passwd $d/etc/group; tar -C $d -c .";
}

}  // namespace codegen::testing
