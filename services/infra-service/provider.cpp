#include "services/infra-service/provider.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "services/infra-service/records.hpp"

namespace codegen::infra {
namespace {

using std::chrono::milliseconds;

class Manual : public Provider {
  public:
    Task<Result<void>> reinstall(contracts::Server server, std::string, milliseconds) override {
        co_return fail(ErrorCategory::permanent, "unsupported",
                       fmt::format("server {} has no provider that could install it anew: install it yourself, then "
                                   "orchestrator infra server provision {} --new-host-key; or name its provider: "
                                   "orchestrator infra server add ... --provider time4vps",
                                   server.handle, server.handle));
    }
    Task<Result<std::string>> reset_password(contracts::Server server, milliseconds) override {
        co_return fail(ErrorCategory::permanent, "unsupported",
                       fmt::format("server {} has no provider that could reset its password", server.handle));
    }
};

class Time4vps : public Provider {
  public:
    explicit Time4vps(clients::Time4vpsClient client) : client_(std::move(client)) {}

    Task<Result<void>> reinstall(contracts::Server server, std::string public_key, milliseconds limit) override {
        auto id = co_await id_of(server);
        if (!id) co_return std::unexpected(id.error());
        const auto system = server.os_template.value_or("");
        if (system.empty()) {
            auto names = co_await client_.systems(*id);
            if (!names) co_return std::unexpected(names.error());
            co_return fail(ErrorCategory::permanent, "invalid",
                           fmt::format("server {} has no os_template: Time4VPS offers {}", server.handle,
                                       fmt::join(*names, ", ")));
        }
        auto task = co_await client_.reinstall(*id, system, std::move(public_key));
        if (!task) co_return std::unexpected(task.error());
        auto done = co_await client_.wait(*id, *task, limit);
        if (!done) co_return std::unexpected(done.error());
        co_return Result<void>();
    }

    Task<Result<std::string>> reset_password(contracts::Server server, milliseconds limit) override {
        auto id = co_await id_of(server);
        if (!id) co_return std::unexpected(id.error());
        auto task = co_await client_.reset_password(*id);
        if (!task) co_return std::unexpected(task.error());
        auto done = co_await client_.wait(*id, *task, limit);
        if (!done) co_return std::unexpected(done.error());
        auto password = clients::password_in(done->results);
        if (!password)
            co_return fail(
                ErrorCategory::permanent, "protocol",
                fmt::format("Time4VPS: task {} of server {} reset the password but does not tell it", *task, *id));
        co_return std::move(*password);
    }

  private:
    Task<Result<std::string>> id_of(contracts::Server server) {
        if (auto given = label(server, kProviderIdLabel); !given.empty()) co_return given;
        auto all = co_await client_.servers();
        if (!all) co_return std::unexpected(all.error());
        for (const auto& each : *all)
            if (each.ip == server.public_ip) co_return each.id;
        co_return fail(
            ErrorCategory::permanent, "not_found",
            fmt::format("Time4VPS: none of the account's {} servers has the address {} of server {}; set its "
                        "label {}",
                        all->size(), server.public_ip, server.handle, kProviderIdLabel));
    }
    clients::Time4vpsClient client_;
};

}  // namespace

Result<std::unique_ptr<Provider>> provider_of(const contracts::Server& server, asio::any_io_executor executor,
                                              const clients::Time4vpsOptions& time4vps) {
    const auto name = label(server, kProviderLabel);
    if (name.empty() || name == "manual") return std::make_unique<Manual>();
    if (name == "time4vps") {
        auto client = clients::Time4vpsClient::make(executor, time4vps);
        if (!client) return std::unexpected(client.error());
        return std::make_unique<Time4vps>(std::move(*client));
    }
    return fail(ErrorCategory::permanent, "invalid",
                fmt::format("server {}: label {} is \"{}\": expected manual or time4vps", server.handle, kProviderLabel,
                            name.substr(0, 100)));
}

}  // namespace codegen::infra
