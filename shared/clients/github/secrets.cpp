// https://docs.github.com/en/rest/actions/secrets
#include <fmt/format.h>

#include <boost/json.hpp>

#include "shared/clients/github/actions.hpp"
#include "shared/clients/github/sealed_box.hpp"
#include "shared/clients/github/session.hpp"

namespace codegen::clients {
namespace {

using SessionPtr = std::shared_ptr<github::Session>;

Result<std::string> secrets_path(const github::Session& session, std::string_view repository) {
    auto path = session.repository_path(repository);
    if (path) *path += "/actions/secrets";
    return path;
}

Task<Result<void>> put(SessionPtr session, std::string repository, std::string name, std::string value) {
    const auto what = fmt::format("{}: secret {}", repository, name);
    if (auto named = github::check_secret_name(name); !named) co_return named;
    auto path = secrets_path(*session, repository);
    if (!path) co_return std::unexpected(std::move(path.error()));
    auto key =
        co_await session->get<github::SecretsKey>({.operation = "get secrets key", .target = *path + "/public-key"});
    if (!key) co_return std::unexpected(in_context(std::move(key.error()), what));
    auto sealed = github::seal_for(key->key, value);
    if (!sealed) co_return std::unexpected(in_context(std::move(sealed.error()), what));
    const boost::json::object body{{"encrypted_value", *sealed}, {"key_id", key->key_id}};
    auto written = co_await session->call({.operation = "put secret",
                                           .method = "PUT",
                                           .target = *path + "/" + name,
                                           .body = boost::json::serialize(body)});
    if (!written) co_return std::unexpected(in_context(std::move(written.error()), what));
    co_return Result<void>{};
}

Task<Result<std::vector<std::string>>> list(SessionPtr session, std::string repository) {
    auto path = secrets_path(*session, repository);
    if (!path) co_return std::unexpected(std::move(path.error()));
    auto found = co_await session->list<github::SecretName>(
        {.operation = "list secrets", .target = *path + "?per_page=100"}, "secrets");
    if (!found) co_return std::unexpected(in_context(std::move(found.error()), repository));
    std::vector<std::string> names;
    for (auto& secret : *found) names.push_back(std::move(secret.name));
    co_return names;
}

Task<Result<void>> remove(SessionPtr session, std::string repository, std::string name) {
    if (auto named = github::check_secret_name(name); !named) co_return named;
    auto path = secrets_path(*session, repository);
    if (!path) co_return std::unexpected(std::move(path.error()));
    auto gone = co_await session->call(
        {.operation = "delete secret", .method = "DELETE", .target = fmt::format("{}/{}", *path, name)});
    if (!gone && gone.error().code != "not_found")
        co_return std::unexpected(in_context(std::move(gone.error()), fmt::format("{}: secret {}", repository, name)));
    co_return Result<void>{};
}

}  // namespace

Task<Result<void>> GitHubClient::put_secret(std::string repository, std::string name, std::string value) {
    return put(session_, std::move(repository), std::move(name), std::move(value));
}

Task<Result<std::vector<std::string>>> GitHubClient::secrets(std::string repository) {
    return list(session_, std::move(repository));
}

Task<Result<void>> GitHubClient::delete_secret(std::string repository, std::string name) {
    return remove(session_, std::move(repository), std::move(name));
}

}  // namespace codegen::clients
