#include "shared/clients/docker/docker_client.hpp"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "shared/async/deadline.hpp"
#include "shared/clients/docker/docker_messages.hpp"
#include "shared/clients/docker/docker_upload.hpp"

namespace codegen::clients {
namespace json = boost::json;
using std::chrono::seconds;

namespace {

constexpr std::string_view kApi = "/v1.41";

Error from_transport(Error error, std::string_view socket) {
    if (error.code == "connection") error.code = "unavailable";
    return in_context(std::move(error), fmt::format("Docker engine at {}", socket));
}

Error from_status(unsigned status, std::string_view body) {
    json::error_code ignored;
    std::string said = text_at(json::parse(body, ignored), {"message"});
    if (said.empty()) said = fmt::format("status {}: {}", status, body.substr(0, 200));
    Error error{ErrorCategory::permanent, "engine", "Docker engine: " + said, {}};
    if (status == 400) error.code = "invalid";
    if (status == 404) error.code = "not_found";
    if (status == 409) error.code = "conflict";
    if (status >= 500) error.category = ErrorCategory::transient;
    return error;
}

std::string query(std::string_view name, std::string_view value) {
    return fmt::format("{}={}", name, http::percent_encode(value));
}

std::string filters(const json::object& fields) { return query("filters", json::serialize(fields)); }

std::map<std::string, std::string> text_map(const json::value* value) {
    std::map<std::string, std::string> map;
    if (value && value->is_object())
        for (const auto& [key, text] : value->get_object())
            if (text.is_string()) map.emplace(key, text.get_string());
    return map;
}

std::vector<std::string> text_list(const json::value* value) {
    std::vector<std::string> list;
    if (value && value->is_array())
        for (const json::value& text : value->get_array())
            if (text.is_string()) list.emplace_back(text.get_string());
    return list;
}

// Seconds since 1970 in a list, RFC 3339 when inspected.
Timestamp created_at(const json::value& value) {
    if (auto text = parse_timestamp(text_at(value, {"Created"}))) return *text;
    return Timestamp(std::chrono::seconds(number_at(value, {"Created"})));
}

Image image_of(const json::value& value) {
    const json::value* labels = find(value, {"Labels"});
    std::string parent = text_at(value, {"ParentId"});  // of a list
    return {.id = text_at(value, {"Id"}),
            .parent = parent.empty() ? text_at(value, {"Parent"}) : parent,
            .tags = text_list(find(value, {"RepoTags"})),
            .repo_digests = text_list(find(value, {"RepoDigests"})),
            .labels = text_map(labels ? labels : find(value, {"Config", "Labels"})),
            .size = number_at(value, {"Size"}),
            .created = created_at(value),
            .os = text_at(value, {"Os"}),
            .machine = text_at(value, {"Architecture"}),
            .environment = text_list(find(value, {"Config", "Env"}))};
}

std::string without_slash(std::string name) { return name.starts_with('/') ? name.substr(1) : name; }

std::string container_path(std::string_view id, std::string_view rest) {
    return fmt::format("/containers/{}{}", http::percent_encode(id), rest);
}

}  // namespace

DockerClient::DockerClient(asio::any_io_executor executor, std::string socket)
    : socket_(std::move(socket)),
      http_(std::make_shared<http::Client>(
          executor, http::Url{.scheme = http::Url::Scheme::unix_socket, .host = {}, .port = 0, .path = socket_})) {}

Result<DockerClient> DockerClient::make(asio::any_io_executor executor, std::string_view docker_host) {
    constexpr std::string_view kScheme = "unix://";
    if (!docker_host.starts_with(kScheme) || docker_host.size() <= kScheme.size() || docker_host[kScheme.size()] != '/')
        return fail(ErrorCategory::permanent, "invalid",
                    fmt::format("DOCKER_HOST is \"{}\": expected unix:///path/to/docker.sock (workers are bound to "
                                "directories of this machine, so the engine must be on it)",
                                docker_host));
    return DockerClient(executor, std::string(docker_host.substr(kScheme.size())));
}

Task<Result<http::Response>> DockerClient::call(std::string method, std::string target, std::optional<json::value> body,
                                                std::chrono::milliseconds timeout) {
    http::Request request{
        .method = std::move(method), .target = fmt::format("{}{}", kApi, target), .headers = {}, .body = {}};
    request.headers.set("Host", "docker");
    if (body) {
        request.headers.set("Content-Type", "application/json");
        request.body = json::serialize(*body);
    }
    auto response = co_await http_->send(std::move(request), timeout);
    if (!response) co_return std::unexpected(from_transport(response.error(), socket_));
    if (response->status >= 400) co_return std::unexpected(from_status(response->status, response->body));
    co_return response;
}

Task<Result<json::value>> DockerClient::call_json(std::string method, std::string target,
                                                  std::optional<json::value> body, std::chrono::milliseconds timeout) {
    auto response = co_await call(std::move(method), std::move(target), std::move(body), timeout);
    if (!response) co_return std::unexpected(response.error());
    if (response->body.empty()) co_return json::value();
    json::error_code error;
    json::value value = json::parse(response->body, error);
    if (error) co_return fail(ErrorCategory::permanent, "protocol", "Docker engine: not JSON: " + error.message());
    co_return value;
}

Task<Result<EngineVersion>> DockerClient::version() {
    auto answer = co_await call_json("GET", "/version", {}, seconds(5));
    if (!answer) co_return std::unexpected(answer.error());
    co_return EngineVersion{text_at(*answer, {"Version"}), text_at(*answer, {"ApiVersion"})};
}

Task<Result<void>> DockerClient::ping() {
    auto answer = co_await call("GET", "/_ping", {}, seconds(5));
    if (!answer) co_return std::unexpected(answer.error());
    co_return Result<void>();
}

Task<Result<Image>> DockerClient::inspect_image(std::string reference) {
    auto answer = co_await call_json("GET", fmt::format("/images/{}/json", reference));
    if (!answer) co_return std::unexpected(answer.error());
    co_return image_of(*answer);
}

namespace {

std::vector<Image> images_of(const json::value& answer) {
    std::vector<Image> images;
    if (answer.is_array())
        for (const json::value& image : answer.get_array()) images.push_back(image_of(image));
    return images;
}

}  // namespace

Task<Result<std::vector<Image>>> DockerClient::list_images(std::string label) {
    auto answer = co_await call_json("GET", "/images/json?" + filters({{"label", json::array{json::string(label)}}}));
    if (!answer) co_return std::unexpected(answer.error());
    co_return images_of(*answer);
}

Task<Result<std::int64_t>> DockerClient::prune_untagged_images(std::string label) {
    auto answer = co_await call_json(
        "POST",
        "/images/prune?" + filters({{"dangling", json::array{"true"}}, {"label", json::array{json::string(label)}}}),
        {}, seconds(300));
    if (!answer) co_return std::unexpected(answer.error());
    co_return number_at(*answer, {"SpaceReclaimed"});
}

Task<Result<std::vector<Image>>> DockerClient::list_all_images() {
    auto answer = co_await call_json("GET", "/images/json?all=1");
    if (!answer) co_return std::unexpected(answer.error());
    co_return images_of(*answer);
}

Task<Result<void>> DockerClient::tag_image(std::string reference, std::string repository, std::string tag) {
    auto answer = co_await call(
        "POST", fmt::format("/images/{}/tag?{}&{}", reference, query("repo", repository), query("tag", tag)), {},
        seconds(30));
    if (!answer) co_return std::unexpected(answer.error());
    co_return Result<void>();
}

Task<Result<void>> DockerClient::remove_image(std::string reference, bool force) {
    auto answer =
        co_await call("DELETE", fmt::format("/images/{}?force={}", reference, force ? 1 : 0), {}, seconds(120));
    if (!answer) co_return std::unexpected(answer.error());
    co_return Result<void>();
}

namespace {

Task<Result<std::string>> upload_with_log(std::string socket, std::string target, BodySource body,
                                          DockerClient::OnLine on_line) {
    auto log = std::make_shared<ProgressLog>(std::move(on_line));
    auto answer = co_await upload(std::move(socket), std::move(target), std::move(body),
                                  [log](const json::value& message) { log->feed(message); });
    if (!answer) co_return std::unexpected(answer.error());
    if (answer->status >= 400) co_return std::unexpected(from_status(answer->status, answer->error_body));
    co_return log->finish();
}

}  // namespace

Task<Result<std::string>> DockerClient::pull_image(std::string reference, OnLine on_line,
                                                   std::chrono::milliseconds limit) {
    auto target = fmt::format("{}/images/create?{}", kApi, query("fromImage", reference));
    co_return co_await async::with_timeout(
        upload_with_log(
            socket_, target, [] { return Result<std::string>(std::string()); }, std::move(on_line)),
        limit, "pull " + reference);
}

Task<Result<std::string>> DockerClient::import_image(BodySource root_tar, std::string repository, std::string tag,
                                                     OnLine on_line, std::chrono::milliseconds limit) {
    auto target = fmt::format("{}/images/create?{}&{}&{}", kApi, query("fromSrc", "-"), query("repo", repository),
                              query("tag", tag));
    co_return co_await async::with_timeout(upload_with_log(socket_, target, std::move(root_tar), std::move(on_line)),
                                           limit, fmt::format("import {}:{}", repository, tag));
}

Task<Result<std::string>> DockerClient::build_image(BuildRequest request, OnLine on_line,
                                                    std::chrono::milliseconds limit) {
    json::object labels;
    for (const auto& [name, value] : request.labels) labels[name] = value;
    json::object arguments;
    for (const auto& [name, value] : request.arguments) arguments[name] = value;
    auto target = fmt::format("{}/build?{}&{}&{}&rm=1&forcerm=1&pull={}", kApi, query("t", request.tag),
                              query("buildargs", json::serialize(arguments)), query("labels", json::serialize(labels)),
                              request.pull ? 1 : 0);
    co_return co_await async::with_timeout(
        upload_with_log(socket_, target, std::move(request.context), std::move(on_line)), limit,
        "build " + request.tag);
}

Task<Result<std::string>> DockerClient::create_container(std::string name, ContainerSpec spec) {
    auto answer =
        co_await call_json("POST", "/containers/create?" + query("name", name), create_body(spec), seconds(60));
    if (!answer) co_return std::unexpected(answer.error());
    std::string id = text_at(*answer, {"Id"});
    if (id.empty())
        co_return fail(ErrorCategory::permanent, "protocol", "Docker engine: create answered without an id");
    co_return id;
}

Task<Result<void>> DockerClient::start_container(std::string id) {
    auto answer = co_await call("POST", container_path(id, "/start"), {}, seconds(60));
    if (!answer) co_return std::unexpected(answer.error());
    co_return Result<void>();
}

Task<Result<void>> DockerClient::rename_container(std::string id, std::string name) {
    auto answer = co_await call("POST", container_path(id, "/rename?" + query("name", name)), {}, seconds(30));
    if (!answer) co_return std::unexpected(answer.error());
    co_return Result<void>();
}

Task<Result<void>> DockerClient::stop_container(std::string id, seconds grace) {
    auto answer =
        co_await call("POST", container_path(id, fmt::format("/stop?t={}", grace.count())), {}, grace + seconds(30));
    if (!answer) co_return std::unexpected(answer.error());
    co_return Result<void>();
}

Task<Result<void>> DockerClient::kill_container(std::string id, std::string signal) {
    auto answer = co_await call("POST", container_path(id, "/kill?" + query("signal", signal)), {}, seconds(30));
    if (!answer) co_return std::unexpected(answer.error());
    co_return Result<void>();
}

Task<Result<void>> DockerClient::pause_container(std::string id) {
    auto answer = co_await call("POST", container_path(id, "/pause"), {}, seconds(30));
    if (!answer) co_return std::unexpected(answer.error());
    co_return Result<void>();
}

Task<Result<void>> DockerClient::unpause_container(std::string id) {
    auto answer = co_await call("POST", container_path(id, "/unpause"), {}, seconds(30));
    if (!answer) co_return std::unexpected(answer.error());
    co_return Result<void>();
}

Task<Result<int>> DockerClient::wait_container(std::string id) {
    // Ten years stand for "no limit".
    auto answer = co_await call_json("POST", container_path(id, "/wait"), {}, std::chrono::hours(87600));
    if (!answer) co_return std::unexpected(answer.error());
    co_return static_cast<int>(number_at(*answer, {"StatusCode"}));
}

Task<Result<Container>> DockerClient::inspect_container(std::string id) {
    auto answer = co_await call_json("GET", container_path(id, "/json"));
    if (!answer) co_return std::unexpected(answer.error());
    co_return Container{.id = text_at(*answer, {"Id"}),
                        .name = without_slash(text_at(*answer, {"Name"})),
                        .status = text_at(*answer, {"State", "Status"}),
                        .running = flag_at(*answer, {"State", "Running"}),
                        .pid = static_cast<int>(number_at(*answer, {"State", "Pid"})),
                        .exit_code = static_cast<int>(number_at(*answer, {"State", "ExitCode"})),
                        .out_of_memory = flag_at(*answer, {"State", "OOMKilled"}),
                        .error = text_at(*answer, {"State", "Error"}),
                        .labels = text_map(find(*answer, {"Config", "Labels"})),
                        .image_id = text_at(*answer, {"Image"})};
}

Task<Result<std::vector<Container>>> DockerClient::list_containers(std::vector<std::string> labels) {
    json::array wanted(labels.begin(), labels.end());
    auto answer = co_await call_json("GET", "/containers/json?all=1&" + filters({{"label", std::move(wanted)}}));
    if (!answer) co_return std::unexpected(answer.error());
    std::vector<Container> containers;
    if (!answer->is_array()) co_return containers;
    for (const json::value& entry : answer->get_array()) {
        Container container{.id = text_at(entry, {"Id"}),
                            .name = {},
                            .status = text_at(entry, {"State"}),
                            .running = false,
                            .pid = 0,
                            .exit_code = 0,
                            .out_of_memory = false,
                            .error = {},
                            .labels = text_map(find(entry, {"Labels"})),
                            .image_id = text_at(entry, {"ImageID"})};
        container.running = container.status == "running" || container.status == "paused";
        auto names = text_list(find(entry, {"Names"}));
        if (!names.empty()) container.name = without_slash(names.front());
        containers.push_back(std::move(container));
    }
    co_return containers;
}

Task<Result<bool>> DockerClient::path_exists(std::string id, std::string path) {
    auto answer = co_await call("HEAD", container_path(id, "/archive?" + query("path", path)), {}, seconds(30));
    if (answer) co_return true;
    if (answer.error().code == "not_found") co_return false;
    co_return std::unexpected(answer.error());
}

Task<Result<void>> DockerClient::remove_container(std::string id, bool force) {
    auto answer =
        co_await call("DELETE", container_path(id, fmt::format("?v=1&force={}", force ? 1 : 0)), {}, seconds(60));
    if (!answer) co_return std::unexpected(answer.error());
    co_return Result<void>();
}

Task<Result<std::string>> DockerClient::container_logs(std::string id, int tail_lines) {
    auto answer = co_await call("GET", container_path(id, fmt::format("/logs?stdout=1&stderr=1&tail={}", tail_lines)),
                                {}, seconds(30));
    if (!answer) co_return std::unexpected(answer.error());
    std::string text;
    Demultiplexer().feed(answer->body, [&](int, std::string_view data) { text.append(data); });
    if (text.size() > (1u << 20)) text.erase(0, text.size() - (1u << 20));
    co_return text;
}

}  // namespace codegen::clients
