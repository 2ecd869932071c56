// What a worker leaves for people to read, as files of one directory: while it lives its state directory, where its
// wrapper writes them (packages/worker-wrapper/record_file.hpp), afterwards what Evidence kept. The newer half of a
// record is in its file, the older one in the same name with ".1". Nothing here redacts.
#pragma once
#include <boost/describe/enum.hpp>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "shared/base/result.hpp"
#include "shared/posix/fd.hpp"

namespace codegen::worker_manager {

// log: what the wrapper says, JSON lines. transcript: AgentEvent, JSON lines. output: what the agent printed, as it
// came, both streams.
BOOST_DEFINE_ENUM_CLASS(Record, log, transcript, output)

std::string_view file_name(Record record);
inline constexpr std::string_view kOlderHalf = ".1";

// All of it, the oldest first; "" when there is none. Of a file beyond `limit` the last bytes, from a line's begin.
std::string read_record(const std::filesystem::path& directory, Record record, std::size_t limit);

// The last `lines` lines; 0: all.
std::string_view last_lines(std::string_view text, std::size_t lines);

// Reads a record on as it grows, also across its rotation and the removal of its directory.
class RecordFollower {
  public:
    RecordFollower(std::filesystem::path directory, Record record, std::size_t limit);
    // First what there is, later what has come since; whole lines only, but for the last words (`all`).
    std::string take(bool all);

  private:
    std::string read_on();
    const std::filesystem::path directory_;
    const Record record_;
    const std::size_t limit_;
    posix::Fd file_;
    std::uint64_t inode_ = 0;
    bool begun_ = false;
    std::string unfinished_;
};

}  // namespace codegen::worker_manager
