// RESP2, the Redis protocol, without I/O: used by the Asio client, the gateway and the worker-wrapper alike.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.hpp"

namespace codegen::redis {

using Arguments = std::vector<std::string>;

// One reply, or one command as a server sees it (an array of bulk strings).
struct Reply {
    enum class Type { nil, string, status, error, integer, array } type = Type::nil;
    std::string text;             // string, status, error
    std::int64_t integer = 0;     // integer
    std::vector<Reply> elements;  // array

    bool is_nil() const { return type == Type::nil; }
    bool is_error() const { return type == Type::error; }
};

void encode_command(std::string& out, std::span<const std::string> arguments);
std::string encode_reply(const Reply& reply);

// Feed bytes, take whole replies. Limits nesting and sizes: bulk 512 MB as the server; a violation is a permanent
// "protocol" error and the reader is unusable afterwards.
class ReplyReader {
  public:
    ReplyReader();
    ~ReplyReader();
    ReplyReader(ReplyReader&&) noexcept;
    ReplyReader& operator=(ReplyReader&&) noexcept;

    void feed(std::string_view bytes);
    Result<std::optional<Reply>> next();  // nullopt: not complete yet

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// The entries of an XREADGROUP / XREAD / XRANGE / XAUTOCLAIM reply.
struct StreamEntry {
    std::string stream;
    std::string id;
    std::vector<std::pair<std::string, std::string>> fields;
    const std::string* field(std::string_view name) const;
};
std::vector<StreamEntry> parse_xread(const Reply& reply);  // [[stream, [[id, [f, v, ...]]]]]
std::vector<StreamEntry> parse_entries(const Reply& reply,
                                       std::string_view stream);  // [[id, [f, v, ...]]]; deleted (nil) are left out

}  // namespace codegen::redis
