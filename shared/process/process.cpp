#include "shared/process/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdlib>

#include "shared/posix/file.hpp"
#include "shared/process/reaping.hpp"

namespace codegen::process {
namespace {

using namespace asio::experimental::awaitable_operators;

using LineHandler = std::function<void(std::string_view)>;

// One stream of a child: what came so far, and its lines as they become whole.
struct Collected {
    asio::posix::stream_descriptor end;
    std::string bytes;
    std::size_t line_start = 0;

    explicit Collected(const asio::any_io_executor& executor) : end(executor) {}

    void append(std::string_view more, const LineHandler& on_line) {
        std::size_t from = bytes.size();
        bytes += more;
        if (!on_line) return;
        for (std::size_t at; (at = bytes.find('\n', from)) != bytes.npos; from = line_start = at + 1) {
            on_line(std::string_view(bytes).substr(line_start, at - line_start));
        }
    }
    void finish(const LineHandler& on_line) {
        if (on_line && line_start < bytes.size()) on_line(std::string_view(bytes).substr(line_start));
        line_start = bytes.size();
    }
};

class Run {
  public:
    Run(const asio::any_io_executor& executor, Limits limits, LineHandler on_line)
        : out_(executor),
          err_(executor),
          timer_(executor),
          never_(executor),
          limits_(limits),
          on_line_(std::move(on_line)) {
        never_.expires_at(asio::steady_timer::time_point::max());
    }
    Run(const Run&) = delete;
    // Also when the coroutine is destroyed where it waits.
    ~Run() {
        if (!child_ || child_->reaped()) return;
        child_->kill_tree();
        child_->reap();
    }

    Result<void> start(const asio::any_io_executor& executor, const Spec& spec) {
        posix::Fd in(spec.input.empty() ? ::open("/dev/null", O_RDONLY | O_CLOEXEC)
                                        : ::memfd_create("stdin", MFD_CLOEXEC));
        if (!in) return posix::errno_error("open standard input", errno);
        // A file in memory instead of a pipe: the child reads it whenever it likes, and nobody has to feed it.
        for (std::string_view rest = spec.input; !rest.empty();) {
            const auto written = ::write(in.get(), rest.data(), rest.size());
            if (written < 0) return posix::errno_error("write standard input", errno);
            rest.remove_prefix(static_cast<std::size_t>(written));
        }
        ::lseek(in.get(), 0, SEEK_SET);

        posix::Fd out;
        posix::Fd err;
        if (!spec.output_to) {
            auto made = make_pipe(out_, out);
            if (!made) return made;
        }
        auto made = make_pipe(err_, err);
        if (!made) return made;
        auto spawned = spawn(spec, {in.get(), spec.output_to ? spec.output_to.get() : out.get(), err.get()});
        if (!spawned) return std::unexpected(spawned.error());
        child_.emplace(executor, std::move(*spawned));
        return {};
    }

    Task<Result<Outcome>> finish() {
        // Cancelled, this frame still has a tree to kill and a child to reap.
        co_await asio::this_coro::throw_if_cancelled(false);
        timer_.expires_after(limits_.timeout);
        auto first = co_await (child_->ended() || expired() || collect(&out_) || collect(&err_));
        const auto state = co_await asio::this_coro::cancellation_state;
        const bool cancelled = state.cancelled() != asio::cancellation_type::none;

        Outcome outcome;
        const bool ended = first.index() == 0 && std::get<0>(first);
        if (!ended || cancelled) {
            outcome.end = first.index() >= 2 ? Outcome::End::output_limit : Outcome::End::timeout;
        }
        // The leader ended by itself: its session has nobody left who would answer for it.
        child_->kill_tree();
        const int status = child_->reap();
        drain(out_);
        drain(err_);
        if (cancelled) co_return fail(ErrorCategory::transient, "cancelled", "cancelled; every process was killed");
        if (ended && over_limit()) outcome.end = Outcome::End::output_limit;
        if (outcome.end == Outcome::End::exited) {
            outcome.end = WIFEXITED(status) ? Outcome::End::exited : Outcome::End::signalled;
            outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
        } else if (outcome.end == Outcome::End::timeout) {
            outcome.code = static_cast<int>(limits_.timeout.count());
        }
        outcome.output = std::move(out_.bytes);
        outcome.errors = std::move(err_.bytes);
        co_return outcome;
    }

  private:
    static Result<void> make_pipe(Collected& stream, posix::Fd& write_end) {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) < 0) return posix::errno_error("pipe", errno);
        write_end = posix::Fd(ends[1]);
        ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
        stream.end.assign(ends[0]);
        return {};
    }

