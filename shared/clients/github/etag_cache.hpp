// Answers that GitHub may confirm with 304 instead of sending them again, which costs nothing of the rate limit.
// No I/O.
#pragma once
#include <list>
#include <map>
#include <string>
#include <string_view>

#include "shared/http/message.hpp"

namespace codegen::clients::github {

class EtagCache {
  public:
    explicit EtagCache(std::size_t bytes) : limit_(bytes) {}

    struct Entry {
        std::string key;
        std::string etag;
        http::Response response;
    };
    // nullptr: none. Valid until the next call of anything but this.
    const Entry* find(std::string_view key);
    // Kept when it is 200 with an ETag, in place of an older one; the least recently used go beyond the limit.
    void keep(std::string key, const http::Response& response);
    std::size_t bytes() const { return bytes_; }

  private:
    using Entries = std::list<Entry>;  // the most recently used first
    void drop(Entries::iterator entry);

    const std::size_t limit_;
    std::size_t bytes_ = 0;
    Entries entries_;
    std::map<std::string, Entries::iterator, std::less<>> by_key_;
};

}  // namespace codegen::clients::github
