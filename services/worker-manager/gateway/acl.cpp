#include "services/worker-manager/gateway/acl.hpp"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <optional>

#include "shared/contracts/keys.hpp"
#include "shared/contracts/streams.hpp"

namespace codegen::worker_manager {
namespace {

namespace streams = contracts::streams;
namespace keys = contracts::keys;

std::string sha256_hex(std::string_view text) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
    std::string hex;
    for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
    return hex;
}

// The worker's input streams: read as a consumer group member, never written. In one selector: a command that names two
// of them must find both in it.
std::string reading(const std::string& first, const std::optional<std::string>& second) {
    return fmt::format("(+xreadgroup +xack +xautoclaim +xpending +xgroup|create +xrange +xlen ~{}{})", first,
                       second ? " ~" + *second : "");
}

std::string appending(std::initializer_list<std::string> names) {
    std::string selector = "(+xadd";
    for (const auto& name : names) selector += " ~" + name;
    return selector + ")";
}

}  // namespace

std::string acl_user(std::string_view worker_id) { return fmt::format("worker-{}", worker_id); }

redis::Arguments acl_rules(const GatewayIdentity& worker, std::string_view password, int database) {
    const auto& id = worker.worker_id;
    const bool po = worker.worker_type == contracts::WorkerType::po;
    const auto input = streams::worker_input(id);
    const auto second_input = po ? streams::po_worker_input(id) : std::string(streams::kDeveloperInput);
    const bool reads_second = po || worker.pool;

    redis::Arguments rules{"ACL",   "SETUSER",        acl_user(id), "reset", "on", "#" + sha256_hex(password),
                           "+ping", "+client|setname"};
    if (database != 0) rules.push_back("+select");
    rules.push_back(reading(input, reads_second ? std::optional(second_input) : std::nullopt));
    rules.push_back(appending(
        {streams::worker_output(id), streams::worker_events(id), std::string(streams::kWorkerLifecycle),
         po ? streams::po_worker_output(id) : std::string(streams::kDeveloperOutput), streams::dead_letters(input)}));
    if (reads_second) rules.push_back(appending({streams::dead_letters(second_input)}));
    rules.push_back(
        fmt::format("(+get +set +expire +pexpire ~{} ~{})", keys::worker_heartbeat(id), keys::worker_session(id)));
    rules.push_back(fmt::format("(+hget +hgetall +hmget +hset ~{})", keys::worker_status(id)));
    return rules;
}

bool is_reserved_worker_name(std::string_view worker_id) {
    static constexpr std::array<std::string_view, 10> kTaken{
        "po",    "developer", "status",   "heartbeat",      "session",
        "image", "lifecycle", "commands", "creation_queue", "responses"};
    return std::ranges::find(kTaken, worker_id) != kTaken.end();
}

}  // namespace codegen::worker_manager
