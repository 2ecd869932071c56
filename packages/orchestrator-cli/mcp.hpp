// The commands as tools of the Model Context Protocol, without I/O: what a line of a client means, and what is said to
// it. https://modelcontextprotocol.io/specification/2025-06-18 (base protocol, lifecycle, tools).
#pragma once
#include <boost/json/object.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "packages/orchestrator-cli/command_tree.hpp"

namespace codegen::cli {

// Every command that is no group and not about the program itself, as far as `allowed` goes (absent: all), with its
// arguments as JSON Schema. Options that only people need (--json, --text, --follow) are left out.
boost::json::array mcp_tools(const std::vector<CommandInfo>& tree,
                             const std::optional<std::vector<std::string>>& allowed);

// The command line for a call: {"engineering", "start", "--spec=x", "--json", ...}. Errors: what is wrong with which
// argument.
std::expected<std::vector<std::string>, std::string> mcp_command_line(const CommandInfo& command,
                                                                      const boost::json::object& arguments);

class McpSession {
  public:
    // `allowed`: permissions, absent: all.
    McpSession(std::vector<CommandInfo> tree, std::optional<std::vector<std::string>> allowed);

    struct Call {
        std::string key;  // of the request, for `cancel` and answer()
        std::vector<std::string> command_line;
    };
    // What follows from one line; at most one of them.
    struct Step {
        std::optional<std::string> reply{};   // a line
        std::optional<Call> call{};           // to be run; its end goes to answer()
        std::optional<std::string> cancel{};  // key of a running call: ends without an answer
    };
    Step on_line(std::string_view line);
    // The line that answers a call: what the command printed, and on standard error.
    std::string answer(const std::string& key, std::string_view output, std::string_view errors);
    void forget(const std::string& key) { running_.erase(key); }  // a cancelled call has ended
    static std::string too_long();                                // the answer to a line that was dropped unread

  private:
    Step call_tool(const boost::json::value& id, const boost::json::object& parameters);
    const std::vector<CommandInfo> tree_;
    const std::optional<std::vector<std::string>> allowed_;
    std::set<std::string> running_;  // ids as JSON text
    bool initialized_ = false;
};

}  // namespace codegen::cli
