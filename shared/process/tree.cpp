#include "shared/process/tree.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <set>
#include <string>

#include "shared/posix/fd.hpp"
#include "shared/process/process.hpp"

namespace codegen::process {
namespace {

// Rounds of "list, kill what is there": a tree that forks faster than this dies with its processes stopped.
constexpr int kMaxRounds = 500;

template <class T>
bool parse_number(std::string_view text, T& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

// The pidfd pins the process before its start time is compared: a reused pid is never hit.
void signal_exactly(const ProcessEntry& process, int number) {
    const posix::Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process.pid, 0)));
    if (!pidfd) return;
    if (start_time(process.pid) != process.started) return;
    ::syscall(SYS_pidfd_send_signal, pidfd.get(), number, nullptr, 0);
}

}  // namespace

std::optional<ProcessEntry> parse_stat(std::string_view line) {
    ProcessEntry entry;
    const auto open = line.find(" (");
    const auto close = line.rfind(") ");
    if (open == line.npos || close == line.npos || close < open) return std::nullopt;
    if (!parse_number(line.substr(0, open), entry.pid)) return std::nullopt;
    line.remove_prefix(close + 2);
    // Fields from the third on (proc(5)): state ppid pgrp session ...; the 22nd is the start time.
    for (int field = 3; field <= 22; ++field) {
        const auto word = line.substr(0, line.find_first_of(" \n"));
        bool good = !word.empty();
        if (field == 3 && good) entry.state = word[0];
        if (field == 4) good = parse_number(word, entry.parent);
        if (field == 6) good = parse_number(word, entry.session);
        if (field == 22) good = parse_number(word, entry.started);
        if (!good) return std::nullopt;
        line.remove_prefix(std::min(line.size(), word.size() + 1));
    }
    return entry;
}

std::optional<ProcessEntry> read_process(int pid) {
    std::array<char, 32> path{"/proc/"};
    auto* end = std::to_chars(path.data() + 6, path.data() + 20, pid).ptr;
    std::copy_n("/stat", 6, end);
    const posix::Fd file(::open(path.data(), O_RDONLY | O_CLOEXEC));
    if (!file) return std::nullopt;
    std::array<char, 1024> buffer;
    const auto size = ::read(file.get(), buffer.data(), buffer.size());
    if (size <= 0) return std::nullopt;
    return parse_stat({buffer.data(), static_cast<std::size_t>(size)});
}

std::vector<ProcessEntry> list_processes() {
    std::vector<ProcessEntry> all;
    std::error_code error;
    for (auto it = std::filesystem::directory_iterator("/proc", error); !error && it != end(it); it.increment(error)) {
        int pid = 0;
        if (!parse_number(it->path().filename().native(), pid)) continue;
        if (auto entry = read_process(pid)) all.push_back(*entry);
    }
    return all;
}

std::vector<ProcessEntry> tree_members(const std::vector<ProcessEntry>& all, int root, std::uint64_t started) {
    // The kernel keeps a pid number out of use while it names a session, so members of session `root` are ours unless
    // a later process got the number after the whole session had ended.
    for (const auto& entry : all)
        if (entry.pid == root && entry.started != started) return {};
    std::set<int> pids{root};
    std::vector<ProcessEntry> members;
    for (bool grew = true; grew;) {
        grew = false;
        for (const auto& entry : all) {
            if (entry.pid == ::getpid() || (entry.session != root && !pids.contains(entry.parent))) continue;
            if (!pids.insert(entry.pid).second) continue;
            grew = true;
            if (entry.alive()) members.push_back(entry);
        }
    }
    return members;
}

void kill_process_tree(int pid, std::uint64_t started) {
    const ProcessEntry root{pid, 0, 0, '?', started};
    // Stopped, the root forks no more, and as a subreaper it stays the parent of every orphan that the killing makes.
    signal_exactly(root, SIGSTOP);
    for (int round = 0; round < kMaxRounds; ++round) {
        const auto members = tree_members(list_processes(), pid, started);
        if (members.empty()) break;
        for (const auto& member : members) signal_exactly(member, SIGKILL);
        ::sched_yield();
    }
    signal_exactly(root, SIGKILL);
}

std::optional<std::uint64_t> start_time(int pid) {
    const auto entry = read_process(pid);
    if (!entry) return std::nullopt;
    return entry->started;
}

}  // namespace codegen::process
