#include "services/worker-manager/runtime/own_image.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "shared/testing/temp_directory.hpp"

namespace codegen::worker_manager {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string refusal(const OwnImageFacts& facts, const OwnImageNeeds& needs) {
    auto checked = check_own_image("acme/tools:1", facts, needs);
    if (checked) return {};
    EXPECT_EQ(checked.error().code, "invalid");
    EXPECT_EQ(checked.error().path, "config.image");
    EXPECT_THAT(checked.error().message, ::testing::StartsWith("config.image acme/tools:1: "));
    return checked.error().message;
}

TEST(OwnImage, NeedsNothingForWorkWithoutARepository) {
    EXPECT_EQ(refusal({.os = "linux", .machine = "amd64"}, {.machine = "amd64"}), "");
    EXPECT_EQ(refusal({}, {.machine = "amd64"}), "") << "what an image does not say is not held against it";
}

TEST(OwnImage, IsToldWhatIsMissing) {
    EXPECT_THAT(refusal({.os = "windows"}, {}), HasSubstr("is an image for windows"));
    EXPECT_THAT(refusal({.os = "linux", .machine = "arm64"}, {.machine = "amd64"}),
                HasSubstr("is an image for arm64, this host is amd64"));
    EXPECT_THAT(refusal({}, {.git = true}), HasSubstr("has no git"));
    EXPECT_EQ(refusal({.git = true}, {.git = true}), "");
    const OwnImageNeeds glibc{.loader = "/lib64/ld-linux-x86-64.so.2", .agent = "claude"};
    EXPECT_THAT(refusal({}, glibc), HasSubstr("has no /lib64/ld-linux-x86-64.so.2, which the program of claude needs"));
    EXPECT_EQ(refusal({.loader = true}, glibc), "");
}

TEST(OwnImage, ALoaderIsReadFromTheProgram) {
    EXPECT_THAT(loader_of("/bin/sh"), ::testing::MatchesRegex("/lib.*/ld-.*\\.so\\..*"));
    EXPECT_EQ(loader_of("/bin/busybox"), "") << "static: apt-get install busybox-static";
    testing::TempDirectory directory;
    std::ofstream(directory / "script") << "#!/bin/sh\n";
    std::ofstream(directory / "cut") << "\177ELF\2";
    EXPECT_EQ(loader_of(directory / "script"), "");
    EXPECT_EQ(loader_of(directory / "cut"), "");
    EXPECT_EQ(loader_of(directory / "none"), "");
}

TEST(OwnImage, ItsPathAndVariablesAreKept) {
    EXPECT_THAT(image_path({"PATH=/usr/local/go/bin:/usr/bin:relative::/ours"}, "/ours", {"/bin"}),
                ElementsAre("/ours", "/usr/local/go/bin", "/usr/bin"));
    EXPECT_THAT(image_path({"GOPATH=/go"}, "/ours", {"/usr/bin", "/bin"}), ElementsAre("/ours", "/usr/bin", "/bin"));
    EXPECT_THAT(image_path({"PATH="}, "/ours", {"/bin"}), ElementsAre("/ours"));
    EXPECT_THAT(
        image_environment({"PATH=/x", "GOPATH=/go", "EMPTY=", "A=b=c", "=x", "BARE"}),
        ElementsAre(std::pair("A", "b=c"), std::pair("BARE", ""), std::pair("EMPTY", ""), std::pair("GOPATH", "/go")));
}

}  // namespace
}  // namespace codegen::worker_manager
