#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>

#include "services/worker-manager/core/context.hpp"
#include "services/worker-manager/core/names.hpp"
#include "services/worker-manager/manager.hpp"
#include "services/worker-manager/place.hpp"
#include "services/worker-manager/repository/tree.hpp"
#include "services/worker-manager/repository/workspace.hpp"
#include "shared/async/deadline.hpp"
#include "shared/base/ids.hpp"
#include "shared/base/retry.hpp"
#include "shared/contracts/keys.hpp"
#include "shared/json/enum.hpp"
#include "shared/logging/log.hpp"
#include "shared/posix/file.hpp"

namespace codegen::worker_manager {
namespace {

std::unexpected<Error> bad(std::string path, std::string why) {
    auto message = fmt::format("{}: {}", path, why);
    return fail(ErrorCategory::permanent, "invalid", std::move(message), std::move(path));
}

std::unexpected<Error> interrupted() {
    return fail(ErrorCategory::permanent, "cancelled", "the worker was deleted while it was being made");
}

// A step of a creation; a deletion or our own end interrupts it. The step runs under the worker's signal instead of
// this coroutine's own cancellation.
template <class T>
Task<Result<T>> step(WorkerPtr worker, Task<Result<T>> work) {
    if (worker->deleting()) co_return interrupted();
    try {
        auto result =
            co_await asio::co_spawn(co_await asio::this_coro::executor, std::move(work),
                                    asio::bind_cancellation_slot(worker->interrupt.slot(), asio::use_awaitable));
        if (!result && worker->deleting()) co_return interrupted();
        co_return result;
    } catch (const boost::system::system_error& e) {
        if (e.code() != asio::error::operation_aborted) throw;
    }
    co_return interrupted();
}

constexpr std::chrono::milliseconds kEngineWait{1000};

Task<void> keep(Task<Result<void>> work, Result<void>* result) {
    auto done = co_await std::move(work);
    *result = std::move(done);
}

}  // namespace

Result<void> Manager::check(const contracts::CreateWorkerCommand& command) const {
    const auto& config = command.config;
    if (auto name = check_worker_id(config.name, "config.name"); !name) return name;
    const auto limits = limits_of(config);
    if (!limits) return std::unexpected(limits.error());
    if (const auto memory = host_memory(); memory && limits->memory_bytes > memory->total)
        return bad("config.memory_limit",
                   fmt::format("{} bytes can never be free here, this host has {}; lower it or WORKER_MEMORY_LIMIT, or "
                               "set WORKER_MEMORY_CHECK=off",
                               limits->memory_bytes, memory->total));
    if (WarmStart::is_slot(config.name))
        return bad("config.name", fmt::format("\"{}\" is reserved for prepared workers; choose another", config.name));
    if (auto user = user_id_of(command); !user) return std::unexpected(user.error());
    if (const auto task = from_context(command, "task_id"); task && !is_uuid(*task))
        return bad("context.task_id", fmt::format("\"{}\" is not a UUID", *task));
    if (const auto session = from_context(command, "session_id"); session && !is_uuid(*session))
        return bad("context.session_id", fmt::format("\"{}\" is not a UUID", *session));
    if (config.image)
        if (auto named = check_image_reference(*config.image, "config.image"); !named) return named;
    if (wants_docker(config) && !options_.docker_socket && options_.docker_isolation.empty())
        return bad("config.capabilities",
                   "\"docker\" is refused: the host's engine in an agent's hands is root on the host. Leave it out; an "
                   "operator who accepts that sets DOCKER_CAPABILITY=socket, one who has an isolating OCI runtime "
                   "DOCKER_CAPABILITY=runtime:NAME");
    if (auto lent = check_login(config); !lent) return lent;
    if (const auto network = config.network.value_or(options_.network);
        network != options_.network && network != "none" &&
        std::ranges::find(options_.allowed_networks, network) == options_.allowed_networks.end())
        return bad("config.network",
                   fmt::format("\"{}\" is not allowed here, expected none or what the operator set in "
                               "WORKER_NETWORK or WORKER_NETWORKS",
                               network));
    if (config.agent_type == contracts::AgentType::custom && (!config.command || config.command->empty()))
        return bad("config.command", "missing; agent \"custom\" needs the command to run");
    if (command.workspace) {
        const auto& workspace = *command.workspace;
        if (auto ref = check_base_ref(workspace.base_ref, "workspace.base_ref"); !ref) return ref;
        if (auto branch = check_base_ref(workspace.branch, "workspace.branch"); !branch) return branch;
        auto remote = remotes_.serves(workspace.repo_url);
        if (!remote) return std::unexpected(remote.error());
        if (!*remote)
            if (auto local = local_repository(options_.state_directory / "repositories", workspace.repo_url); !local)
                return std::unexpected(local.error());
    }
    return {};
}

Task<Result<void>> Manager::on_create(contracts::CreateWorkerCommand command, bool handed_over) {
    const auto refuse = [&](std::string error) {
        contracts::CreateWorkerResponse response;
        response.request_id = command.request_id;
        response.worker_id = command.config.name;
        response.error = std::move(error);
        return save_and_say({}, answers(command.config.worker_type, command.callback_stream, json::write(response)));
    };
    const auto existing = find(command.config.name);
    std::optional<Turn::Held> held;  // of the one it replaces, until it has
    if (existing && existing->deleted() && existing->row.request_id == command.request_id)
        co_return co_await refuse(fmt::format("worker {} was deleted", command.config.name));
    if (existing && !existing->deleted()) {
        if (existing->deleting())
            co_return co_await refuse(fmt::format("worker {} is being deleted", command.config.name));
        if (!(existing->command.config == command.config))
            co_return co_await refuse(
                fmt::format("worker {} exists with another configuration; delete it first", command.config.name));
        if (!existing->created()) {
            existing->also_asked.push_back(std::move(command));
            co_return Result<void>{};
        }
        if (existing->alive()) {
            if (existing->row.state == WorkerState::PAUSED)
                scope_.spawn("wake " + existing->row.worker_id, wake(existing));
            contracts::CreateWorkerResponse response;
            response.request_id = command.request_id;
            response.success = true;
            response.worker_id = command.config.name;
            co_return co_await save_and_say(
                {}, answers(command.config.worker_type, command.callback_stream, json::write(response)));
        }
        if (existing->row.request_id == command.request_id)
            co_return co_await refuse(fmt::format("worker {} has ended: {}", command.config.name, existing->row.error));
        // An ended worker makes room for another one of its name.
        auto turn = co_await existing->turn.take();
        held.emplace(std::move(turn));
        // While it waited, somebody else may have replaced or deleted it: then it is looked at anew.
        const auto ours = [&] { return find(command.config.name) == existing && !existing->deleting(); };
        const auto name = command.config.name;
        if (!ours()) co_return fail(ErrorCategory::transient, "busy", fmt::format("worker {} is being changed", name));
        existing->resumed = command.workspace && command.workspace->resume.value_or(false);
        auto gone = co_await dismantle(existing);
        if (!gone) co_return std::unexpected(gone.error());
        if (!ours()) co_return fail(ErrorCategory::transient, "busy", fmt::format("worker {} is being changed", name));
    }
    if (const auto other = serving(command); other && other != existing) {
        // One for each person, whatever its name.
        if (!other->created()) {
            other->also_asked.push_back(std::move(command));
            co_return Result<void>{};
        }
        if (other->row.state == WorkerState::PAUSED) scope_.spawn("wake " + other->row.worker_id, wake(other));
        contracts::CreateWorkerResponse response;
        response.request_id = command.request_id;
        response.success = true;
        response.worker_id = other->row.worker_id;
        co_return co_await save_and_say(
            {}, answers(command.config.worker_type, command.callback_stream, json::write(response)));
    }
    if (auto good = check(command); !good)
        co_return co_await refuse(fmt::format("create worker {}: {}", command.config.name, good.error().message));
    co_return co_await begin(std::move(command), existing ? existing->row.attempt + 1 : 1, handed_over);
}

Task<Result<void>> Manager::begin(contracts::CreateWorkerCommand command, int attempt, bool handed_over) {
    WorkerRow row;
    row.worker_id = command.config.name;
    row.attempt = attempt;
    row.command = json::write(command);
    row.request_id = command.request_id;
    row.runtime = runtime_->name();
    row.created_at = system_now();
    auto worker = std::make_shared<Worker>(executor_, std::move(row), std::move(command));
    worker->handed_over_to_us = handed_over;
    workers_[worker->row.worker_id] = worker;
    // From here on the intent survives us.
    auto saved = co_await save(worker, {status_item(*worker)});
    if (!saved) {
        workers_.erase(worker->row.worker_id);
        co_return saved;
    }
    ask_admission(*worker);
    pump();
    if (!neighbours_.empty() && !admission_.waiting().empty()) scope_.spawn("hand over", hand_over_waiting());
    co_return saved;
}

Task<void> Manager::create(WorkerPtr worker) {
    auto held = co_await worker->turn.take();
    if (worker->deleting() || worker->created() || worker->deleted()) {
        if (worker->slot) warm_.discard(*std::exchange(worker->slot, {}));
        co_return;
    }
    worker->row.state = after(worker->row.state, LifeEvent::admitted, false);
    worker->row.error.clear();  // of a try that was cut off
    auto items_before = name_token(worker);
    items_before.push_back(status_item(*worker));
    auto made = co_await save(worker, std::move(items_before));
    if (made) made = co_await make_body_when_the_engine_answers(worker);
    if (!made && stopping_) co_return;  // the next manager makes it
    if (worker->slot) warm_.discard(*std::exchange(worker->slot, {}));
    if (!made) {
        worker->row.error = made.error().message;
        // Until it is done: what an engine that went away has made after all would be nobody's.
        for (;;) {
            auto undone = co_await dismantle(worker);
            if (undone) break;
            log::warning("creation of a worker not undone yet",
                         {{"worker_id", worker->row.worker_id}, {"error", undone.error().message}});
            co_await async::sleep_for(kEngineWait);
        }
        co_await give_up(worker, fmt::format("create worker {}: {}", worker->row.worker_id, made.error().message));
        co_return;
    }
    admission_.settled(worker->row.worker_id);
    if (admission_.wants_memory()) pump();
    worker->row.state = after(worker->row.state, LifeEvent::created, !worker->row.ended);
    auto items = creation_answers(worker, {});
    items.push_back(status_item(*worker));
    worker->active_at = system_now();
    if (serves_person(*worker) && known_user_of(worker->command)) items.push_back(serves_item(*worker));
    worker->also_asked.clear();
    auto saved = co_await save(worker, std::move(items));
    if (!saved)
        log::error("a worker was made but not recorded",
                   {{"worker_id", worker->row.worker_id}, {"error", saved.error().message}});
    log::info("worker made",
              {{"worker_id", worker->row.worker_id}, {"runtime", worker->row.runtime}, {"body", worker->row.body_id}});
}

// An engine that is away means wait, up to the time that a create may wait for a slot.
Task<Result<void>> Manager::make_body_when_the_engine_answers(WorkerPtr worker) {
    const auto deadline = std::chrono::steady_clock::now() + options_.creation_timeout;
    for (;;) {
        auto made = co_await make_body(worker);
        if (made || worker->deleting() || stopping_ || made.error().code != "unavailable" ||
            std::chrono::steady_clock::now() + kEngineWait > deadline)
            co_return made;
        log::warning("a worker waits for its runtime",
                     {{"worker_id", worker->row.worker_id}, {"error", made.error().message}});
        co_await async::sleep_for(kEngineWait);
        // Its secret may have been told already, and is told once.
        auto renamed = co_await save(worker, name_token(worker));
        if (!renamed) co_return renamed;
    }
}

Task<Result<void>> Manager::make_body(WorkerPtr worker) {
    const auto& config = worker->command.config;
    const auto& id = worker->row.worker_id;
    // Held until the body is there, which then keeps the image.
    auto image = co_await step(
        worker, images_.prepare(
                    {config.agent_type, config.capabilities, config.image, worker->command.workspace.has_value()},
                    [id](std::string line) { log::info("image", {{"worker_id", id}, {"line", std::move(line)}}); }));
    if (!image) co_return std::unexpected(in_context(image.error(), "image"));
    worker->row.image = image->tag;

    // Not a step: who waits for another worker's turn keeps its place.
    auto chosen = co_await choose_session(worker);
    if (!chosen) co_return std::unexpected(in_context(chosen.error(), "session"));
    const auto agent = runtime_->agent_identity(id);
    if (can_be_prepared(*worker)) warm_.asked(kind_of(*worker), body_spec(*worker, agent));
    if (worker->slot) {
        const bool moved = co_await warm_.move_in(*worker->slot, worker->row.image, directories(id));
        if (!moved) worker->slot.reset();
    }
    auto directories_made =
        co_await step(worker, worker->slot ? settle_prepared(worker, agent) : make_directories(worker, agent));
    if (!directories_made) co_return std::unexpected(in_context(directories_made.error(), "directories"));
    auto workspace = co_await step(worker, make_workspace(worker, agent));
    if (!workspace) co_return std::unexpected(in_context(workspace.error(), "workspace"));
    auto login = co_await step(worker, take_login(worker, agent));  // in the home that a resume may have brought
    if (!login) co_return std::unexpected(in_context(login.error(), "login"));
    auto egress = co_await step(worker, learn_egress(worker));
    if (!egress) co_return std::unexpected(egress.error());
    if (auto opened = open_gateway(worker); !opened) co_return std::unexpected(in_context(opened.error(), "gateway"));
    auto counted = co_await step(worker, count_earlier_usage(worker));
    if (!counted) co_return std::unexpected(counted.error());
    co_return co_await step(worker, start_with_token(worker, body_spec(*worker, agent)));
}

// At once: the gateway holds what needs the token until it is there.
Task<Result<void>> Manager::start_with_token(WorkerPtr worker, BodySpec spec) {
    // What a cancellation unwinds says nothing.
    Result<void> fetched = interrupted();
    Result<void> started = interrupted();
    co_await async::both(keep(fetch_token(worker, true), &fetched),
                         keep(start_body(worker, std::move(spec)), &started));
    if (!started) co_return std::unexpected(in_context(started.error(), runtime_->name()));
    if (!fetched) co_return std::unexpected(in_context(fetched.error(), "token"));
    co_return Result<void>{};
}

Task<Result<void>> Manager::start_body(WorkerPtr worker, BodySpec spec) {
    if (worker->slot) {
        auto claimed = co_await runtime_->claim(*worker->slot, spec);
        if (claimed) {
            warm_.claimed(*std::exchange(worker->slot, {}));
            worker->row.body_id = std::move(*claimed);
            co_return Result<void>{};
        }
        log::warning("a prepared worker could not be used; another one is made",
                     {{"worker_id", spec.worker_id}, {"error", claimed.error().message}});
        warm_.discard(*std::exchange(worker->slot, {}));
    }
    auto started = co_await runtime_->start(std::move(spec));
    if (!started) co_return std::unexpected(started.error());
    worker->row.body_id = std::move(*started);
    co_return Result<void>{};
}

Task<Result<void>> Manager::make_directories(WorkerPtr worker, AgentIdentity agent) {
    const auto place = directories(worker->row.worker_id);
    const bool resumes = worker->command.workspace && worker->command.workspace->resume.value_or(false);
    // What this name left is either taken or of no use; what is in the way is of an attempt that nobody undid.
    Result<void> settled;
    if (resumes)
        settled = co_await put_workspace_aside(worker);
    else
        settled = co_await forget_workspace(worker->row.worker_id);
    if (!settled) co_return settled;
    auto made = co_await make_place(place, agent);
    if (!made) co_return made;
    auto taken = co_await take_session(worker, agent);
    if (!taken) co_return std::unexpected(in_context(taken.error(), "session"));
    co_return Result<void>{};
}

// What this name left is of no use, as make_directories() has it; the place itself is there.
Task<Result<void>> Manager::settle_prepared(WorkerPtr worker, AgentIdentity agent) {
    auto forgotten = co_await forget_workspace(worker->row.worker_id);
    if (!forgotten) co_return forgotten;
    co_return co_await take_session(worker, agent);
}

// The commit it starts from.
Task<Result<std::string>> Manager::clone_base(contracts::WorkspaceSpec spec, std::filesystem::path repository,
                                              std::filesystem::path directory) {
    CloneRequest request{std::move(repository), spec.base_ref, spec.branch, std::move(directory)};
    const bool remote = remotes_.serves(spec.repo_url).value_or(false);
    if (!remote) co_return co_await clone_workspace(std::move(request));
    auto held = co_await remotes_.take(spec.repo_url);
    auto fetched = co_await remotes_.fetch(spec.repo_url);
    if (!fetched) co_return std::unexpected(std::move(fetched.error()));
    auto base = co_await clone_workspace(request);
    // What nobody chose is the default branch, whatever its name is there.
    if (!base && base.error().code == "not_found" && spec.base_ref == contracts::WorkspaceSpec{}.base_ref) {
        request.base_ref = "HEAD";
        base = co_await clone_workspace(std::move(request));
    }
    co_return base;
}

Task<Result<void>> Manager::make_workspace(WorkerPtr worker, AgentIdentity agent) {
    const auto directory = directories(worker->row.worker_id).workspace();
    const auto& spec = worker->command.workspace;
    if (spec && spec->resume.value_or(false)) {
        auto taken = co_await take_workspace_again(worker, agent);
        if (!taken) co_return taken;
    } else if (spec) {
        auto repository = remotes_.serves(spec->repo_url).value_or(false)
                              ? Result<std::filesystem::path>(remotes_.copy_of(spec->repo_url))
                              : local_repository(options_.state_directory / "repositories", spec->repo_url);
        if (!repository) co_return std::unexpected(repository.error());
        auto base = co_await clone_base(*spec, *repository, directory);
        if (!base) co_return std::unexpected(base.error());
        worker->row.repository = repository->string();
        worker->row.base_sha = std::move(*base);
    } else if (auto made = posix::make_directory(directory, 0755); !made) {
        co_return made;
    } else if (::geteuid() != 0 ||
               ::lchown(directory.c_str(), static_cast<uid_t>(agent.uid), static_cast<gid_t>(agent.gid)) == 0) {
        co_return Result<void>{};
    }
    co_return co_await give_tree(directory, agent);
}

Result<void> Manager::open_gateway(const WorkerPtr& worker) {
    const auto& config = worker->command.config;
    const auto user = known_user_of(worker->command);
    GatewayIdentity identity{worker->row.worker_id,
                             config.worker_type,
                             reads_pool(worker->command),
                             user,
                             from_context(worker->command, "task_id"),
                             learned_egress(*worker),
                             config.allowed_commands};
    auto gateway =
        Gateway::make(executor_, redis_, gateway_settings_, std::move(identity), counts_from_json(worker->row.gateway));
    if (!gateway) return std::unexpected(gateway.error());
    worker->gateway = std::move(*gateway);
    return worker->gateway->open(directories(worker->row.worker_id).gateway(),
                                 runtime_->agent_identity(worker->row.worker_id).gid);
}

// The id of the worker's next token, for the row that is saved before it is asked for. A former one goes with it.
std::vector<storage::OutboxItem> Manager::name_token(const WorkerPtr& worker) const {
    std::vector<storage::OutboxItem> items;
    if (!worker->row.token_id.empty()) items.push_back({"api", "/api/tokens/" + worker->row.token_id, ""});
    worker->row.token_id = new_uuid();
    return items;
}

// `named`: its id stands in the saved row already. Each further try has a token of its own: the secret of one that was
// made, but whose answer was lost, cannot be asked for again.
Task<Result<void>> Manager::fetch_token(WorkerPtr worker, bool named) {
    contracts::TokenCreate create;
    create.kind = contracts::TokenKind::worker;
    create.user_id = known_user_of(worker->command);
    create.worker_id = worker->row.worker_id;
    create.task_id = from_context(worker->command, "task_id");
    create.actions = worker->command.config.allowed_commands;
    create.expires_at = system_now() + options_.token_life;
    const RetryPolicy policy;
    for (int retries = 0;; ++retries) {
        if (!named || retries > 0) {
            auto saved = co_await save(worker, name_token(worker));
            if (!saved) co_return saved;
        }
        create.id = worker->row.token_id;
        auto created = co_await api_->send<contracts::TokenCreated>("POST", "/api/tokens", json::write(create));
        if (created) {
            worker->token_expires = *create.expires_at;
            if (worker->gateway) worker->gateway->set_token(std::move(created->secret));
            co_return Result<void>{};
        }
        const auto wait = policy.next(created.error().category, retries);
        if (!wait) co_return std::unexpected(created.error());
        co_await async::sleep_for(*wait);
    }
}

Task<void> Manager::give_up(WorkerPtr worker, std::string error) {
    log::warning("worker not made", {{"worker_id", worker->row.worker_id}, {"error", error}});
    auto& row = worker->row;
    row.state = after(row.state, LifeEvent::create_failed, false);
    row.error = error;
    // A deletion that interrupted it answers the deletion; the create command is answered here either way.
    auto items = creation_answers(worker, error);
    worker->also_asked.clear();
    if (serves_person(*worker)) {
        auto answers = co_await answer_person(worker);
        std::ranges::move(answers.items, std::back_inserter(items));
    }
    if (worker->deleting()) {
        auto saved = co_await save(worker, std::move(items));
        if (!saved)
            log::error("answer to a create command", {{"worker_id", row.worker_id}, {"error", saved.error().message}});
        co_return;
    }
    admission_.leave(row.worker_id);
    if (find(row.worker_id) == worker) workers_.erase(row.worker_id);
    // Nobody serves this person now: the next create makes another one.
    if (const auto user = known_user_of(worker->command); serves_person(*worker) && user && !serving(worker->command))
        items.push_back(redis_item(contracts::keys::session(*user), {{"DEL", contracts::keys::session(*user)}}));
    auto status = status_item(*worker);
    const auto key = contracts::keys::worker_status(row.worker_id);
    const std::chrono::seconds day = contracts::keys::kDeletedStatusTtl;
    items.push_back(std::move(status));
    items.push_back(redis_item(key, {{"EXPIRE", key, std::to_string(day.count())}}));
    auto saved = co_await save_and_say({Store::forget(row.worker_id)}, std::move(items));
    if (!saved)
        log::error("answer to a create command", {{"worker_id", row.worker_id}, {"error", saved.error().message}});
    pump();
}

}  // namespace codegen::worker_manager
