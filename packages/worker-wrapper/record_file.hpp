// A file that people read later (the manager's people/record.hpp): grows to half of its limit, then becomes NAME.1 and
// a new one begins; the former NAME.1 goes. What cannot be written is lost: a full disk must not stop the worker.
#pragma once
#include <cstddef>
#include <filesystem>
#include <string_view>

#include "shared/posix/fd.hpp"

namespace codegen::wrapper {

class RecordFile {
  public:
    // 0: nothing is ever written.
    RecordFile(std::filesystem::path path, std::size_t limit) : path_(std::move(path)), half_(limit / 2) {}
    // One piece, never split over two files, unless it alone is beyond half of the limit: then its end is left out.
    void append(std::string_view piece);

  private:
    bool open();
    const std::filesystem::path path_;
    const std::size_t half_;
    posix::Fd file_;
    std::size_t size_ = 0;
};

}  // namespace codegen::wrapper
