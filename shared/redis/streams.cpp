#include "shared/redis/streams.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace codegen::redis {
namespace {

// KEYS[1] stream; ARGV group, consumer, id, count.
constexpr auto kTakeOver = R"(
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2]) == 0 then return {} end
return redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], 'RETRYCOUNT', ARGV[4])
)";

// ARGV group, consumer, then id, count pairs; count -1: unchanged.
constexpr auto kRefresh = R"(
for i = 3, #ARGV, 2 do
  if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2]) > 0 then
    if ARGV[i + 1] == '-1' then
      redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
    else
      redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'RETRYCOUNT', ARGV[i + 1], 'JUSTID')
    end
  end
end
return 0
)";

// KEYS stream, dead letters; ARGV group, id, then fields and values.
constexpr auto kDeadLetter = R"(
if redis.call('XACK', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 3))
return 1
)";

// KEYS stream, dead letters; ARGV id.
constexpr auto kRetry = R"(
local found = redis.call('XRANGE', KEYS[2], ARGV[1], ARGV[1])
if #found == 0 then return '' end
local letter = {}
for i = 1, #found[1][2], 2 do letter[found[1][2][i]] = found[1][2][i + 1] end
if not letter['original_message'] then return redis.error_reply('NOLETTER this entry has no original_message') end
if redis.call('EXISTS', KEYS[1]) == 0 then
  return redis.error_reply('NOSTREAM nobody reads this stream any more; the letter stays')
end
local fields = {}
if letter['original_form'] == 'fields' then
  for name, value in pairs(cjson.decode(letter['original_message'])) do
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
else
  fields = {'data', letter['original_message']}
end
if letter['traceparent'] and letter['original_form'] ~= 'fields' then
  fields[#fields + 1] = 'traceparent'
  fields[#fields + 1] = letter['traceparent']
end
local id = redis.call('XADD', KEYS[1], '*', unpack(fields))
redis.call('XDEL', KEYS[2], ARGV[1])
return id
)";

constexpr auto kRemoveIdle = R"(
local removed = 0
for _, row in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local c = {}
  for i = 1, #row, 2 do c[row[i]] = row[i + 1] end
  if c['name'] ~= ARGV[2] and c['pending'] == 0 and c['idle'] >= tonumber(ARGV[3]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], c['name'])
    removed = removed + 1
  end
end
return removed
)";

// The smallest id that some group still needs: its first pending entry, else the one after its last delivered.
constexpr auto kTrim = R"(
local function less(a, b)
  local am, as = a:match('(%d+)-(%d+)')
  local bm, bs = b:match('(%d+)-(%d+)')
  if #am ~= #bm then return #am < #bm end
  if am ~= bm then return am < bm end
  if #as ~= #bs then return #as < #bs end
  return as < bs
end
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
local min = nil
for _, row in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
  local g = {}
  for i = 1, #row, 2 do g[row[i]] = row[i + 1] end
  local id = g['last-delivered-id']
  if g['pending'] > 0 then
    local first = redis.call('XPENDING', KEYS[1], g['name'], '-', '+', 1)[1][1]
    if less(first, id) then id = first end
  else
    local after = redis.call('XRANGE', KEYS[1], '(' .. id, '+', 'COUNT', 1)[1]
    if after then id = after[1] else
      local ms, seq = id:match('(%d+)-(%d+)')
      id = ms .. '-' .. (tonumber(seq) + 1)
    end
  end
  if min == nil or less(id, min) then min = id end
end
if min == nil then return 0 end
local keep = tonumber(ARGV[1])
if keep > 0 then
  local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', keep)
  if #last < keep then return 0 end
  if less(last[keep][1], min) then min = last[keep][1] end
end
return redis.call('XTRIM', KEYS[1], 'MINID', min)
)";

constexpr std::size_t kChunk = 100;

