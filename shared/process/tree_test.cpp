#include "shared/process/tree.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include "shared/process/process.hpp"

namespace codegen::process {
namespace {

using ::testing::UnorderedElementsAre;

std::vector<int> pids(const std::vector<ProcessEntry>& entries) {
    std::vector<int> result;
    for (const auto& entry : entries) result.push_back(entry.pid);
    return result;
}

TEST(Tree, ReadsAStatLineWhoseNameLooksLikeFields) {
    const auto entry = parse_stat(
        "42 (a) S 1 (b) ) R 7 8 9 34816 1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 123456 1000 2 18446744073709551615\n");
    ASSERT_TRUE(entry);
    EXPECT_EQ(entry->pid, 42);
    EXPECT_EQ(entry->state, 'R');
    EXPECT_EQ(entry->parent, 7);
    EXPECT_EQ(entry->session, 9);
    EXPECT_EQ(entry->started, 123456u);
}

TEST(Tree, RefusesWhatIsNotAStatLine) {
    for (const auto* line : {"", "42", "42 (a)", "42 (a) ", "x (a) S 1 1 1", "42 (a) S 1 1 1 0", "42 )a( S 1 2 3"}) {
        EXPECT_FALSE(parse_stat(line)) << line;
    }
}

TEST(Tree, ReadsItself) {
    const auto self = read_process(::getpid());
    ASSERT_TRUE(self);
    EXPECT_EQ(self->parent, ::getppid());
    EXPECT_EQ(self->session, ::getsid(0));
    EXPECT_TRUE(self->alive());
    EXPECT_EQ(start_time(::getpid()), self->started);
    EXPECT_FALSE(read_process(0x7ffffff0));
}

TEST(Tree, FindsDescendantsAndSessionMembers) {
    const std::vector<ProcessEntry> all{
        {1, 0, 1, 'S', 1},        {100, 50, 100, 'S', 10},  // the root
        {104, 103, 104, 'S', 14},  // a descendant with a session of its own, listed before its parent
        {101, 100, 100, 'S', 11}, {102, 101, 100, 'Z', 12},
        {103, 102, 103, 'S', 13}, {105, 1, 100, 'S', 15},   // an orphan that stayed in the session
        {106, 105, 106, 'S', 16}, {200, 50, 200, 'S', 20},  // somebody else's
    };
    EXPECT_THAT(pids(tree_members(all, 100, 10)), UnorderedElementsAre(101, 103, 104, 105, 106));
    EXPECT_THAT(pids(tree_members(all, 100, 9)), UnorderedElementsAre()) << "a later process with that pid";
    EXPECT_THAT(pids(tree_members(all, 300, 9)), UnorderedElementsAre());
}

}  // namespace
}  // namespace codegen::process
