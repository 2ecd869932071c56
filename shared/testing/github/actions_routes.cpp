// https://docs.github.com/en/rest/actions
#include <fmt/format.h>
#include <sodium.h>

#include <stdexcept>

#include "shared/base/base64.hpp"
#include "shared/testing/github/world.hpp"

namespace codegen::testing::github {
namespace {

constexpr std::string_view kKeyId = "568250167242549743";

unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

Task<http::Response> get_secrets_key(World* world, Exchange exchange) {
    auto& hosted = hosted_by(world, exchange);
    if (hosted.secrets_public.empty()) {
        if (::sodium_init() < 0) throw std::runtime_error("libsodium cannot start");
        hosted.secrets_public.resize(crypto_box_PUBLICKEYBYTES);
        hosted.secrets_private.resize(crypto_box_SECRETKEYBYTES);
        ::crypto_box_keypair(bytes(hosted.secrets_public), bytes(hosted.secrets_private));
    }
    co_return answer(200, {{"key_id", kKeyId}, {"key", base64(hosted.secrets_public)}});
}

Task<http::Response> put_secret(World* world, Exchange exchange) {
    auto& hosted = hosted_by(world, exchange);
    auto sealed = from_base64(exchange.text("encrypted_value"));
    if (exchange.text("key_id") != kKeyId || !sealed || sealed->size() < crypto_box_SEALBYTES)
        co_return refuse(422, "Bad request - key ID does not match the current key");
    std::string opened(sealed->size() - crypto_box_SEALBYTES, '\0');
    if (::crypto_box_seal_open(bytes(opened), bytes(*sealed), sealed->size(), bytes(hosted.secrets_public),
                               bytes(hosted.secrets_private)) != 0)
        co_return refuse(422, "The secret cannot be decrypted");
    const bool known = hosted.secrets.contains(exchange.param("name"));
    hosted.secrets[exchange.param("name")] = std::move(opened);
    co_return known ? nothing() : answer(201, boost::json::object());
}

Task<http::Response> list_secrets(World* world, Exchange exchange) {
    boost::json::array all;
    for (const auto& [name, value] : hosted_by(world, exchange).secrets)
        all.push_back(boost::json::object{{"name", name}, {"created_at", "2026-01-01T00:00:00Z"}});
    co_return page(*world, exchange, all, "secrets");
}

Task<http::Response> delete_secret(World* world, Exchange exchange) {
    if (hosted_by(world, exchange).secrets.erase(exchange.param("name")) == 0) co_return refuse(404, "Not Found");
    co_return nothing();
}

boost::json::object run_json(const World& world, const Hosted& hosted, const Run& run) {
    return {{"id", run.id},
            {"name", run.workflow},
            {"display_title", run.title},
            {"path", ".github/workflows/" + run.workflow},
            {"event", "workflow_dispatch"},
            {"head_branch", run.branch},
            {"head_sha", run.sha},
            {"status", run.status},
            {"conclusion", run.conclusion.empty() ? boost::json::value(nullptr) : boost::json::value(run.conclusion)},
            {"html_url",
             fmt::format("{}/{}/{}/actions/runs/{}", world.base_url, world.options.organization, hosted.name, run.id)},
            {"created_at", "2026-01-01T00:00:00Z"}};
}

Task<http::Response> dispatch(World* world, Exchange exchange) {
    auto& hosted = hosted_by(world, exchange);
    const auto workflow = exchange.param("workflow");
    const auto ref = exchange.text("ref");
    const auto& body = exchange.body.as_object();
    const bool asks = body.contains("return_run_details");
    if (asks && !world->options.returns_run_details)
        co_return refuse(422, "Invalid request. \"return_run_details\" is not a permitted key.");
    const auto path = hosted.path;
    auto sha = co_await git_line(path, {"rev-parse", "--verify", "--quiet", ref + "^{commit}"});
    if (!sha) co_return refuse(422, fmt::format("No ref found for: {}", ref));
    auto text = co_await git(path, {"cat-file", "blob", *sha + ":.github/workflows/" + workflow});
    if (!text) co_return refuse(404, "Not Found");
    if (!text->contains("workflow_dispatch"))
        co_return refuse(422, "Workflow does not have 'workflow_dispatch' trigger");
    Run run;
    run.id = world->next_id++;
    run.workflow = workflow;
    run.title = workflow;
    run.branch = ref;
    run.sha = *sha;
    run.hidden = world->options.run_appears_after;
    // A workflow with a run-name shows its inputs.
    if (const auto* inputs = body.if_contains("inputs"))
        for (const auto& [name, value] : inputs->as_object()) {
            if (!text->contains(name))
                co_return refuse(422, fmt::format("Unexpected inputs provided: [\"{}\"]", std::string_view(name)));
            if (text->contains("run-name")) run.title += " " + std::string(value.as_string());
        }
    hosted_by(world, exchange).runs.push_back(run);
    if (!asks) co_return nothing();
    co_return answer(200, {{"workflow_run_id", run.id}});
}

Run* find_run(World* world, const Exchange& exchange) {
    for (auto& run : hosted_by(world, exchange).runs)
        if (std::to_string(run.id) == exchange.param("id")) return &run;
    return nullptr;
}

Task<http::Response> list_runs(World* world, Exchange exchange) {
    auto& hosted = hosted_by(world, exchange);
    boost::json::array all;
    for (auto run = hosted.runs.rbegin(); run != hosted.runs.rend(); ++run) {
        const auto branch = exchange.query("branch");
        const auto workflow = exchange.param("workflow");
        if ((!branch.empty() && branch != run->branch) || (!workflow.empty() && workflow != run->workflow)) continue;
        if (run->hidden > 0)
            --run->hidden;
        else
            all.push_back(run_json(*world, hosted, *run));
    }
    co_return page(*world, exchange, all, "workflow_runs");
}

Task<http::Response> get_run(World* world, Exchange exchange) {
    const auto* run = find_run(world, exchange);
    if (!run) co_return refuse(404, "Not Found");
    co_return answer(200, run_json(*world, hosted_by(world, exchange), *run));
}

Task<http::Response> cancel_run(World* world, Exchange exchange) {
    auto* run = find_run(world, exchange);
    if (!run) co_return refuse(404, "Not Found");
    if (run->status == "completed") co_return refuse(409, "Cannot cancel a workflow run that is completed.");
    run->status = "completed";
    run->conclusion = "cancelled";
    co_return answer(202, boost::json::object());
}

// Elsewhere, as the real one: a path that takes no token.
Task<http::Response> redirect_to_logs(World* world, Exchange exchange) {
    const auto* run = find_run(world, exchange);
    if (!run || run->logs.empty()) co_return refuse(404, "Not Found");
    http::Response response;
    response.status = 302;
    response.headers.set("Location", fmt::format("{}/_storage/logs/{}?sig=signed", world->base_url, run->id));
    co_return response;
}

}  // namespace

void add_actions_routes(World& world, http::Router& router) {
    const std::string base = "/repos/{owner}/{repo}/actions";
    world.add(router, "GET", base + "/secrets/public-key", "secrets", "read", get_secrets_key);
    world.add(router, "GET", base + "/secrets", "secrets", "read", list_secrets);
    world.add(router, "PUT", base + "/secrets/{name}", "secrets", "write", put_secret);
    world.add(router, "DELETE", base + "/secrets/{name}", "secrets", "write", delete_secret);
    world.add(router, "POST", base + "/workflows/{workflow}/dispatches", "actions", "write", dispatch);
    world.add(router, "GET", base + "/workflows/{workflow}/runs", "actions", "read", list_runs);
    world.add(router, "GET", base + "/runs", "actions", "read", list_runs);
    world.add(router, "GET", base + "/runs/{id}", "actions", "read", get_run);
    world.add(router, "POST", base + "/runs/{id}/cancel", "actions", "write", cancel_run);
    world.add(router, "GET", base + "/runs/{id}/logs", "actions", "read", redirect_to_logs);
}

}  // namespace codegen::testing::github