Task<Result<Reply>> evaluate(Client& client, std::string script, std::vector<std::string> keys, Arguments arguments) {
    Arguments all{"EVAL", std::move(script), std::to_string(keys.size())};
    std::ranges::move(keys, std::back_inserter(all));
    std::ranges::move(arguments, std::back_inserter(all));
    return client.command(std::move(all));
}

Task<Result<void>> refresh(Client& client, Membership at, std::vector<std::pair<std::string, int>> entries) {
    for (std::size_t from = 0; from < entries.size(); from += kChunk) {
        Arguments arguments{at.group, at.consumer};
        for (std::size_t i = from; i < std::min(entries.size(), from + kChunk); ++i) {
            arguments.push_back(entries[i].first);
            arguments.push_back(std::to_string(entries[i].second));
        }
        auto reply = co_await evaluate(client, kRefresh, {at.stream}, std::move(arguments));
        if (!reply) co_return std::unexpected(std::move(reply.error()));
    }
    co_return Result<void>();
}

}  // namespace

Task<Result<void>> make_group(Client& client, Membership at) {
    auto reply = co_await client.command({"XGROUP", "CREATE", at.stream, at.group, "0", "MKSTREAM"});
    if (!reply && reply.error().code != "BUSYGROUP") co_return std::unexpected(std::move(reply.error()));
    co_return Result<void>();
}

Task<Result<void>> show_presence(Client& client, Membership at) {
    // Its pending entries behind what is as good as the last possible one: none, so that no delivery is counted. (The
    // very last one is what Redis itself takes for ">".)
    constexpr auto kBehindAll = "18446744073709551615-0";
    auto reply = co_await client.command(
        {"XREADGROUP", "GROUP", at.group, at.consumer, "COUNT", "1", "STREAMS", at.stream, kBehindAll});
    if (!reply) co_return std::unexpected(std::move(reply.error()));
    co_return Result<void>();
}

Task<Result<std::vector<std::pair<std::string, int>>>> own_pending(Client& client, Membership at, std::size_t limit) {
    std::vector<std::pair<std::string, int>> pending;
    std::string from = "-";
    while (pending.size() < limit) {
        const auto count = std::min(limit - pending.size(), kChunk * 10);
        auto reply =
            co_await client.command({"XPENDING", at.stream, at.group, from, "+", std::to_string(count), at.consumer});
        if (!reply) co_return std::unexpected(std::move(reply.error()));
        for (const auto& row : reply->elements) {
            if (row.elements.size() != 4) continue;
            pending.emplace_back(row.elements[0].text, static_cast<int>(row.elements[3].integer));
        }
        if (reply->elements.size() < count || pending.empty()) break;
        from = "(" + pending.back().first;
    }
    co_return pending;
}

Task<Result<std::vector<std::string>>> claim_abandoned(Client& client, Membership at, std::chrono::milliseconds idle) {
    std::vector<std::string> claimed;
    std::string cursor = "0-0";
    do {
        auto reply =
            co_await client.command({"XAUTOCLAIM", at.stream, at.group, at.consumer, std::to_string(idle.count()),
                                     cursor, "COUNT", std::to_string(kChunk), "JUSTID"});
        if (!reply) co_return std::unexpected(std::move(reply.error()));
        if (reply->elements.size() < 2) break;
        cursor = reply->elements[0].text;
        for (auto& id : reply->elements[1].elements) claimed.push_back(std::move(id.text));
    } while (cursor != "0-0");
    co_return claimed;
}

Task<Result<std::vector<StreamEntry>>> take_over(Client& client, Membership at, std::string id, int deliveries) {
    auto reply = co_await evaluate(client, kTakeOver, {at.stream},
                                   {at.group, at.consumer, std::move(id), std::to_string(deliveries)});
    if (!reply) co_return std::unexpected(std::move(reply.error()));
    co_return parse_entries(*reply, at.stream);
}

Task<Result<void>> give_back(Client& client, Membership at, std::vector<std::pair<std::string, int>> entries) {
    return refresh(client, std::move(at), std::move(entries));
}

