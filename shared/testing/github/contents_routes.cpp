// https://docs.github.com/en/rest/repos/contents
#include <fmt/format.h>

#include <charconv>

#include "shared/base/base64.hpp"
#include "shared/testing/github/world.hpp"

namespace codegen::testing::github {
namespace {

constexpr std::size_t kInline = 1u << 20;  // larger files come without their content

std::string in_lines(const std::string& text) {
    std::string out;
    for (std::size_t at = 0; at < text.size(); at += 60) out += text.substr(at, 60) + "\n";
    return out;
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

Task<http::Response> list_folder(Hosted hosted, std::string ref, std::string path) {
    auto tree = co_await git(hosted.path, {"ls-tree", "-z", "-l", ref + ":" + path});
    if (!tree) co_return refuse(404, "Not Found");
    boost::json::array entries;
    // "<mode> <type> <sha> <size>\t<name>\0"
    for (std::string_view rest = *tree; !rest.empty(); rest.remove_prefix(rest.find('\0') + 1)) {
        const auto line = rest.substr(0, rest.find('\0'));
        const auto tab = line.find('\t');
        const auto name = std::string(line.substr(tab + 1));
        const bool folder = line.substr(7, 4) == "tree";
        const auto sha = line.substr(12, 40);
        std::int64_t size = 0;
        const auto figure = line.substr(line.rfind(' ', tab) + 1);
        std::from_chars(figure.data(), figure.data() + figure.size(), size);
        entries.push_back(boost::json::object{{"type", folder ? "dir" : "file"},
                                              {"name", name},
                                              {"path", path.empty() ? name : path + "/" + name},
                                              {"sha", sha},
                                              {"size", size}});
    }
    co_return answer(200, entries);
}

Task<http::Response> get_contents(World* world, Exchange exchange) {
    const auto hosted = hosted_by(world, exchange);
    const auto path = exchange.param("path");
    const auto ref = exchange.query("ref", hosted.default_branch);
    auto commit = co_await git_line(hosted.path, {"rev-parse", "--verify", "--quiet", ref + "^{commit}"});
    if (!commit)
        co_return refuse(404, path.empty() ? "This repository is empty." : "No commit found for the ref " + ref);
    auto type = co_await git_line(hosted.path, {"cat-file", "-t", *commit + ":" + path});
    if (!type) co_return refuse(404, "Not Found");
    if (*type == "tree") co_return co_await list_folder(hosted, *commit, path);
    auto sha = co_await git_line(hosted.path, {"rev-parse", *commit + ":" + path});
    auto content = co_await git(hosted.path, {"cat-file", "blob", *sha});
    const bool large = content->size() > kInline;
    co_return answer(200, {{"type", "file"},
                           {"name", name_of(path)},
                           {"path", path},
                           {"sha", *sha},
                           {"size", content->size()},
                           {"encoding", large ? "none" : "base64"},
                           {"content", large ? "" : in_lines(base64(*content))}});
}

Task<http::Response> get_blob(World* world, Exchange exchange) {
    const auto hosted = hosted_by(world, exchange);
    auto content = co_await git(hosted.path, {"cat-file", "blob", exchange.param("sha")});
    if (!content) co_return refuse(404, "Not Found");
    co_return answer(200, {{"sha", exchange.param("sha")},
                           {"size", content->size()},
                           {"encoding", "base64"},
                           {"content", in_lines(base64(*content))}});
}

Task<http::Response> put_contents(World* world, Exchange exchange) {
    const auto hosted = hosted_by(world, exchange);
    const auto path = exchange.param("path");
    const auto content = from_base64(exchange.text("content"));
    if (!content) co_return refuse(422, "content is not valid Base64");
    if (exchange.text("message").empty()) co_return refuse(422, "Invalid request. \"message\" wasn't supplied.");
    if (path.starts_with(".github/workflows") && !world->permits(*exchange.token, "workflows", "write"))
        co_return refuse(403, "Resource not accessible by integration");
    const auto branch = exchange.text("branch").empty() ? hosted.default_branch : exchange.text("branch");
    auto there =
        co_await git_line(hosted.path, {"rev-parse", "--verify", "--quiet", "refs/heads/" + branch + ":" + path});
    const auto sha = exchange.text("sha");
    if (there && sha.empty()) co_return refuse(422, "Invalid request. \"sha\" wasn't supplied.");
    if (there && *there != sha) co_return refuse(409, fmt::format("{} does not match {}", path, sha));
    auto commit = co_await commit_file(hosted.path, branch, path, *content, exchange.text("message"));
    auto blob = co_await git_line(hosted.path, {"rev-parse", commit + ":" + path});
    co_return answer(there ? 200 : 201, {{"content", {{"path", path}, {"sha", *blob}}}, {"commit", {{"sha", commit}}}});
}

}  // namespace

void add_contents_routes(World& world, http::Router& router) {
    world.add(router, "GET", "/repos/{owner}/{repo}/contents", "contents", "read", get_contents);
    world.add(router, "GET", "/repos/{owner}/{repo}/contents/{path...}", "contents", "read", get_contents);
    world.add(router, "PUT", "/repos/{owner}/{repo}/contents/{path...}", "contents", "write", put_contents);
    world.add(router, "GET", "/repos/{owner}/{repo}/git/blobs/{sha}", "contents", "read", get_blob);
}

}  // namespace codegen::testing::github
