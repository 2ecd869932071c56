#include "packages/worker-wrapper/outbox.hpp"

#include "packages/worker-wrapper/log.hpp"

namespace codegen::wrapper {

namespace {
constexpr std::chrono::milliseconds kRetry{250};
constexpr std::chrono::seconds kBetweenComplaints{5};
}  // namespace

void Outbox::push(redis::Arguments command, Care care, std::function<void()> done) {
    items_.push_back({std::move(command), care, std::move(done)});
    send_next();
}

void Outbox::when_empty(std::function<void()> callback) {
    when_empty_ = std::move(callback);
    send_next();
}

void Outbox::send_next() {
    if (items_.empty() && when_empty_) return std::exchange(when_empty_, nullptr)();
    if (in_flight_ || items_.empty() || retry_ != 0 || !link_.up()) return;
    in_flight_ = true;
    link_.send(items_.front().command, [this](const redis::Reply* reply) { answered(reply); });
}

void Outbox::answered(const redis::Reply* reply) {
    in_flight_ = false;
    if (reply == nullptr) return;  // link_up() sends it again
    Item& item = items_.front();
    if (reply->is_error()) {
        const auto now = std::chrono::steady_clock::now();
        if (now - last_said_ > kBetweenComplaints) {
            last_said_ = now;
            log("warning", "redis refused a command",
                {{"command", item.command[0]},
                 {"key", item.command.size() > 1 ? item.command[1] : ""},
                 {"error", reply->text}});
        }
        if (item.care == Care::until_done) {
            retry_ = loop_.after(kRetry, [this] {
                retry_ = 0;
                send_next();
            });
            return;
        }
    }
    auto done = std::move(item.done);
    items_.pop_front();
    if (done) done();
    send_next();
}

}  // namespace codegen::wrapper
