// The two ends of a child's standard streams.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "packages/worker-wrapper/loop.hpp"
#include "shared/base/result.hpp"

namespace codegen::wrapper {

// Reads what the child writes.
class PipeReader {
  public:
    using OnData = std::function<void(std::string_view)>;
    PipeReader(Loop& loop, OnData on_data) : loop_(loop), on_data_(std::move(on_data)) {}
    ~PipeReader() { close(); }
    PipeReader(const PipeReader&) = delete;

    Result<posix::Fd> open();  // the child's end
    // What is in the pipe now, then closes it: for the time when nobody can write any more.
    void drain();
    void close();

  private:
    bool read_some();  // false: nothing now, or the end
    Loop& loop_;
    const OnData on_data_;
    posix::Fd fd_;
};

// Writes a text to the child, then end of file. A child that closes its end early is no error.
class PipeWriter {
  public:
    explicit PipeWriter(Loop& loop) : loop_(loop) {}
    ~PipeWriter() { close(); }
    PipeWriter(const PipeWriter&) = delete;

    Result<posix::Fd> open(std::string text);  // the child's end
    void close();

  private:
    void write_some();
    Loop& loop_;
    posix::Fd fd_;
    std::string text_;
    std::size_t written_ = 0;
};

}  // namespace codegen::wrapper
