#include "shared/command_line/usage.hpp"

#include <gmock/gmock.h>

namespace codegen::command_line {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class UsageTest : public ::testing::Test {
  protected:
    UsageTest() {
        app_.require_subcommand(1);
        app_.fallthrough();
        app_.add_flag("--text", text_);
        auto* project = app_.add_subcommand("project");
        project->require_subcommand(1);
        auto* create = project->add_subcommand("create");
        create->add_option("--name", name_)->required();
        create->add_option("--timeout", timeout_)->check(above_zero());
        create->add_option("--budget", budget_)->check(above_zero());
        project->add_subcommand("list");
    }
    std::optional<Misuse> misuse(std::vector<const char*> words) {
        words.insert(words.begin(), "tool");
        const int count = static_cast<int>(words.size());
        if (auto forgotten = forgotten_value(app_, count, words.data())) return forgotten;
        try {
            app_.parse(count, words.data());
        } catch (const CLI::ParseError& error) {
            return explain(app_, error);
        }
        return std::nullopt;
    }
    std::string message(std::vector<const char*> words) { return misuse(std::move(words)).value_or(Misuse{}).message; }

    CLI::App app_{"", "tool"};
    bool text_ = false;
    std::string name_;
    int timeout_ = 0;
    double budget_ = 0;
};

TEST_F(UsageTest, AnUnknownCommandIsNamedWithThoseThatThereAre) {
    EXPECT_EQ(message({"foo"}), "\"foo\" is no command of tool, expected one of project");
    const auto below = misuse({"project", "creat"});
    ASSERT_TRUE(below);
    EXPECT_EQ(below->message, "\"creat\" is no command of tool project, expected one of create, list");
    EXPECT_EQ(below->command, "tool project");
    EXPECT_EQ(message({"project"}), "tool project needs a command: one of create, list");
}

TEST_F(UsageTest, AnUnknownOptionIsNamedBesideWhatIsMissing) {
    EXPECT_THAT(message({"project", "create", "--nam", "x"}),
                AllOf(HasSubstr("--nam"), HasSubstr("--name is required")));
    EXPECT_EQ(misuse({"project", "create"})->command, "tool project create");
}

TEST_F(UsageTest, NumbersAreAskedForInWords) {
    EXPECT_EQ(message({"project", "create", "--name", "x", "--timeout", "0.5"}),
              "--timeout is \"0.5\": expected a whole number");
    EXPECT_THAT(message({"project", "create", "--name", "x", "--timeout", "0"}),
                HasSubstr("\"0\": expected a number above 0"));
    EXPECT_THAT(message({"project", "create", "--name", "x", "--budget", "nan"}),
                HasSubstr("\"nan\": expected a number above 0"));
}

TEST_F(UsageTest, AForgottenValueTakesNoOption) {
    EXPECT_THAT(message({"project", "create", "--name", "--text"}),
                AllOf(HasSubstr("--name has no value"), HasSubstr("--name=--text")));
    EXPECT_THAT(message({"project", "create", "--name", "--timeout=3"}), HasSubstr("--name has no value"));
}

TEST_F(UsageTest, AValueThatOnlyLooksLikeOneIsTaken) {
    EXPECT_FALSE(misuse({"project", "create", "--name=--text"}));
    EXPECT_EQ(name_, "--text");
}

}  // namespace
}  // namespace codegen::command_line
