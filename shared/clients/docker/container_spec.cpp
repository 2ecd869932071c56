#include "shared/clients/docker/container_spec.hpp"

#include <fmt/format.h>

#include <cmath>

namespace codegen::clients {
namespace json = boost::json;

namespace {

json::array texts(const std::vector<std::string>& list) { return json::array(list.begin(), list.end()); }

json::object host_config(const ContainerSpec& spec) {
    json::array mounts;
    for (const ContainerMount& mount : spec.mounts)
        mounts.push_back(json::object{
            {"Type", "bind"}, {"Source", mount.source}, {"Target", mount.target}, {"ReadOnly", mount.read_only}});
    json::object tmpfs;
    for (const ContainerTmpfs& mount : spec.tmpfs)
        tmpfs[mount.target] = fmt::format("rw,nosuid,nodev,{},size={},mode={:04o}",
                                          mount.executable ? "exec" : "noexec", mount.bytes, mount.mode);
    json::array groups;
    for (int group : spec.groups) groups.emplace_back(json::string(std::to_string(group)));
    json::object host{
        {"GroupAdd", std::move(groups)},
        {"NetworkMode", spec.network},
        {"Mounts", std::move(mounts)},
        {"Tmpfs", std::move(tmpfs)},
        {"CapDrop", json::array{"ALL"}},
        {"CapAdd", spec.isolating_runtime.empty() ? texts(spec.capabilities) : json::array{"ALL"}},
        {"SecurityOpt", json::array{"no-new-privileges"}},
        {"Privileged", false},
        {"ReadonlyRootfs", spec.read_only_root},
        {"Memory", spec.memory_bytes},
        {"MemorySwap", spec.memory_bytes},
        {"NanoCpus", static_cast<std::int64_t>(std::llround(spec.cpus * 1e9))},
        {"PidsLimit", spec.processes},
        {"RestartPolicy", json::object{{"Name", "no"}}},
        {"AutoRemove", false},
        {"Init", false},
        {"LogConfig",
         json::object{{"Type", "json-file"}, {"Config", json::object{{"max-size", "4m"}, {"max-file", "2"}}}}},
        {"Ulimits", json::array{json::object{{"Name", "core"}, {"Soft", 0}, {"Hard", 0}}}},
    };
    if (!spec.isolating_runtime.empty()) host["Runtime"] = spec.isolating_runtime;
    return host;
}

}  // namespace

json::object create_body(const ContainerSpec& spec) {
    json::array environment;
    for (const auto& [name, value] : spec.environment) environment.push_back(json::string(name + "=" + value));
    json::object labels;
    for (const auto& [name, value] : spec.labels) labels[name] = value;
    json::object body{
        {"Image", spec.image},
        {"Entrypoint", texts(spec.entrypoint)},
        {"Cmd", json::array{}},
        {"User", spec.user},
        {"WorkingDir", spec.working_directory},
        {"Env", std::move(environment)},
        {"Labels", std::move(labels)},
        {"AttachStdin", false},
        {"OpenStdin", false},
        {"Tty", false},
        {"HostConfig", host_config(spec)},
    };
    if (!spec.hostname.empty()) body["Hostname"] = spec.hostname;
    return body;
}

}  // namespace codegen::clients
