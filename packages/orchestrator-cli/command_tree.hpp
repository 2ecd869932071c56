// All commands, in one tree: what the arguments are parsed with, and what completion, manual and MCP are made from.
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "packages/orchestrator-cli/command.hpp"

namespace codegen::cli {

// The parser. One use: options keep what was parsed.
class CommandTree {
  public:
    CommandTree();
    CommandTree(const CommandTree&) = delete;

    CLI::App& app() { return app_; }
    const CLI::App& app() const { return app_; }
    Chosen& chosen() { return chosen_; }
    bool json_wanted() const { return json_; }
    bool text_wanted() const { return text_; }

  private:
    CLI::App app_;
    Chosen chosen_;
    bool json_ = false;
    bool text_ = false;
};

// What an option or argument takes.
struct OptionInfo {
    enum class Kind { flag, text, integer, number } kind = Kind::text;
    std::string name;               // "--agent", or "TASK" for an argument
    std::vector<std::string> also;  // further spellings
    std::string help;
    bool positional = false;
    bool required = false;
    bool many = false;
    std::vector<std::string> choices;  // empty: anything
    std::optional<double> least;
    std::optional<double> most;
    std::vector<std::string> excludes;  // names of others
};

struct CommandInfo {
    std::vector<std::string> path;  // {"engineering", "start"}; empty: the program itself
    std::vector<std::string> also;  // further names of the last part
    std::string help;
    std::string footer;  // examples and notes, may be several lines
    bool group = false;  // has commands below and does nothing itself
    bool about = false;  // about this program (help for shells, manual): nothing of the control plane
    std::vector<OptionInfo> options;

    std::string name(char separator) const;               // "engineering.start"
    std::string permission() const { return name('.'); }  // docs/protocols.md, section 7
    std::vector<std::string> examples() const;            // the footer's lines that begin with "orchestrator "
};

// Of the whole tree: the program first, each group before its commands. Pure.
std::vector<CommandInfo> describe(const CLI::App& app);

}  // namespace codegen::cli
