// Git over HTTP as github.com serves it, by git's own CGI program (git-http-backend(1)), and git in its repositories.
#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "shared/base/base64.hpp"
#include "shared/base/ids.hpp"
#include "shared/posix/file.hpp"
#include "shared/process/process.hpp"
#include "shared/testing/github/world.hpp"

namespace codegen::testing::github {
namespace {

namespace fs = std::filesystem;

// What GitHub refuses when something is pushed. `refuse` holds the message that a test asked for.
constexpr std::string_view kPreReceive = R"(#!/bin/sh
if [ -f "$GIT_DIR/refuse" ]; then cat "$GIT_DIR/refuse" >&2; exit 1; fi
while read -r old new ref; do
    for protected in $FAKE_PROTECTED; do
        if [ "$protected" = "$ref" ]; then
            echo "error: GH006: Protected branch update failed for $ref." >&2
            exit 1
        fi
    done
    case $new in 0000000*) continue ;; esac
    if [ "$FAKE_WORKFLOWS" = no ]; then
        for commit in $(git rev-list "$new" --not --all); do
            file=$(git diff-tree -r --root --no-commit-id --name-only "$commit" -- .github/workflows | head -n 1)
            if [ -n "$file" ]; then
                echo "refusing to allow a GitHub App to create or update workflow \`$file\` without \`workflows\` permission" >&2
                exit 1
            fi
        done
    fi
done
)";

std::map<std::string, std::string> git_environment() {
    auto environment = process::minimal_environment();
    environment["HOME"] = "/nonexistent";
    environment["GIT_CONFIG_NOSYSTEM"] = "1";
    environment["GIT_CONFIG_GLOBAL"] = "/dev/null";
    environment["GIT_CONFIG_COUNT"] = "2";
    environment["GIT_CONFIG_KEY_0"] = "safe.directory";
    environment["GIT_CONFIG_VALUE_0"] = "*";
    environment["GIT_CONFIG_KEY_1"] = "http.receivepack";
    environment["GIT_CONFIG_VALUE_1"] = "true";
    for (const char* who : {"AUTHOR", "COMMITTER"}) {
        environment[fmt::format("GIT_{}_NAME", who)] = "GitHub";
        environment[fmt::format("GIT_{}_EMAIL", who)] = "noreply@github.invalid";
    }
    return environment;
}

http::Reply reply(http::Response response) { return {.head = std::move(response), .body = {}, .upgrade = {}}; }

http::Response plain(unsigned status, std::string text) {
    http::Response response;
    response.status = status;
    response.headers.set("Content-Type", "text/plain");
    response.body = std::move(text);
    return response;
}

http::Response ask_for_login() {
    auto response = plain(401, "Authentication failed");
    response.headers.set("WWW-Authenticate", "Basic realm=\"GitHub\"");
    return response;
}

// "Basic base64(x-access-token:TOKEN)": the token.
const Token* token_of(const World& world, const http::Headers& headers) {
    constexpr std::string_view kBasic = "Basic ";
    constexpr std::string_view kUser = "x-access-token:";
    const auto field = headers.get("Authorization");
    if (!field || !field->starts_with(kBasic)) return nullptr;
    const auto login = from_base64(field->substr(kBasic.size()));
    if (!login || !login->starts_with(kUser)) return nullptr;
    const auto found = world.tokens.find(login->substr(kUser.size()));
    return found == world.tokens.end() || found->second.expires <= world.now() ? nullptr : &found->second;
}

// CGI's answer: header lines, an empty line, the body.
http::Response parse_cgi(std::string_view output) {
    http::Response response;
    while (!output.empty()) {
        const auto end = std::min(output.find('\n'), output.size());
        auto line = output.substr(0, end);
        output.remove_prefix(std::min(end + 1, output.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty()) break;
        const auto colon = line.find(':');
        if (colon == line.npos) continue;
        auto value = line.substr(colon + 1);
        while (value.starts_with(' ')) value.remove_prefix(1);
        if (http::same_name(line.substr(0, colon), "Status"))
            response.status = static_cast<unsigned>(std::stoi(std::string(value)));
        else
            response.headers.set(line.substr(0, colon), std::string(value));
    }
    response.body = output;
    return response;
}

}  // namespace

Task<std::optional<std::string>> git(fs::path repository, std::vector<std::string> arguments, std::string input,
                                     std::map<std::string, std::string> environment) {
    process::Spec spec;
    spec.argv = {"git", "--git-dir=" + repository.string()};
    spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
    spec.environment = git_environment();
    spec.environment.merge(environment);
    spec.input = std::move(input);
    auto outcome = co_await process::run(std::move(spec));
    if (!outcome) throw std::runtime_error("git: " + outcome.error().message);
    if (!outcome->ok()) co_return std::nullopt;
    co_return std::move(outcome->output);
}

