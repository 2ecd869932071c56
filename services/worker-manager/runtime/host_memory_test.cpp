#include "services/worker-manager/runtime/host_memory.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "shared/testing/temp_directory.hpp"

namespace codegen::worker_manager {
namespace {

constexpr std::int64_t kMiB = 1 << 20;

TEST(HostMemory, IsReadFromTheKernelsTable) {
    const auto memory = parse_meminfo("MemTotal:        8388608 kB\nMemFree:  1 kB\nMemAvailable:    2097152 kB\n");
    ASSERT_TRUE(memory);
    EXPECT_EQ(memory->total, 8192 * kMiB);
    EXPECT_EQ(memory->available, 2048 * kMiB);
    EXPECT_FALSE(parse_meminfo("MemTotal: 8388608 kB\n"));
    EXPECT_FALSE(parse_meminfo(""));
}

TEST(HostMemory, IsThereOnThisHost) {
    const auto memory = read_host_memory(true);
    ASSERT_TRUE(memory);
    EXPECT_GT(memory->available, 0);
    EXPECT_LE(memory->available, memory->total);
    EXPECT_LE(memory->total, read_host_memory(false)->total);
}

class Groups : public ::testing::Test {
  protected:
    void group(const std::string& path, std::map<std::string, std::string> files) {
        std::filesystem::create_directories(directory_ / path);
        files["cgroup.procs"] = "";
        for (const auto& [name, text] : files) std::ofstream(directory_ / path / name) << text;
    }
    testing::TempDirectory directory_;
};

TEST_F(Groups, TheLowestLimitAboveUsBindsLessWhatIsUsed) {
    group("a", {{"memory.max", std::to_string(1000 * kMiB)},
                {"memory.current", std::to_string(700 * kMiB)},
                {"memory.stat", "anon 1\nactive_file 5\ninactive_file " + std::to_string(200 * kMiB) + "\n"}});
    group("a/b", {{"memory.max", "max\n"}, {"memory.current", "1\n"}});
    const CgroupBase ours{CgroupBase::Kind::unified, directory_ / "a/b"};
    const auto memory = within_cgroup({8000 * kMiB, 4000 * kMiB}, ours);
    EXPECT_EQ(memory.total, 1000 * kMiB);
    EXPECT_EQ(memory.available, 500 * kMiB);
    EXPECT_EQ(within_cgroup({8000 * kMiB, 100 * kMiB}, ours).available, 100 * kMiB);
    group("a/b", {{"memory.max", std::to_string(10 * kMiB)}, {"memory.current", std::to_string(20 * kMiB)}});
    EXPECT_EQ(within_cgroup({8000 * kMiB, 4000 * kMiB}, ours).available, 0);
}

TEST_F(Groups, VersionOneHasOtherNamesAndAHugeNumberForNone) {
    group("a", {{"memory.limit_in_bytes", std::to_string(1000 * kMiB)},
                {"memory.usage_in_bytes", std::to_string(900 * kMiB)},
                {"memory.stat", "inactive_file 7\ntotal_inactive_file " + std::to_string(100 * kMiB) + "\n"}});
    group("none", {{"memory.limit_in_bytes", "9223372036854771712"}, {"memory.usage_in_bytes", "5"}});
    const HostMemory host{8000 * kMiB, 4000 * kMiB};
    EXPECT_EQ(within_cgroup(host, {CgroupBase::Kind::memory, directory_ / "a"}).available, 200 * kMiB);
    EXPECT_EQ(within_cgroup(host, {CgroupBase::Kind::memory, directory_ / "none"}).available, 4000 * kMiB);
}

}  // namespace
}  // namespace codegen::worker_manager