    Task<void> expired() { co_await timer_.async_wait(async::use_tuple); }

    // Ends only when the stream passed its limit.
    Task<void> collect(Collected* stream) {
        std::array<char, 16384> buffer;
        while (stream->end.is_open()) {
            auto [error, size] = co_await stream->end.async_read_some(asio::buffer(buffer), async::use_tuple);
            if (error == asio::error::operation_aborted) co_return;
            if (error) break;
            stream->append({buffer.data(), size}, on_line_);
            if (stream->bytes.size() > limits_.output_bytes) co_return;
        }
        co_await never_.async_wait(async::use_tuple);
    }

    // What the pipe still holds. Its end may never come: a daemon that left the session can hold the other side.
    void drain(Collected& stream) {
        std::array<char, 16384> buffer;
        while (stream.end.is_open() && stream.bytes.size() <= limits_.output_bytes) {
            const auto size = ::read(stream.end.native_handle(), buffer.data(), buffer.size());
            if (size < 0 && errno == EINTR) continue;
            if (size <= 0) break;
            stream.append({buffer.data(), static_cast<std::size_t>(size)}, on_line_);
        }
        if (stream.bytes.size() > limits_.output_bytes) {
            over_limit_ = true;
            stream.bytes.resize(limits_.output_bytes);
            stream.line_start = std::min(stream.line_start, stream.bytes.size());
        }
        stream.finish(on_line_);
    }
    bool over_limit() const { return over_limit_; }

    Collected out_;
    Collected err_;
    asio::steady_timer timer_;
    asio::steady_timer never_;
    const Limits limits_;
    const LineHandler on_line_;
    bool over_limit_ = false;
    std::optional<OwnedProcess> child_;
};

Task<Result<Outcome>> run_here(Spec spec, Limits limits, LineHandler on_line) {
    auto executor = co_await asio::this_coro::executor;
    Run run(executor, limits, std::move(on_line));
    auto started = run.start(executor, spec);
    if (!started) co_return std::unexpected(started.error());
    spec.output_to.reset();
    auto outcome = co_await run.finish();
    co_return outcome;
}

class StartedChild : public Child {
  public:
    StartedChild(const asio::any_io_executor& executor, Spawned spawned) : process_(executor, std::move(spawned)) {}

    int pid() const override { return process_.pid(); }
    Task<int> wait() override {
        auto ended = co_await process_.ended();
        if (!ended) co_return -1;
        co_return process_.reap();
    }
    void signal(int number) override { process_.signal(number); }
    void kill_tree() override { process_.kill_tree(); }

  private:
    OwnedProcess process_;
};

std::string_view last_line(std::string_view text) {
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.remove_suffix(1);
    const auto line = text.substr(text.rfind('\n') + 1);
    return line.substr(0, 500);
}

}  // namespace

std::string Outcome::describe() const {
    std::string text;
    switch (end) {
        case End::exited:
            text = fmt::format("exit {}", code);
            break;
        case End::signalled:
            text = fmt::format("killed by signal {}", code);
            break;
        case End::timeout:
            text = fmt::format("stopped after {} ms", code);
            break;
        case End::output_limit:
            text = "stopped because it wrote too much";
            break;
    }
    const auto line = last_line(errors);
    return line.empty() ? text : fmt::format("{}: {}", text, line);
}

Task<Result<Outcome>> run(Spec spec, Limits limits, LineHandler on_line) {
    // A coroutine of its own has a cancellation state of its own: changing it must not make the caller uncancellable.
    auto executor = co_await asio::this_coro::executor;
    auto work = run_here(std::move(spec), limits, std::move(on_line));
    auto outcome = co_await asio::co_spawn(executor, std::move(work), asio::use_awaitable);
    co_return outcome;
}

Result<std::unique_ptr<Child>> start(asio::any_io_executor executor, Spec spec, const std::filesystem::path& log) {
    const posix::Fd in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!in) return posix::errno_error("open /dev/null", errno);
    const posix::Fd out(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!out) return posix::errno_error(fmt::format("open {}", log.native()), errno);
    auto spawned = spawn(spec, {in.get(), out.get(), out.get()});
    if (!spawned) return std::unexpected(spawned.error());
    return std::make_unique<StartedChild>(executor, std::move(*spawned));
}

std::map<std::string, std::string> minimal_environment() {
    const auto own = [](const char* name, const char* otherwise) {
        const char* value = std::getenv(name);
        return std::string(value != nullptr && *value != '\0' ? value : otherwise);
    };
    return {{"PATH", own("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")},
            {"HOME", own("HOME", "/")},
            {"LANG", "C.UTF-8"}};
}

}  // namespace codegen::process
