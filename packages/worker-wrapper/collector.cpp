#include "packages/worker-wrapper/collector.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "packages/worker-wrapper/agent_names.hpp"
#include "packages/worker-wrapper/agent_plan.hpp"

namespace codegen::wrapper {

namespace {

constexpr std::chrono::seconds kHeadDeadline{10};     // rev-parse reads one ref and one object
constexpr std::chrono::seconds kBundleDeadline{120};  // a big repository on a slow disk
constexpr std::size_t kKeptErrors = 4096;

bool is_object_id(std::string_view text) {
    return (text.size() == 40 || text.size() == 64) &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string last_line(std::string text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    if (const auto end = text.rfind('\n'); end != std::string::npos) text.erase(0, end + 1);
    return shortened(valid_utf8(text), 500);
}

}  // namespace

// One git call.
struct Collector::Step {
    Step(Loop& loop, PipeReader::OnData on_output)
        : output(loop, std::move(on_output)), errors(loop, [this](std::string_view bytes) {
              error_text += bytes;
              if (error_text.size() > 2 * kKeptErrors) error_text.erase(0, error_text.size() - kKeptErrors);
          }) {}
    PipeReader output;
    PipeReader errors;
    std::string error_text;
    Loop::TimerId deadline = 0;
    bool ok = false;
    std::string why;
};

Collector::Collector(Loop& loop, const contracts::WrapperConfig& config, Body& body)
    : loop_(loop), config_(config), body_(body) {}
Collector::~Collector() {
    if (step_) loop_.cancel(step_->deadline);
}

void Collector::start(const std::string& request_id, std::function<void(Collected)> done) {
    done_ = std::move(done);
    collected_ = {};
    request_id_ = request_id;
    head_text_.clear();
    aborted_ = false;
    if (!config_.base_sha) {
        loop_.after(std::chrono::milliseconds(0), [this] { finish(); });
        return;
    }
    run(
        {"rev-parse", "--verify", "HEAD^{commit}"}, kHeadDeadline,
        [this](std::string_view bytes) {
            if (head_text_.size() < 256) head_text_ += bytes.substr(0, 256);
        },
        [this](bool ok, std::string why) {
            if (ok && !head_text_.empty() && head_text_.back() == '\n') head_text_.pop_back();
            if (ok && is_object_id(head_text_)) {
                collected_.head_sha = head_text_;
                return head_known();
            }
            collected_.bundle_error = "git rev-parse HEAD: " + (ok ? "its answer is no commit" : why);
            finish();
        });
}

void Collector::run(std::vector<std::string> arguments, std::chrono::seconds limit, PipeReader::OnData on_output,
                    std::function<void(bool, std::string)> next) {
    step_ = std::make_unique<Step>(loop_, std::move(on_output));
    auto output = step_->output.open();
    auto errors = step_->errors.open();
    if (!output || !errors) {
        loop_.after(std::chrono::milliseconds(0), [next] { next(false, "no pipe"); });
        return;
    }
    step_->deadline = loop_.after(limit, [this, limit] {
        step_->why = "stopped after " + std::to_string(limit.count()) + " s";
        body_.kill();
    });
    Body::Events events;
    events.started = [] {};
    events.failed = [this](std::string why) {
        if (step_->why.empty()) step_->why = std::move(why);
        body_.kill();
    };
    events.ended = [this](AgentEnd end) {
        step_->ok = end.exit_code == 0 && step_->why.empty();
        if (!step_->ok && step_->why.empty()) step_->why = "ended with " + std::to_string(end.shell_code());
        body_.kill();
    };
    events.tree_gone = [this, next] {
        loop_.cancel(step_->deadline);
        step_->output.drain();
        step_->errors.drain();
        const auto done = std::move(step_);
        std::string why = done->why;
        if (const std::string line = last_line(done->error_text); !done->ok && !line.empty()) why += ": " + line;
        if (aborted_) return finish();
        next(done->ok, why);
    };
    body_.start(git_plan(config_, std::move(arguments)), {-1, output->get(), errors->get()}, std::move(events));
}

void Collector::head_known() {
    if (*collected_.head_sha == *config_.base_sha) return finish();
    const std::string name = "bundle-" + request_id_ + ".bundle";
    temporary_ = config_.state_directory + "/." + name;
    file_ = posix::Fd(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!file_) {
        collected_.bundle_error = "create " + temporary_ + ": " + std::strerror(errno);
        return finish();
    }
    bundle_bytes_ = 0;
    write_failed_ = false;
    run(
        {"bundle", "create", "--quiet", "-", "HEAD", "^" + *config_.base_sha}, kBundleDeadline,
        [this](std::string_view bytes) { take_bundle_bytes(bytes); },
        [this](bool ok, const std::string& why) { bundle_ended(ok, why); });
}

// Beyond the limit nothing is stored, but counted on a while, to report a figure that helps.
void Collector::take_bundle_bytes(std::string_view bytes) {
    bundle_bytes_ += static_cast<std::int64_t>(bytes.size());
    if (bundle_bytes_ > config_.bundle_limit) {
        if (bundle_bytes_ > 16 * config_.bundle_limit) body_.kill();
        return;
    }
    while (!bytes.empty() && !write_failed_) {
        const auto count = ::write(file_.get(), bytes.data(), bytes.size());
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) {
            write_failed_ = true;
            collected_.bundle_error = "write " + temporary_ + ": " + std::strerror(errno);
            body_.kill();
            return;
        }
        bytes.remove_prefix(static_cast<std::size_t>(count));
    }
}

void Collector::bundle_ended(bool ok, const std::string& why) {
    const std::string name = "bundle-" + request_id_ + ".bundle";
    if (bundle_bytes_ > config_.bundle_limit) {
        collected_.bundle_error = "the new commits are a bundle of " + std::string(ok ? "" : "more than ") +
                                  std::to_string(bundle_bytes_) + " bytes, the limit is " +
                                  std::to_string(config_.bundle_limit);
    } else if (!write_failed_ && !ok) {
        collected_.bundle_error = "git bundle: " + why;
    } else if (!write_failed_) {
        const std::string target = config_.state_directory + "/" + name;
        if (fsync(file_.get()) != 0 || ::rename(temporary_.c_str(), target.c_str()) != 0) {
            collected_.bundle_error = "store " + target + ": " + std::strerror(errno);
        } else {
            collected_.bundle = name;
        }
    }
    finish();
}

void Collector::abort() {
    if (!step_) return;
    aborted_ = true;
    step_->why = "the worker was stopped";
    body_.kill();
}

void Collector::finish() {
    file_.reset();
    if (!temporary_.empty() && !collected_.bundle) ::unlink(temporary_.c_str());
    temporary_.clear();
    auto done = std::exchange(done_, nullptr);
    if (done) done(collected_);
}

}  // namespace codegen::wrapper
