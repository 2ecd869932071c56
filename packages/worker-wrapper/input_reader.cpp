#include "packages/worker-wrapper/input_reader.hpp"

#include "packages/worker-wrapper/log.hpp"

namespace codegen::wrapper {

namespace {
constexpr std::chrono::milliseconds kRetry{100};
constexpr std::chrono::seconds kBetweenComplaints{1};
constexpr std::string_view kBlock = "10000";
}  // namespace

InputReader::InputReader(Loop& loop, const std::string& socket, std::vector<InputStream> streams, std::string consumer,
                         std::function<void()> ready, OnEntry on_entry)
    : loop_(loop),
      streams_(std::move(streams)),
      consumer_(std::move(consumer)),
      ready_(std::move(ready)),
      on_entry_(std::move(on_entry)),
      link_(loop, socket, [this] { make_groups(); }, [] {}) {}

InputReader::~InputReader() { loop_.cancel(retry_); }

void InputReader::hold(bool held, bool at_once) {
    const bool was_held = std::exchange(held_, held);
    if (held && !was_held && at_once && waits_) link_.drop();
    if (!held_ && std::exchange(read_wanted_, false)) read(false);
}

void InputReader::make_groups() {
    loop_.cancel(retry_);
    read_wanted_ = false;
    groups_left_ = streams_.size();
    group_failed_ = false;
    for (const auto& stream : streams_) {
        // From the beginning: what was sent before this worker could read is for it.
        link_.send({"XGROUP", "CREATE", stream.stream, stream.group, "0", "MKSTREAM"},
                   [this](const redis::Reply* reply) {
                       if (reply == nullptr) return;
                       if (reply->is_error() && !reply->text.starts_with("BUSYGROUP")) {
                           group_failed_ = true;
                           again(reply->text);
                       }
                       if (--groups_left_ != 0 || group_failed_) return;
                       pending_from_.assign(streams_.size(), "0");
                       ready_();
                       read(true);
                   });
    }
}

void InputReader::read(bool pending) {
    if (stopped_ || !link_.up()) return;
    if (held_ && !pending) {
        read_wanted_ = true;
        return;
    }
    waits_ = !pending;
    redis::Arguments command{"XREADGROUP", "GROUP", streams_.front().group, consumer_, "COUNT", "1"};
    if (!pending) command.insert(command.end(), {"BLOCK", std::string(kBlock)});
    command.emplace_back("STREAMS");
    for (const auto& stream : streams_) command.push_back(stream.stream);
    for (std::size_t i = 0; i < streams_.size(); ++i) command.push_back(pending ? pending_from_[i] : ">");
    link_.send(std::move(command), [this, pending](const redis::Reply* reply) { take(reply, pending); });
}

void InputReader::take(const redis::Reply* reply, bool pending) {
    waits_ = false;
    if (reply == nullptr || stopped_) return;
    if (reply->is_error()) return again(reply->text);
    const auto entries = redis::parse_xread(*reply);
    for (const auto& entry : entries) {
        for (std::size_t i = 0; i < streams_.size(); ++i) {
            if (streams_[i].stream != entry.stream) continue;
            if (pending) pending_from_[i] = entry.id;
            on_entry_(streams_[i], entry);
        }
    }
    read(pending && !entries.empty());
}

// The usual cause: Redis lost its data and the group with it.
void InputReader::again(std::string_view error) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_said_ > kBetweenComplaints) {
        last_said_ = now;
        log("warning", "cannot read the input, making the group again", {{"error", error}});
    }
    loop_.cancel(retry_);
    retry_ = loop_.after(kRetry, [this] {
        retry_ = 0;
        if (link_.up()) make_groups();
    });
}

}  // namespace codegen::wrapper
