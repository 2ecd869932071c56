#include "shared/resp/resp.hpp"

#include <fmt/format.h>
#include <hiredis/read.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

namespace codegen::redis {
namespace {

constexpr std::size_t kMaxBulk = 512u << 20;  // proto-max-bulk-len of the server

// hiredis' parser builds our Reply tree directly. An array grows as its elements arrive, so that a hostile count costs
// nothing; a child is complete before its parent grows again, so pointers into the tree stay valid.
Reply* place(const redisReadTask* task) {
    if (task->parent == nullptr) return new Reply;
    auto* parent = static_cast<Reply*>(task->parent->obj);
    return &parent->elements.emplace_back();
}

void* create_string(const redisReadTask* task, char* text, std::size_t size) {
    Reply* reply = place(task);
    reply->type = task->type == REDIS_REPLY_STATUS  ? Reply::Type::status
                  : task->type == REDIS_REPLY_ERROR ? Reply::Type::error
                                                    : Reply::Type::string;
    reply->text.assign(text, size);
    return reply;
}

void* create_array(const redisReadTask* task, int /*elements*/) {
    Reply* reply = place(task);
    reply->type = Reply::Type::array;
    return reply;
}

void* create_integer(const redisReadTask* task, long long value) {
    Reply* reply = place(task);
    reply->type = Reply::Type::integer;
    reply->integer = value;
    return reply;
}

void* create_nil(const redisReadTask* task) { return place(task); }

void free_object(void* object) { delete static_cast<Reply*>(object); }

redisReplyObjectFunctions functions{create_string, create_array, create_integer, create_nil, free_object};

struct ReaderDeleter {
    void operator()(redisReader* reader) const { redisReaderFree(reader); }
};

void append_number(std::string& out, char prefix, std::int64_t number) {
    std::array<char, 24> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out += prefix;
    out.append(digits.data(), end);
    out += "\r\n";
}

void append_bulk(std::string& out, std::string_view text) {
    append_number(out, '$', static_cast<std::int64_t>(text.size()));
    out += text;
    out += "\r\n";
}

void append_reply(std::string& out, const Reply& reply) {
    switch (reply.type) {
        case Reply::Type::nil:
            out += "$-1\r\n";
            return;
        case Reply::Type::string:
            append_bulk(out, reply.text);
            return;
        case Reply::Type::status:
        case Reply::Type::error:
            out += reply.type == Reply::Type::status ? '+' : '-';
            // A line break would end the line early and let the rest pass for another reply.
            for (const char c : reply.text) out += c == '\r' || c == '\n' ? ' ' : c;
            out += "\r\n";
            return;
        case Reply::Type::integer:
            append_number(out, ':', reply.integer);
            return;
        case Reply::Type::array:
            append_number(out, '*', static_cast<std::int64_t>(reply.elements.size()));
            for (const Reply& element : reply.elements) append_reply(out, element);
            return;
    }
}

}  // namespace

void encode_command(std::string& out, std::span<const std::string> arguments) {
    append_number(out, '*', static_cast<std::int64_t>(arguments.size()));
    for (const std::string& argument : arguments) append_bulk(out, argument);
}

std::string encode_reply(const Reply& reply) {
    std::string out;
    append_reply(out, reply);
    return out;
}

struct ReplyReader::Impl {
    std::unique_ptr<redisReader, ReaderDeleter> reader{redisReaderCreateWithFunctions(&functions)};
    std::optional<Error> broken;
};

ReplyReader::ReplyReader() : impl_(std::make_unique<Impl>()) {}
ReplyReader::~ReplyReader() = default;
ReplyReader::ReplyReader(ReplyReader&&) noexcept = default;
ReplyReader& ReplyReader::operator=(ReplyReader&&) noexcept = default;

void ReplyReader::feed(std::string_view bytes) {
    if (!impl_->broken) redisReaderFeed(impl_->reader.get(), bytes.data(), bytes.size());
}

Result<std::optional<Reply>> ReplyReader::next() {
    if (impl_->broken) return std::unexpected(*impl_->broken);
    redisReader& reader = *impl_->reader;
    void* object = nullptr;
    if (redisReaderGetReply(&reader, &object) != REDIS_OK) {
        impl_->broken =
            Error{ErrorCategory::permanent, "protocol", fmt::format("not a Redis reply: {}", reader.errstr), {}};
        return std::unexpected(*impl_->broken);
    }
    if (object != nullptr) {
        const std::unique_ptr<Reply> reply(static_cast<Reply*>(object));
        return std::move(*reply);
    }
    // What is buffered is one unfinished bulk string (everything before it was consumed) and its header.
    if (reader.len - reader.pos > kMaxBulk + 64) {
        impl_->broken = Error{ErrorCategory::permanent, "protocol", "a bulk string is longer than 512 MB", {}};
        return std::unexpected(*impl_->broken);
    }
    return std::nullopt;
}

const std::string* StreamEntry::field(std::string_view name) const {
    for (const auto& [key, value] : fields)
        if (key == name) return &value;
    return nullptr;
}

std::vector<StreamEntry> parse_entries(const Reply& reply, std::string_view stream) {
    std::vector<StreamEntry> entries;
    entries.reserve(reply.elements.size());
    for (const Reply& element : reply.elements) {
        if (element.elements.size() != 2 || element.elements[1].type != Reply::Type::array) continue;
        StreamEntry entry{std::string(stream), element.elements[0].text, {}};
        const auto& flat = element.elements[1].elements;
        for (std::size_t i = 0; i + 1 < flat.size(); i += 2) entry.fields.emplace_back(flat[i].text, flat[i + 1].text);
        entries.push_back(std::move(entry));
    }
    return entries;
}

std::vector<StreamEntry> parse_xread(const Reply& reply) {
    std::vector<StreamEntry> entries;
    for (const Reply& stream : reply.elements) {
        if (stream.elements.size() != 2) continue;
        auto some = parse_entries(stream.elements[1], stream.elements[0].text);
        std::ranges::move(some, std::back_inserter(entries));
    }
    return entries;
}

}  // namespace codegen::redis
