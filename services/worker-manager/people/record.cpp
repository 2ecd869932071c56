#include "services/worker-manager/people/record.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "shared/posix/file.hpp"

namespace codegen::worker_manager {
namespace {

namespace fs = std::filesystem;

std::uint64_t inode_of(const posix::Fd& file) {
    struct stat st{};
    return ::fstat(file.get(), &st) == 0 ? st.st_ino : 0;
}

std::string read_on_from(const posix::Fd& file, std::size_t limit) {
    std::string out;
    char buffer[64u << 10];
    while (out.size() < limit) {
        const auto n = ::read(file.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        out.append(buffer, static_cast<std::size_t>(n));
    }
    return out;
}

// The last `limit` bytes, from a line's begin when something is left out.
std::string read_end(const posix::Fd& file, std::size_t limit) {
    struct stat st{};
    const auto size = ::fstat(file.get(), &st) == 0 ? static_cast<std::size_t>(st.st_size) : 0;
    const bool cut = size > limit;
    if (cut && ::lseek(file.get(), static_cast<off_t>(size - limit), SEEK_SET) < 0) return {};
    auto text = read_on_from(file, limit + (64u << 10));
    if (cut) text.erase(0, std::min(text.find('\n'), text.size() - 1) + 1);
    return text;
}

fs::path path_of(const fs::path& directory, Record record, bool older) {
    std::string name(file_name(record));
    if (older) name += kOlderHalf;
    return directory / name;
}

}  // namespace

std::string_view file_name(Record record) {
    switch (record) {
        case Record::log:
            return "wrapper.log";
        case Record::transcript:
            return "transcript.ndjson";
        case Record::output:
            break;
    }
    return "output.log";
}

std::string read_record(const fs::path& directory, Record record, std::size_t limit) {
    return RecordFollower(directory, record, limit).take(true);
}

std::string_view last_lines(std::string_view text, std::size_t lines) {
    if (lines == 0 || text.empty()) return text;
    auto end = text.size() - 1;  // a newline at the end belongs to the last line
    while (end > 0) {
        const auto newline = text.rfind('\n', end - 1);
        if (newline == std::string_view::npos) return text;
        if (--lines == 0) return text.substr(newline + 1);
        end = newline;
    }
    return text;
}

RecordFollower::RecordFollower(fs::path directory, Record record, std::size_t limit)
    : directory_(std::move(directory)), record_(record), limit_(limit) {}

std::string RecordFollower::read_on() {
    std::string out;
    if (!begun_) {
        auto current = posix::open_regular(path_of(directory_, record_, false));
        if (!current) return out;
        begun_ = true;
        file_ = std::move(*current);
        inode_ = inode_of(file_);
        // Rotated between the two: what is older now is what was just opened.
        if (auto older = posix::open_regular(path_of(directory_, record_, true)); older && inode_of(*older) != inode_)
            out = read_end(*older, limit_);
        return out + read_end(file_, limit_);
    }
    out = read_on_from(file_, limit_);
    auto current = posix::open_regular(path_of(directory_, record_, false));
    if (!current || inode_of(*current) == inode_) return out;
    out += read_on_from(file_, limit_);  // written before the rotation
    file_ = std::move(*current);
    inode_ = inode_of(file_);
    return out + read_on_from(file_, limit_);
}

std::string RecordFollower::take(bool all) {
    auto text = std::exchange(unfinished_, {}) + read_on();
    if (all) return text;
    const auto end = text.rfind('\n');
    // A line without end is shown when it has grown long: nothing may pile up here.
    constexpr std::size_t kLongestLine = 1u << 20;
    if (end == std::string::npos && text.size() > kLongestLine) return text;
    const auto whole = end == std::string::npos ? 0 : end + 1;
    unfinished_ = text.substr(whole);
    text.resize(whole);
    return text;
}

}  // namespace codegen::worker_manager
