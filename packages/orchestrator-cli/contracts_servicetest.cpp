#include <gmock/gmock.h>

#include "packages/orchestrator-cli/cli_fixture.hpp"

namespace codegen::cli::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// No control plane: neither state directory nor server.
class ContractsCommand : public CliTest {
  protected:
    void SetUp() override {
        environment_ = {{"CODEGEN_STATE_DIR", "/nonexistent"}, {"PATH", "/usr/bin:/bin"}, {"HOME", "/nonexistent"}};
    }
    void change(const std::string& file, const std::string& from, const std::string& to) {
        auto text = posix::read_file(directory_ / file, 16u << 20);
        ASSERT_TRUE(text) << text.error().message;
        const auto at = text->find(from);
        ASSERT_NE(at, std::string::npos) << file << " has no " << from;
        text->replace(at, from.size(), to);
        ASSERT_TRUE(posix::replace_file(directory_ / file, *text, 0644));
    }
};

TEST_F(ContractsCommand, ExportWritesWhatIsCommitted) {
    const auto out = directory_.path() / "new/contracts";
    const auto done = orchestrator({"contracts", "export", "--directory", out.string()});
    EXPECT_EQ(done.exit, 0) << done.output << done.errors;
    const fs::path committed = CODEGEN_SOURCE_DIR "/shared/contracts/schemas";
    std::int64_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(committed)) {
        if (!entry.is_regular_file()) continue;
        ++files;
        const auto name = fs::relative(entry.path(), committed);
        const auto written = posix::read_file(out / name, 16u << 20);
        ASSERT_TRUE(written) << written.error().message;
        EXPECT_TRUE(*written == *posix::read_file(entry.path(), 16u << 20)) << name;
    }
    EXPECT_EQ(done.data().at("documents").as_int64(), files);
    EXPECT_EQ(orchestrator({"contracts", "export", "--check", out.string()}).exit, 0);
}

TEST_F(ContractsCommand, CheckTellsWhatBreaksAndExportDoesNotWriteOverIt) {
    const auto here = directory_.path().string();
    ASSERT_EQ(orchestrator({"contracts", "export", "--directory", here}).exit, 0);
    // An older version had fewer fields: fine. It had one that is gone: not.
    change("queues/EngineeringMessage.json", "\"task_id\"", "\"task\"");
    change("dto/User.json", "\"username\"", "\"name\"");
    const auto checked = orchestrator({"contracts", "export", "--check", here});
    EXPECT_EQ(checked.exit, 1);
    EXPECT_EQ(text(checked.json(), "error"), "incompatible");
    const auto message = text(checked.json(), "message");
    EXPECT_THAT(message, HasSubstr("queues/EngineeringMessage.json: task: went"));
    EXPECT_THAT(message, HasSubstr("dto/User.json: name: went"));
    EXPECT_EQ(orchestrator({"contracts", "export", "--directory", here}).exit, 1);
    EXPECT_EQ(orchestrator({"contracts", "export", "--check", here}).exit, 1) << "it was written over";
    EXPECT_EQ(orchestrator({"contracts", "export", "--directory", here, "--force"}).exit, 0);
    EXPECT_EQ(orchestrator({"contracts", "export", "--check", here}).exit, 0);
    fs::create_directory(directory_.path() / "old");
    ASSERT_TRUE(posix::replace_file(directory_ / "old/gone.json", "{}", 0644));
    const auto compared = orchestrator({"contracts", "compare", here + "/old", here + "/queues"});
    EXPECT_EQ(compared.exit, 1);
    EXPECT_THAT(text(compared.json(), "message"), HasSubstr("gone.json: went"));
}

TEST_F(ContractsCommand, SaysWhatIsWrongWithADirectory) {
    const auto missing = orchestrator({"contracts", "export", "--check", "/nonexistent"});
    EXPECT_EQ(missing.exit, 1);
    EXPECT_THAT(text(missing.json(), "message"), HasSubstr("/nonexistent: No such file"));
    const auto empty = orchestrator({"contracts", "export", "--check", directory_.path().string()});
    EXPECT_EQ(empty.exit, 2);
    EXPECT_THAT(text(empty.json(), "message"), HasSubstr("asyncapi.json"));
    ASSERT_TRUE(posix::replace_file(directory_ / "package.json", "{}", 0644));
    const auto other = orchestrator({"contracts", "export", "--check", directory_.path().string()});
    EXPECT_EQ(other.exit, 2);
    EXPECT_THAT(text(other.json(), "message"), HasSubstr("holds no document that export writes"));
    fs::create_directory(directory_.path() / "dto");
    ASSERT_TRUE(posix::replace_file(directory_ / "dto/User.json", "not json", 0644));
    const auto broken = orchestrator({"contracts", "export", "--check", directory_.path().string()});
    EXPECT_EQ(broken.exit, 1);
    EXPECT_THAT(text(broken.json(), "message"), HasSubstr("dto/User.json: invalid JSON at byte"));
    EXPECT_EQ(orchestrator({"contracts", "export", "--directory", "/proc/nothing/here"}).exit, 1);
}

}  // namespace
}  // namespace codegen::cli::testing
