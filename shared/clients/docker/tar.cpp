#include "shared/clients/docker/tar.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "shared/posix/fd.hpp"
#include "shared/posix/file.hpp"

namespace codegen::clients {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kPiece = 256u << 10;

struct OpenFile {
    posix::Fd fd;
    std::uint64_t size = 0;
};

Result<OpenFile> open_file(const std::filesystem::path& file) {
    OpenFile opened{posix::Fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC))};
    if (!opened.fd) return posix::errno_error("open " + file.string(), errno);
    struct stat status{};
    if (::fstat(opened.fd.get(), &status) != 0) return posix::errno_error("stat " + file.string(), errno);
    opened.size = static_cast<std::uint64_t>(status.st_size);
    return opened;
}

Result<std::string> read_piece(int fd, std::size_t limit, const std::filesystem::path& file) {
    std::string piece(limit, '\0');
    ssize_t n;
    do n = ::read(fd, piece.data(), piece.size());
    while (n < 0 && errno == EINTR);
    if (n < 0) return posix::errno_error("read " + file.string(), errno);
    piece.resize(static_cast<std::size_t>(n));
    return piece;
}

void put(std::string& header, std::size_t at, std::string_view text) { header.replace(at, text.size(), text); }

std::string header(const TarEntry& entry, std::uint64_t size) {
    bool directory = entry.kind == TarEntry::Kind::directory;
    std::string block(kBlock, '\0');
    put(block, 0, directory ? entry.name + "/" : entry.name);
    put(block, 100, fmt::format("{:07o}", entry.mode));
    put(block, 108, "0000000");
    put(block, 116, "0000000");
    if (size < (1ull << 33)) {
        put(block, 124, fmt::format("{:011o}", size));
    } else {
        block[124] = static_cast<char>(0x80);
        for (std::size_t i = 0; i < 8; ++i) block[135 - i] = static_cast<char>(size >> (8 * i));
    }
    put(block, 136, fmt::format("{:011o}", 1'000'000'000));
    block[156] = directory ? '5' : '0';
    put(block, 257, std::string_view("ustar\00000", 8));
    put(block, 148, "        ");
    unsigned sum = 0;
    for (char c : block) sum += static_cast<unsigned char>(c);
    put(block, 148, fmt::format("{:06o}", sum));
    block[154] = '\0';
    block[155] = ' ';
    return block;
}

std::string padding(std::uint64_t size) { return std::string((kBlock - size % kBlock) % kBlock, '\0'); }

class TarStream {
  public:
    explicit TarStream(std::vector<TarEntry> entries) : entries_(std::move(entries)) {}

    Result<std::string> next() {
        if (open_) return next_of_file();
        if (at_ == entries_.size()) {
            if (std::exchange(ended_, true)) return std::string();
            return std::string(2 * kBlock, '\0');
        }
        const TarEntry& entry = entries_[at_];
        if (entry.name.empty() || entry.name.size() > 98 || entry.name.front() == '/')
            return fail(ErrorCategory::permanent, "invalid",
                        fmt::format("tar entry \"{}\": a name is relative and has 1 to 98 bytes", entry.name));
        if (!entry.file.empty()) {
            auto opened = open_file(entry.file);
            if (!opened) return std::unexpected(opened.error());
            open_ = std::move(*opened);
            left_ = open_->size;
            return header(entry, open_->size);
        }
        ++at_;
        return header(entry, entry.content.size()) + entry.content + padding(entry.content.size());
    }

  private:
    Result<std::string> next_of_file() {
        const TarEntry& entry = entries_[at_];
        if (left_ == 0) {
            std::string end = padding(open_->size);
            open_.reset();
            ++at_;
            return end.empty() ? next() : Result<std::string>(std::move(end));
        }
        auto piece =
            read_piece(open_->fd.get(), static_cast<std::size_t>(std::min<std::uint64_t>(kPiece, left_)), entry.file);
        if (piece && piece->empty())
            return fail(ErrorCategory::permanent, "io", entry.file.string() + " became shorter while it was sent");
        if (piece) left_ -= piece->size();
        return piece;
    }

    std::vector<TarEntry> entries_;
    std::size_t at_ = 0;
    std::optional<OpenFile> open_;
    std::uint64_t left_ = 0;
    bool ended_ = false;
};

}  // namespace

BodySource tar_source(std::vector<TarEntry> entries) {
    return [stream = std::make_shared<TarStream>(std::move(entries))] { return stream->next(); };
}

BodySource file_source(const std::filesystem::path& file) {
    return [opened = std::make_shared<Result<OpenFile>>(open_file(file)), file]() -> Result<std::string> {
        if (!*opened) return std::unexpected(opened->error());
        return read_piece((*opened)->fd.get(), kPiece, file);
    };
}

}  // namespace codegen::clients
