// For tests: an image of a few megabytes made from this host's shell and a few of its programs, removed at the end. No
// registry is needed. Blocking; not for use on an io_context that runs.
#pragma once
#include <map>
#include <string>

namespace codegen::testing {

class TinyImage {
  public:
    // `scripts`: path without leading slash -> content, executable. Throws when it cannot be made.
    explicit TinyImage(const std::map<std::string, std::string>& scripts = {});
    ~TinyImage();
    TinyImage(const TinyImage&) = delete;
    const std::string& tag() const { return tag_; }

  private:
    std::string tag_;
};

}  // namespace codegen::testing