Task<Result<void>> keep_alive(Client& client, Membership at, std::vector<std::string> ids) {
    std::vector<std::pair<std::string, int>> entries;
    entries.reserve(ids.size());
    for (auto& id : ids) entries.emplace_back(std::move(id), -1);
    return refresh(client, std::move(at), std::move(entries));
}

Task<Result<void>> dead_letter(Client& client, Membership at, std::string id, std::string original_message,
                               std::string error_context, std::vector<std::pair<std::string, std::string>> more) {
    Arguments arguments{at.group,        std::move(id),           "original_message", std::move(original_message),
                        "error_context", std::move(error_context)};
    for (auto& [name, value] : more) arguments.insert(arguments.end(), {std::move(name), std::move(value)});
    auto reply = co_await evaluate(client, kDeadLetter, {at.stream, at.stream + ":dlq"}, std::move(arguments));
    if (!reply) co_return std::unexpected(std::move(reply.error()));
    co_return Result<void>();
}

Task<Result<std::string>> retry_dead_letter(Client& client, std::string stream, std::string letter_id) {
    auto reply = co_await evaluate(client, kRetry, {stream, stream + ":dlq"}, {std::move(letter_id)});
    if (!reply) co_return std::unexpected(std::move(reply.error()));
    co_return std::move(reply->text);
}

Task<Result<std::map<std::string, std::int64_t>>> dead_letter_counts(Client& client) {
    constexpr std::string_view kSuffix = ":dlq";
    std::set<std::string> names;
    std::string cursor = "0";
    do {
        auto reply = co_await client.command({"SCAN", cursor, "MATCH", "*:dlq", "TYPE", "stream", "COUNT", "1000"});
        if (!reply) co_return std::unexpected(std::move(reply.error()));
        if (reply->elements.size() != 2) break;
        cursor = reply->elements[0].text;
        for (auto& key : reply->elements[1].elements) names.insert(std::move(key.text));
    } while (cursor != "0");
    std::map<std::string, std::int64_t> counts;
    for (const auto& name : names) {
        auto length = co_await client.command({"XLEN", name});
        if (!length) co_return std::unexpected(std::move(length.error()));
        if (length->integer > 0) counts[name.substr(0, name.size() - kSuffix.size())] = length->integer;
    }
    co_return counts;
}

Task<Result<std::optional<std::chrono::milliseconds>>> last_consumer(Client& client, std::string stream,
                                                                     std::string group) {
    std::optional<std::chrono::milliseconds> shortest;
    auto reply = co_await client.command({"XINFO", "CONSUMERS", std::move(stream), std::move(group)});
    if (!reply) {
        const auto& error = reply.error();
        if (error.code == "NOGROUP" || error.message.contains("no such key")) co_return shortest;
        co_return std::unexpected(error);
    }
    for (const auto& row : reply->elements)
        for (std::size_t i = 0; i + 1 < row.elements.size(); i += 2)
            if (const std::chrono::milliseconds idle(row.elements[i + 1].integer); row.elements[i].text == "idle")
                shortest = std::min(shortest.value_or(idle), idle);
    co_return shortest;
}

Task<Result<std::int64_t>> remove_idle_consumers(Client& client, Membership at, std::chrono::milliseconds idle) {
    auto reply =
        co_await evaluate(client, kRemoveIdle, {at.stream}, {at.group, at.consumer, std::to_string(idle.count())});
    if (!reply) co_return std::unexpected(std::move(reply.error()));
    co_return reply->integer;
}

Task<Result<std::int64_t>> trim_consumed(Client& client, std::string stream, std::size_t keep) {
    auto reply = co_await evaluate(client, kTrim, {std::move(stream)}, {std::to_string(keep)});
    if (!reply) co_return std::unexpected(std::move(reply.error()));
    co_return reply->integer;
}

}  // namespace codegen::redis
