// All that must be known about one kind of agent program. A folder beside this file for each, and its name in
// shared/contracts/agent_types.hpp; what the programs do and where they differ is in docs/agents.md. In the folder:
//   *.cpp       an Agent, and make_<name>() (makers.hpp)
//   install.sh  fetches its program: install.sh VERSION TARGET_DIRECTORY (none: it needs no program of its own)
//   keys        for `make run`: a line with the variables one of which it needs, a line that says so to people
//   recorded/   what the real program printed, for its tests
// Pure: nothing here starts or reads anything.
//
// The success rule is the stream's: `AgentStream::final_record_expected()` and `StreamSummary::final_record`.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/agents/agent_stream.hpp"
#include "shared/agents/launch_plan.hpp"
#include "shared/contracts/wrapper_config.hpp"

namespace codegen::agents {

struct Job;

// Who names a conversation.
enum class SessionRule {
    none,      // there is none: each request begins anew
    chosen,    // the wrapper, with a UUID that the program takes
    reported,  // the program; its stream says the id, which the next request then resumes
};

// How its program comes into a worker.
struct Description {
    std::string version;                    // pinned; install.sh has its hash
    std::string program;                    // file that install.sh makes; empty: it needs none
    std::vector<std::string> companions{};  // files that the program looks for beside itself
    std::int64_t memory_bytes = 0;          // default limit of its workers; 0: the general one
    std::string memory_note{};              // for people: what of that is its own
    // auth_mode host_session: the folder of its home that holds a login, and where that login must reach (host:port).
    // Empty: it has none.
    std::string profile{};
    std::vector<std::string> login_hosts{};
};

class Agent {
  public:
    virtual ~Agent() = default;
    virtual const Description& description() const = 0;
    // Error "invalid": this configuration cannot run it. By default: the path of its program must be there.
    virtual Result<void> check(const contracts::WrapperConfig& config) const;
    // Its settings and where its model provider is; `loopback` is the gateway's URL. A configuration may override them.
    virtual std::map<std::string, std::string> environment(const contracts::WrapperConfig& config,
                                                           const std::string& loopback) const;
    // What its standard input is, and ends with: the request's prompt, or a text that points at a file of the plan. Not
    // an argument: those may have 128 KiB at most.
    virtual std::string input(const Job& job) const;
    // Command line, instruction file, other files in its home, session: into a plan that has all the rest.
    virtual void plan(const contracts::WrapperConfig& config, const Job& job, const std::string& session_id,
                      LaunchPlan& plan) const = 0;
    virtual SessionRule session_rule() const = 0;
    // `before`: what its conversation had used before this run, for programs whose figures count on; absent: not known.
    virtual std::unique_ptr<AgentStream> stream(std::optional<contracts::AgentUsage> before) const = 0;
};

// An input that points at the file where a long prompt is.
std::string pointer_to(const std::string& file, const Job& job);

// The registry; lives as long as the process.
const Agent& agent_of(contracts::AgentType type);

}  // namespace codegen::agents
