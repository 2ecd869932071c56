// mcp: the commands as tools of the Model Context Protocol, over standard input and output. Each call runs this program
// with that command, so permissions, checks and answers are those of the command.
#include "packages/orchestrator-cli/mcp.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <map>

#include "shared/async/scope.hpp"
#include "shared/process/process.hpp"

namespace codegen::cli {
namespace {

constexpr std::size_t kLongestLine = 16u << 20;
constexpr std::chrono::seconds kLastCalls{5};  // for calls that run when the client closes our input
constexpr std::chrono::hours kLongestCall{24};

std::map<std::string, std::string> whole_environment() {
    std::map<std::string, std::string> out;
    for (char** entry = ::environ; *entry; ++entry) {
        const std::string_view text(*entry);
        if (const auto at = text.find('='); at != text.npos) out.emplace(text.substr(0, at), text.substr(at + 1));
    }
    return out;
}

class Server {
  public:
    Server(asio::any_io_executor executor, McpSession session)
        : executor_(std::move(executor)),
          session_(std::move(session)),
          program_(std::filesystem::read_symlink("/proc/self/exe").string()),
          environment_(whole_environment()) {}

    Task<Outcome> serve() {
        asio::posix::stream_descriptor input(executor_);
        boost::system::error_code bad;
        // A file is always readable and nothing to wait for; epoll refuses it.
        struct stat about{};
        const bool file = ::fstat(STDIN_FILENO, &about) == 0 && (S_ISREG(about.st_mode) || is_null(about));
        if (!file) input.assign(::dup(STDIN_FILENO), bad);
        if (bad) co_return std::unexpected(usage("standard input: " + bad.message()));
        std::vector<char> buffer(65536);
        for (;;) {
            std::size_t size = 0;
            if (file) {
                const auto n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
                size = n > 0 ? static_cast<std::size_t>(n) : 0;
            } else {
                auto [failed, n] = co_await input.async_read_some(asio::buffer(buffer), async::use_tuple);
                if (!failed) size = n;
            }
            if (size == 0) break;
            take({buffer.data(), size});
        }
        take("\n");  // a last line without its end
        co_await end_calls();
        Answer done;
        done.raw = true;
        co_return done;
    }

  private:
    static bool is_null(const struct stat& about) {
        struct stat null{};
        return ::stat("/dev/null", &null) == 0 && S_ISCHR(about.st_mode) && about.st_rdev == null.st_rdev;
    }

    void take(std::string_view bytes) {
        for (std::size_t at = 0; at < bytes.size();) {
            const auto end = bytes.find('\n', at);
            if (!dropping_) pending_.append(bytes.substr(at, end - at));
            if (pending_.size() > kLongestLine) {
                dropping_ = true;
                pending_.clear();
                print_line(McpSession::too_long());
            }
            if (end == bytes.npos) return;
            at = end + 1;
            const auto line = std::exchange(pending_, {});
            if (!std::exchange(dropping_, false) && line.find_first_not_of(" \t\r") != line.npos) obey(line);
        }
    }

    void obey(const std::string& line) {
        auto step = session_.on_line(line);
        if (step.reply) print_line(*step.reply);
        if (step.cancel) calls_.at(*step.cancel)->cancel();
        if (!step.call) return;
        std::erase_if(calls_, [](const auto& call) { return call.second->size() == 0; });
        const auto key = step.call->key;
        auto& scope = calls_[key];
        scope = std::make_unique<async::Scope>(executor_);
        scope->spawn("call " + key, run(this, std::move(*step.call)));
    }

    static Task<void> run(Server* self, McpSession::Call call) {
        co_await asio::this_coro::throw_if_cancelled(false);
        process::Spec spec;
        spec.argv = std::move(call.command_line);
        spec.argv.insert(spec.argv.begin(), self->program_);
        spec.environment = self->environment_;
        spec.environment[std::string(kLiteralTexts)] = "1";
        auto ended = co_await process::run(std::move(spec), {.timeout = kLongestCall});
        const auto state = co_await asio::this_coro::cancellation_state;
        if (state.cancelled() != asio::cancellation_type::none) {
            self->session_.forget(call.key);
            co_return;  // the client does not wait for an answer any more
        }
        if (!ended)
            print_line(self->session_.answer(call.key, {}, ended.error().message));
        else
            print_line(self->session_.answer(call.key, ended->output,
                                             ended->errors.empty() ? ended->describe() : ended->errors));
    }

    Task<void> end_calls() {
        const auto deadline = std::chrono::steady_clock::now() + kLastCalls;
        for (auto& [key, scope] : calls_) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
            co_await async::first_of(scope->drain(), async::sleep_for(std::max(left, std::chrono::milliseconds(1))));
            co_await scope->stop();
        }
    }

    const asio::any_io_executor executor_;
    McpSession session_;
    const std::string program_;
    const std::map<std::string, std::string> environment_;
    std::string pending_;  // a line that is not complete
    bool dropping_ = false;
    std::map<std::string, std::unique_ptr<async::Scope>> calls_;
};

Task<Outcome> serve(Invocation invocation, std::vector<CommandInfo> tree) {
    Server server(invocation.session->executor(),
                  McpSession(std::move(tree), invocation.session->settings().allowed_commands));
    co_return co_await server.serve();
}

}  // namespace

void add_mcp_command(CLI::App& app, Chosen& chosen) {
    auto* command =
        app.add_subcommand("mcp", "Serve these commands as MCP tools on standard input and output")->group(kAboutGroup);
    command->footer(
        "Examples:\n"
        "  orchestrator mcp\n"
        "For Claude Code: claude mcp add orchestrator -- orchestrator mcp");
    command->callback([&app, &chosen] {
        chosen = Command{"", [tree = describe(app)](Invocation i) { return serve(std::move(i), tree); }};
    });
}

}  // namespace codegen::cli
