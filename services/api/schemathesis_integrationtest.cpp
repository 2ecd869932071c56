// A stranger that has only /openapi.json (schemathesis, pinned in tools/schemathesis) finds nothing that the API does
// otherwise: every kind of right and wrong request, every check it has. Here a little of each; SOAK_EXAMPLES for more.
#include <cstdlib>

#include "services/api/api_fixture.hpp"
#include "shared/logging/log.hpp"
#include "shared/process/process.hpp"

namespace codegen::api {
namespace {

class Schemathesis : public ApiFixture {
  protected:
    const std::string tools_ = CODEGEN_SOURCE_DIR "/tools/schemathesis";
    // Its path to hooks.py is taken from the working directory, which is not to be the tree.
    std::string configuration() {
        auto text = posix::read_file(tools_ + "/schemathesis.toml", 100000).value();
        text.replace(text.find("hooks.py"), 0, tools_ + "/");
        const auto path = directory_ / "schemathesis.toml";
        posix::replace_file(path, text, 0600).value();
        return path.string();
    }
    const std::string program_ = CODEGEN_SOURCE_DIR "/build/schemathesis/bin/schemathesis";
};

TEST_F(Schemathesis, FindsNothing) {
    ASSERT_TRUE(std::filesystem::exists(program_)) << program_ << " is missing; run tools/schemathesis.sh";
    log::setup(log::Level::error, log::Format::console, "api");  // thousands of requests
    const char* soak = std::getenv("SOAK_EXAMPLES");
    const std::string examples = soak ? soak : "3";
    process::Spec spec;
    spec.argv = {program_,
                 "--config-file",
                 configuration(),
                 "run",
                 "http://127.0.0.1:" + std::to_string(port_) + "/openapi.json",
                 "--checks",
                 "all",
                 "--header",
                 "Authorization: Bearer " + read("infra.token"),  // the service that may do all
                 "--max-examples",
                 examples,
                 "--continue-on-failure",
                 "--no-color"};
    if (!soak) spec.argv.insert(spec.argv.end(), {"--seed", "1"});
    std::string kept;
    for (const auto& token : must(200, admin("GET", "/api/tokens")).as_array()) kept += text(token, "id") + ",";
    spec.environment = {{"KEPT_TOKENS", kept},
                        {"PYTHONDONTWRITEBYTECODE", "1"},
                        {"PATH", "/usr/bin:/bin"},
                        {"HOME", directory_.string()},
                        {"LANG", "C.UTF-8"}};
    spec.directory = directory_;  // where it keeps what it found
    const std::chrono::seconds limit(soak ? 7200 : 240);
    auto outcome =
        testing::run(io_, process::run(std::move(spec), {.timeout = limit}), limit + std::chrono::seconds(5));
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_TRUE(outcome->ok()) << outcome->describe() << "\n" << outcome->output;
    // It ran, and reached what it was to reach.
    EXPECT_THAT(outcome->output, ::testing::HasSubstr("Stateful"));
    EXPECT_THAT(outcome->output, ::testing::Not(::testing::HasSubstr("Authentication failed")));
}

}  // namespace
}  // namespace codegen::api
