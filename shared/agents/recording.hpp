// For parser tests: what the real programs printed in the face of the fake model provider, in agents/<name>/recorded/.
#pragma once
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

#include "shared/agents/agent_stream.hpp"

namespace codegen::agents {

inline std::vector<StreamEvent> replay(AgentStream& stream, const std::string& recording) {
    std::ifstream in(std::string(CODEGEN_SOURCE_DIR) + "/shared/agents/" + recording);
    EXPECT_TRUE(in) << recording;
    std::vector<StreamEvent> out;
    for (std::string line; std::getline(in, line);)
        for (auto& event : stream.line(line, false)) out.push_back(std::move(event));
    return out;
}

inline std::vector<contracts::AgentEventKind> kinds(const std::vector<StreamEvent>& events) {
    std::vector<contracts::AgentEventKind> out;
    for (const auto& event : events) out.push_back(event.kind);
    return out;
}

}  // namespace codegen::agents
