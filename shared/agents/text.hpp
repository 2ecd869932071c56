// Output of strangers made safe for JSON and bounded. Pure.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "shared/base/utf8.hpp"

namespace codegen::agents {

using codegen::valid_utf8;
std::string shortened(std::string_view utf8, std::size_t max_bytes);  // cut between characters

// Bytes in, lines out (without their end; "\r\n" counts as one). A line beyond `limit` is handed over cut, once.
class LineSplitter {
  public:
    explicit LineSplitter(std::size_t limit) : limit_(limit) {}
    using OnLine = std::function<void(std::string_view line, bool cut)>;
    void feed(std::string_view bytes, const OnLine& on_line);
    void finish(const OnLine& on_line);  // the last line, when it has no end

  private:
    void hand_over(std::string_view line, const OnLine& on_line);
    const std::size_t limit_;
    std::string pending_;
    bool overflow_ = false;
};

}  // namespace codegen::agents
