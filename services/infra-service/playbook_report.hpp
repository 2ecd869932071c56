// What ansible-playbook said through playbooks/callback/codegen_events.py: one JSON object a line. No I/O.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace codegen::infra {

struct PlaybookFailure {
    std::string play;
    std::string task;
    std::string host;
    std::string message;
    bool unreachable = false;  // the connection broke, nothing failed
    std::string describe() const;
};

struct HostCounts {
    std::int64_t ok = 0;
    std::int64_t changed = 0;
    std::int64_t failures = 0;
    std::int64_t unreachable = 0;
    std::int64_t skipped = 0;
};

// What the server has, as far as the playbook looked. Zero: unknown.
struct HostFacts {
    std::int64_t cpus = 0;
    std::int64_t ram_mb = 0;
    std::int64_t ram_free_mb = 0;
    std::int64_t disk_mb = 0;
    std::int64_t disk_free_mb = 0;
    std::string system;
};

class PlaybookReport {
  public:
    enum class Step { other, started, task };
    // Any line of the program; what is none of ours is kept as the last words where it came without an event.
    Step on_line(std::string_view line);

    int pid() const { return pid_; }                   // of ansible-playbook; 0: it has not said so yet
    const std::string& play() const { return play_; }  // where it is now
    const std::string& task() const { return task_; }
    const std::optional<PlaybookFailure>& failure() const { return failure_; }  // the first one
    const std::map<std::string, HostCounts>& hosts() const { return hosts_; }   // complete once it ended
    const std::optional<HostFacts>& facts() const { return facts_; }
    const std::vector<std::string>& skipped() const { return skipped_; }  // tasks
    const std::string& last_words() const { return last_words_; }
    // Every host in it came through.
    bool clean() const;
    std::string counts_text() const;  // "ok=20 changed=3 skipped=1 (Enable nftables)"

  private:
    int pid_ = 0;
    std::string play_;
    std::string task_;
    std::optional<PlaybookFailure> failure_;
    std::map<std::string, HostCounts> hosts_;
    std::optional<HostFacts> facts_;
    std::vector<std::string> skipped_;
    std::string last_words_;
};

}  // namespace codegen::infra
