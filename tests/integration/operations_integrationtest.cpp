// What docs/operations.md shows works as it stands there; and a control plane ends when it is told to.
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "tests/harness/control_plane.hpp"

namespace codegen::testing {
namespace {

// The examples of a page: its blocks marked as bash.
std::vector<std::string> examples_of(const std::string& page) {
    std::ifstream in(std::filesystem::path(CODEGEN_SOURCE_DIR) / page);
    std::vector<std::string> out;
    bool inside = false;
    for (std::string line; std::getline(in, line);) {
        if (line == "```bash") {
            inside = true;
            out.emplace_back();
        } else if (line == "```") {
            inside = false;
        } else if (inside) {
            out.back() += line + "\n";
        }
    }
    return out;
}

TEST(Operations, AnotherPersonGetsATokenAsThePageSays) {
    ControlPlane plane({});
    const auto examples = examples_of("docs/operations.md");
    ASSERT_EQ(examples.size(), 1u);
    const auto ran = plane.run({"bash", "-euo", "pipefail", "-c",
                                "export CODEGEN_STATE_DIR='" + plane.state().string() + "'\n" + examples.front()});
    EXPECT_EQ(ran.exit_code, 0) << ran.errors;
    EXPECT_EQ(ran.output, "shop\n1\n") << ran.errors;
    plane.stop();
}

// Nothing that waits for a Redis may keep the process.
TEST(Operations, AStopEndsItAlsoWhenRedisWasNeverThere) {
    ControlPlane plane({.environment = {{"REDIS_URL", "redis://127.0.0.1:1"}}});
    plane.stop();
}

}  // namespace
}  // namespace codegen::testing
