// What runs with the agent's rights: its command, our files in its home, its session. Pure data; the worker-wrapper
// carries it out (packages/worker-wrapper/launch_plan.hpp).
#pragma once
#include <boost/describe/class.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace codegen::agents {

struct PlannedFile {
    std::string path;
    std::string content;
};
BOOST_DESCRIBE_STRUCT(PlannedFile, (), (path, content))

// Known session -> `resume`, else `start`: appended to argv. Known: somewhere below `folder`, not deeper than agents
// have it, is a file whose name ends with `ending`.
struct PlannedSession {
    std::string folder;
    std::string ending;
    std::vector<std::string> resume;
    std::vector<std::string> start;
};
BOOST_DESCRIBE_STRUCT(PlannedSession, (), (folder, ending, resume, start))

struct PlannedForwarder {
    int port = 0;
    std::string socket;
    int patience_ms = 0;
};
BOOST_DESCRIBE_STRUCT(PlannedForwarder, (), (port, socket, patience_ms))

struct LaunchPlan {
    std::vector<std::string> argv;
    std::map<std::string, std::string> environment;
    std::string directory;
    std::vector<PlannedFile> files;
    std::optional<PlannedSession> session;
    std::optional<PlannedForwarder> forwarder;  // init only
    std::optional<std::int64_t> max_processes;  // init only: counted within its user namespace
};
BOOST_DESCRIBE_STRUCT(LaunchPlan, (), (argv, environment, directory, files, session, forwarder, max_processes))

}  // namespace codegen::agents
