// https://docs.github.com/en/rest/repos/repos
#include <fmt/format.h>

#include <boost/json.hpp>

#include "shared/clients/github/session.hpp"

namespace codegen::clients {
namespace {

using github::CreatedRepository;
using github::NewRepository;
using github::Repository;
using SessionPtr = std::shared_ptr<github::Session>;

Task<Result<Repository>> get_repository(SessionPtr session, std::string name) {
    auto path = session->repository_path(name);
    if (!path) co_return std::unexpected(std::move(path.error()));
    auto found = co_await session->get<Repository>({.operation = "get repository", .target = std::move(*path)});
    if (!found) co_return std::unexpected(in_context(std::move(found.error()), name));
    co_return found;
}

Task<Result<CreatedRepository>> make_repository(SessionPtr session, NewRepository wanted) {
    // Known before, so that what is there afterwards can be told from what was there.
    auto before = co_await get_repository(session, wanted.name);
    if (before) co_return CreatedRepository{std::move(*before), false};
    if (before.error().code != "not_found") co_return std::unexpected(std::move(before.error()));
    boost::json::object body{{"name", wanted.name}, {"private", wanted.is_private}};
    if (!wanted.description.empty()) body["description"] = wanted.description;
    auto made =
        co_await session->get<Repository>({.operation = "create repository",
                                           .method = "POST",
                                           .target = fmt::format("/orgs/{}/repos", session->options().organization),
                                           .body = boost::json::serialize(body)});
    if (made) co_return CreatedRepository{std::move(*made), true};
    // 422: somebody else made it meanwhile, or what is wrong is something else.
    const bool unsure = github::is_unsure(made.error());
    if (!unsure && made.error().code != "invalid") co_return std::unexpected(in_context(made.error(), wanted.name));
    auto after = co_await get_repository(session, wanted.name);
    if (after) co_return CreatedRepository{std::move(*after), unsure};
    co_return std::unexpected(in_context(std::move(made.error()), wanted.name));
}

Task<Result<void>> remove_repository(SessionPtr session, std::string name) {
    auto path = session->repository_path(name);
    if (!path) co_return std::unexpected(std::move(path.error()));
    auto gone =
        co_await session->call({.operation = "delete repository", .method = "DELETE", .target = std::move(*path)});
    if (!gone && gone.error().code != "not_found") co_return std::unexpected(in_context(gone.error(), name));
    co_return Result<void>{};
}

}  // namespace

Task<Result<CreatedRepository>> GitHubClient::create_repository(NewRepository repository) {
    return make_repository(session_, std::move(repository));
}

Task<Result<Repository>> GitHubClient::repository(std::string name) {
    return get_repository(session_, std::move(name));
}

Task<Result<std::vector<Repository>>> GitHubClient::repositories() {
    return session_->list<Repository>({.operation = "list repositories",
                                       .target = fmt::format("/orgs/{}/repos?per_page=100&type=all", organization())});
}

Task<Result<void>> GitHubClient::delete_repository(std::string name) {
    return remove_repository(session_, std::move(name));
}

}  // namespace codegen::clients
