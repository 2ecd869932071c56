// What people see of the manager: views, the HTTP front, the evidence of workers that are gone.
#include <fmt/format.h>

#include <charconv>

#include "services/worker-manager/manager.hpp"
#include "shared/base/ids.hpp"
#include "shared/http/url.hpp"
#include "shared/json/enum.hpp"
#include "shared/logging/log.hpp"

namespace codegen::worker_manager {
namespace {

std::optional<std::string> from_context(const contracts::CreateWorkerCommand& command, const std::string& name) {
    const auto found = command.context.find(name);
    return found == command.context.end() || found->second.empty() ? std::nullopt : std::optional(found->second);
}

std::optional<std::int64_t> number(const std::optional<std::string>& text) {
    std::int64_t value = 0;
    if (!text || std::from_chars(text->data(), text->data() + text->size(), value).ec != std::errc{}) return {};
    return value;
}

std::optional<std::string> unless_empty(const std::string& text) {
    return text.empty() ? std::nullopt : std::optional(text);
}

}  // namespace

Result<void> Manager::prepare_front() {
    auto secrets = options_.people.secrets;
    secrets.push_back(options_.service_token);
    secrets.push_back(options_.redis.password);
    for (const auto& provider : options_.providers) {
        constexpr std::string_view kScheme = "Bearer ";
        const auto& value = provider.key_value;
        secrets.push_back(value.starts_with(kScheme) ? value.substr(kScheme.size()) : value);
    }
    const auto redact = std::make_shared<const Redactor>(std::move(secrets));
    evidence_ = std::make_unique<Evidence>(options_.state_directory / "evidence", options_.people.evidence, redact);
    if (auto opened = evidence_->open(); !opened) return std::unexpected(in_context(opened.error(), "evidence"));
    FrontDoorways doorways;
    doorways.workers = [this] {
        std::vector<contracts::WorkerView> views;
        for (const auto& [id, worker] : workers_) views.push_back(view(*worker));
        return views;
    };
    doorways.remove = [this](std::string worker_id) {
        contracts::DeleteWorkerCommand command;
        command.worker_id = std::move(worker_id);
        return on_delete(std::move(command));
    };
    doorways.host = options_.host;
    doorways.images = &images_;
    doorways.state_directory = [this](const std::string& worker_id) { return directories(worker_id).state(); };
    auto front =
        Front::make(executor_, options_.people, options_.api_url, std::move(doorways), *runtime_, *evidence_, redact);
    if (!front) return std::unexpected(front.error());
    front_ = std::move(*front);
    return {};
}

Task<void> Manager::announce_to_people() {
    const auto target = "/api/hosts/" + http::percent_encode(options_.host);
    for (bool told = false;;) {
        const auto body =
            json::write(contracts::HostAnnouncement{front_->url(), static_cast<std::int64_t>(options_.max_workers)});
        auto done = co_await api_->call("PUT", target, body);
        if (done) {
            told = false;
        } else if (!stopping_ && !std::exchange(told, true)) {
            log::warning("people cannot find this manager: its announcement failed, it is tried again",
                         {{"host", options_.host}, {"error", done.error().message}});
        }
        co_await async::sleep_for(options_.people.announce_interval);
    }
}

contracts::WorkerView Manager::view(const Worker& worker) const {
    const auto& row = worker.row;
    contracts::WorkerView view;
    view.worker_id = row.worker_id;
    view.host = options_.host;
    view.runtime = row.runtime;
    view.status = row.state;
    view.worker_type = worker.command.config.worker_type;
    view.agent_type = worker.command.config.agent_type;
    view.attempt = row.attempt;
    view.task_id = from_context(worker.command, "task_id");
    view.project_id = from_context(worker.command, "project_id");
    view.user_id = number(from_context(worker.command, "user_id"));
    view.image = unless_empty(row.image);
    view.body_id = unless_empty(row.body_id);
    view.ended = row.ended;
    if (row.exit_code) view.exit_code = *row.exit_code;
    view.out_of_memory = row.out_of_memory;
    view.error = unless_empty(row.error);
    view.gateway = gateway_counts(worker);
    view.created_at = row.created_at;
    view.updated_at = row.updated_at;
    return view;
}

// A full disk must not keep a worker alive: what cannot be kept is lost, and said.
Task<void> Manager::keep_evidence(WorkerPtr worker) {
    auto last = view(*worker);
    last.status = contracts::WorkerState::STOPPED;
    auto kept = co_await evidence_->keep(std::move(last), directories(worker->row.worker_id).state());
    if (!kept)
        log::error("log and transcript of a worker are lost",
                   {{"worker_id", worker->row.worker_id}, {"error", kept.error().message}});
}

}  // namespace codegen::worker_manager
