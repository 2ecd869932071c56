#include "shared/clients/github/contents.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "shared/base/base64.hpp"
#include "shared/clients/github/session.hpp"
#include "shared/http/url.hpp"

namespace codegen::clients {
namespace {

using github::EncodedFile;
using github::File;
using github::FileChange;
using github::FileEntry;
using SessionPtr = std::shared_ptr<github::Session>;

// The file at a branch, for messages: "acme/shop main:src/a.txt".
std::string place_of(const github::Session& session, std::string_view repository, std::string_view ref,
                     std::string_view path) {
    return fmt::format("{}/{} {}:{}", session.options().organization, repository, ref.empty() ? "HEAD" : ref, path);
}

Result<std::string> contents_target(const github::Session& session, std::string_view repository, std::string_view path,
                                    std::string_view ref) {
    auto base = session.repository_path(repository);
    if (!base) return base;
    *base += "/contents";
    if (!path.empty()) {
        const auto encoded = github::encoded_path(path);
        if (!encoded) return encoded;
        *base += "/" + *encoded;
    }
    if (!ref.empty()) *base += "?ref=" + http::percent_encode(ref);
    return base;
}

Task<Result<File>> get_file(SessionPtr session, std::string repository, std::string path, std::string ref) {
    const auto place = place_of(*session, repository, ref, path);
    if (auto named = github::encoded_path(path); !named) co_return std::unexpected(named.error());
    auto target = contents_target(*session, repository, path, ref);
    if (!target) co_return std::unexpected(target.error());
    auto response = co_await session->call({.operation = "get file", .target = std::move(*target)});
    if (!response) co_return std::unexpected(in_context(std::move(response.error()), place));
    auto found = json::parse<EncodedFile>(response->body);  // a folder is an array
    if (!found || (found->type != "file" && !found->type.empty()))
        co_return fail(ErrorCategory::permanent, "invalid", place + ": is not a file");
    if (found->encoding == "none") {
        auto blob = co_await session->get<EncodedFile>(
            {.operation = "get blob",
             .target = session->repository_path(repository).value() + "/git/blobs/" + found->sha});
        if (!blob) co_return std::unexpected(in_context(std::move(blob.error()), place));
        *found = std::move(*blob);
    }
    auto content = from_base64(found->content);
    if (!content || (found->encoding != "base64" && !found->content.empty()))
        co_return fail(ErrorCategory::permanent, "protocol",
                       fmt::format("{}: encoding \"{}\" cannot be read", place, found->encoding));
    co_return File{std::move(path), std::move(found->sha), std::move(*content)};
}

Task<Result<std::vector<FileEntry>>> list_files(SessionPtr session, std::string repository, std::string path,
                                                std::string ref) {
    auto target = contents_target(*session, repository, path, ref);
    if (!target) co_return std::unexpected(target.error());
    auto entries = co_await session->list<FileEntry>({.operation = "list files", .target = std::move(*target)});
    if (!entries)
        co_return std::unexpected(in_context(std::move(entries.error()), place_of(*session, repository, ref, path)));
    co_return entries;
}

Task<Result<std::optional<std::string>>> put(SessionPtr session, FileChange change) {
    const auto place = place_of(*session, change.repository, change.branch, change.path);
    auto target = contents_target(*session, change.repository, change.path, {});
    if (!target) co_return std::unexpected(target.error());
    auto before = co_await get_file(session, change.repository, change.path, change.branch);
    if (!before && before.error().code != "not_found") co_return std::unexpected(std::move(before.error()));
    if (before && before->content == change.content) co_return std::nullopt;
    boost::json::object body{{"message", change.message}, {"content", base64(change.content)}};
    if (!change.branch.empty()) body["branch"] = change.branch;
    if (change.sha)
        body["sha"] = *change.sha;
    else if (before)
        body["sha"] = before->sha;
    auto written = co_await session->get<github::FileCommit>(
        {.operation = "put file", .method = "PUT", .target = std::move(*target), .body = boost::json::serialize(body)});
    if (written) co_return std::move(written->commit.sha);
    if (github::is_unsure(written.error())) {
        auto after = co_await get_file(session, change.repository, change.path, change.branch);
        if (after && after->content == change.content) co_return std::nullopt;
    }
    co_return std::unexpected(in_context(std::move(written.error()), place));
}

}  // namespace

Task<Result<File>> GitHubClient::file(std::string repository, std::string path, std::string ref) {
    return get_file(session_, std::move(repository), std::move(path), std::move(ref));
}

Task<Result<std::vector<FileEntry>>> GitHubClient::files(std::string repository, std::string folder, std::string ref) {
    return list_files(session_, std::move(repository), std::move(folder), std::move(ref));
}

Task<Result<std::optional<std::string>>> GitHubClient::put_file(FileChange change) {
    return put(session_, std::move(change));
}

}  // namespace codegen::clients
