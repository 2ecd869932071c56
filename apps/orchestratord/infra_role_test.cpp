#include "apps/orchestratord/infra_role.hpp"

#include <gmock/gmock.h>

#include "shared/posix/file.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::orchestratord {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Configuration configured(const std::map<std::string, std::string>& flags) {
    return Configuration::load(
               flags, [](std::string_view) { return std::optional<std::string>(); }, std::nullopt)
        .value();
}

TEST(InfraRole, SettingsAreCheckedAtTheStart) {
    const codegen::testing::TempDirectory directory;
    const auto state = StateDirectory::open(directory / "state");
    ASSERT_TRUE(state) << state.error().message;
    const auto defaults = infra_options(configured({}), *state);
    ASSERT_TRUE(defaults) << defaults.error().message;
    EXPECT_THAT(defaults->work.open_ports, ElementsAre(80, 443));
    EXPECT_EQ(defaults->work.time_limit, std::chrono::minutes(15));
    EXPECT_EQ(defaults->work.folder, *state / "infra");
    const auto own =
        infra_options(configured({{"PROVISION_PORTS", "8080, 9000"}, {"PROVISION_PARALLEL", "1"}}), *state);
    ASSERT_TRUE(own);
    EXPECT_THAT(own->work.open_ports, ElementsAre(8080, 9000));
    EXPECT_EQ(own->provisioner.parallel, 1u);
    for (const auto* ports : {"http", "0", "65536", "80,,443", "80;443"}) {
        const auto refused = infra_options(configured({{"PROVISION_PORTS", ports}}), *state);
        ASSERT_FALSE(refused) << ports;
        EXPECT_EQ(refused.error().category, ErrorCategory::fatal);
        EXPECT_THAT(refused.error().message, HasSubstr("PROVISION_PORTS is \"" + std::string(ports) + "\""));
    }
}

TEST(InfraRole, ItsTokenComesFromTheSettingOrTheFile) {
    const codegen::testing::TempDirectory directory;
    const auto state = StateDirectory::open(directory / "state");
    ASSERT_TRUE(state);
    const auto missing = infra_token(configured({}), *state);
    ASSERT_FALSE(missing);
    EXPECT_THAT(missing.error().message, HasSubstr("start the api role first, or set INFRA_TOKEN"));
    ASSERT_TRUE(posix::write_file_atomically(*state / "infra.token", "from-file\n", 0600));
    EXPECT_EQ(infra_token(configured({}), *state).value(), "from-file");
    EXPECT_EQ(infra_token(configured({{"INFRA_TOKEN", "given"}}), *state).value(), "given");
}

}  // namespace
}  // namespace codegen::orchestratord
