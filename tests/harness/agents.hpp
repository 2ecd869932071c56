// What the end-to-end tests know about each agent's program: its key, and how a model makes it do something.
#pragma once
#include <filesystem>
#include <map>
#include <string>

#include "shared/testing/fake_model_provider.hpp"

namespace codegen::testing {

class RealAgent {
  public:
    explicit RealAgent(std::string name);  // claude, factory, codex; throws for others
    const std::string& name() const { return name_; }

    // Settings of a control plane whose only model provider is this one, with this key.
    std::map<std::string, std::string> environment(const FakeModelProvider& provider, const std::string& key) const;
    // A turn of the model that calls the agent's own tool.
    ModelTurn run(const std::string& command) const;
    // Where a prompt of a megabyte is put for it; empty: in its first message.
    std::string prompt_file() const { return name_ == "factory" ? "/home/agent/.factory/task.md" : ""; }
    ModelTurn write_file(const std::string& name, const std::string& content) const;

    // Installs the pinned program once for all tests of this build (from npm, checked by its hash) and shows it to the
    // control plane of this state directory, which may be one that is yet to start.
    void give_program(const std::filesystem::path& state) const;

  private:
    const std::string name_;
};

}  // namespace codegen::testing