Task<std::optional<std::string>> git_line(fs::path repository, std::vector<std::string> arguments, std::string input,
                                          std::map<std::string, std::string> environment) {
    auto output = co_await git(std::move(repository), std::move(arguments), std::move(input), std::move(environment));
    while (output && output->ends_with('\n')) output->pop_back();
    co_return output;
}

Task<void> make_bare(fs::path path, std::string default_branch) {
    fs::create_directories(path.parent_path());
    auto made = co_await git(path, {"init", "-q", "--bare", "--template=", "--initial-branch=" + default_branch});
    fs::create_directories(path / "hooks");
    auto hooked = posix::write_file_atomically(path / "hooks" / "pre-receive", kPreReceive, 0755);
    if (!made || !hooked) throw std::runtime_error("no repository can be made at " + path.string());
}

Task<std::string> commit_file(fs::path repository, std::string branch, std::string path,
                              std::optional<std::string> content, std::string message) {
    const auto index = repository / ("index." + random_token(4));
    const std::map<std::string, std::string> environment{{"GIT_INDEX_FILE", index.string()}};
    const auto ref = "refs/heads/" + branch;
    auto parent = co_await git_line(repository, {"rev-parse", "--verify", "--quiet", ref});
    if (parent) co_await git(repository, {"read-tree", *parent}, {}, environment);
    if (content) {
        auto blob = co_await git_line(repository, {"hash-object", "-w", "--stdin"}, std::move(*content));
        co_await git(repository, {"update-index", "--add", "--cacheinfo", "100644", blob.value(), path}, {},
                     environment);
    } else {
        co_await git(repository, {"update-index", "--force-remove", path}, {}, environment);
    }
    auto tree = co_await git_line(repository, {"write-tree"}, {}, environment);
    std::vector<std::string> commit{"commit-tree", tree.value(), "-m", message};
    if (parent) commit.insert(commit.end(), {"-p", *parent});
    auto made = co_await git_line(repository, std::move(commit));
    co_await git(repository, {"update-ref", ref, made.value()});
    fs::remove(index);
    co_return made.value();
}

Task<http::Reply> serve_git(World* world, http::Request request) {
    const auto question = std::min(request.target.find('?'), request.target.size());
    const auto path = request.target.substr(0, question);
    const auto query = request.target.substr(std::min(question + 1, request.target.size()));
    const auto end = path.find(".git/");
    const auto slash = path.find('/', 1);
    const auto owner = path.substr(1, slash - 1);
    const auto name = path.substr(slash + 1, end - slash - 1);
    const auto* token = token_of(*world, request.headers);
    if (!token) co_return reply(ask_for_login());
    const auto* hosted = world->hosted(owner, name);
    if (!hosted || !world->sees(*token, name)) co_return reply(plain(404, "Repository not found."));
    const bool writes = path.ends_with("git-receive-pack") || query == "service=git-receive-pack";
    if (!world->permits(*token, "contents", writes ? "write" : "read"))
        co_return reply(plain(403, "Write access to repository not granted."));

    process::Spec spec;
    spec.argv = {"git", "http-backend"};
    auto& environment = spec.environment = git_environment();
    environment["GIT_PROJECT_ROOT"] = world->directory.path().string();
    environment["GIT_HTTP_EXPORT_ALL"] = "1";
    environment["PATH_INFO"] = path;
    environment["QUERY_STRING"] = query;
    environment["REQUEST_METHOD"] = request.method;
    environment["REMOTE_USER"] = "x-access-token";
    environment["REMOTE_ADDR"] = "127.0.0.1";
    environment["CONTENT_LENGTH"] = std::to_string(request.body.size());
    environment["CONTENT_TYPE"] = request.headers.get("Content-Type").value_or("");
    environment["HTTP_CONTENT_ENCODING"] = request.headers.get("Content-Encoding").value_or("");
    environment["GIT_PROTOCOL"] = request.headers.get("Git-Protocol").value_or("");
    for (const auto& [branch, rules] : hosted->protections)
        environment["FAKE_PROTECTED"] += "refs/heads/" + branch + " ";
    environment["FAKE_WORKFLOWS"] = world->permits(*token, "workflows", "write") ? "yes" : "no";
    spec.input = std::move(request.body);
    auto outcome = co_await process::run(std::move(spec), {.output_bytes = 256u << 20});
    if (!outcome || !outcome->ok())
        co_return reply(plain(500, "git http-backend: " + (outcome ? outcome->describe() : outcome.error().message)));
    co_return reply(parse_cgi(outcome->output));
}

}  // namespace codegen::testing::github
