// The process table as /proc has it, read whole; for killing trees.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace codegen::process {

struct ProcessEntry {
    int pid = 0;
    int parent = 0;
    int session = 0;
    char state = '?';           // as in proc(5); Z and X: ended
    std::uint64_t started = 0;  // clock ticks since boot

    bool alive() const { return state != 'Z' && state != 'X'; }
};

// One line of /proc/<pid>/stat. The command name in it may hold blanks and parentheses.
std::optional<ProcessEntry> parse_stat(std::string_view line);
std::optional<ProcessEntry> read_process(int pid);
std::vector<ProcessEntry> list_processes();

// The live members of the tree of `root` without itself: descendants of it, members of its session, their descendants.
// Empty when the pid belongs to a later process than the one that started at `started`.
std::vector<ProcessEntry> tree_members(const std::vector<ProcessEntry>& all, int root, std::uint64_t started);

}  // namespace codegen::process
