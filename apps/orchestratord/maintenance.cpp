#include "apps/orchestratord/maintenance.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "apps/orchestratord/components.hpp"
#include "apps/orchestratord/state_directory.hpp"
#include "services/api/service.hpp"
#include "shared/logging/log.hpp"
#include "shared/storage/backup.hpp"

namespace codegen::orchestratord {
namespace {

namespace fs = std::filesystem;

fs::path state_of(const Configuration& configuration, const Configuration::Environment& environment) {
    const fs::path given = configuration.text("CODEGEN_STATE_DIR");
    return given.empty() ? StateDirectory::default_path(environment, ::geteuid() == 0) : given;
}

std::string store_of(const Configuration& configuration, const fs::path& state) {
    return configuration.optional_text("DATABASE_URL").value_or((state / "codegen.db").string());
}

// For people: never a password.
std::string shown(const std::string& store) { return storage::is_postgres_url(store) ? "the database" : store; }

template <class T>
Result<T> run(Task<Result<T>> task) {
    asio::io_context io(1);
    std::optional<Result<T>> outcome;
    asio::co_spawn(io, std::move(task), [&](std::exception_ptr failed, Result<T> result) {
        if (failed) std::rethrow_exception(failed);
        outcome.emplace(std::move(result));
        io.stop();
    });
    io.run();
    return std::move(*outcome);
}

Task<Result<api::Rotation>> rotate(std::string store, api::Options options, fs::path new_key_file) {
    auto database = storage::is_postgres_url(store) ? storage::open_postgres(co_await asio::this_coro::executor, store)
                                                    : storage::open_sqlite(store);
    if (!database) co_return std::unexpected(database.error());
    api::Service service(**database, std::move(options));
    auto rotated = co_await service.rotate_secrets(std::move(new_key_file));
    co_return rotated;
}

Result<void> set_up_log(const Configuration& configuration) {
    const auto level = log::parse_level(configuration.text("LOG_LEVEL"));
    if (!level) return std::unexpected(level.error());
    log::setup(*level, configuration.text("LOG_FORMAT") == "json" ? log::Format::json : log::Format::console,
               "orchestratord");
    return {};
}

}  // namespace

Result<void> back_up(const Configuration& configuration, const Configuration::Environment& environment,
                     const fs::path& file) {
    if (auto ready = set_up_log(configuration); !ready) return ready;
    const auto store = store_of(configuration, state_of(configuration, environment));
    if (auto done = run(storage::back_up(store, file)); !done)
        return std::unexpected(in_context(done.error(), "backup"));
    fmt::print("{} is backed up in {}; the key for secrets is not in it: keep that too, in another place\n",
               shown(store), file.string());
    return {};
}

Result<void> put_back(const Configuration& configuration, const Configuration::Environment& environment,
                      const fs::path& file, bool force) {
    if (auto ready = set_up_log(configuration); !ready) return ready;
    const auto state = state_of(configuration, environment);
    const auto store = store_of(configuration, state);
    if (!storage::is_postgres_url(store)) {  // a place for the file, and nobody else on it
        auto alone = StateDirectory::open(state, true);
        if (!alone) return std::unexpected(in_context(alone.error(), "restore"));
        if (auto done = run(storage::restore(store, file, known_versions(), force)); !done)
            return std::unexpected(in_context(done.error(), "restore"));
    } else if (auto done = run(storage::restore(store, file, known_versions(), force)); !done) {
        return std::unexpected(in_context(done.error(), "restore"));
    }
    fmt::print("{} holds what {} held\n", shown(store), file.string());
    return {};
}

Result<void> rotate_secrets(const Configuration& configuration, const Configuration::Environment& environment,
                            const fs::path& new_key_file) {
    if (auto ready = set_up_log(configuration); !ready) return ready;
    const auto state = state_of(configuration, environment);
    api::Options options;
    options.state_directory = state;
    options.secrets_key = configuration.text("SECRETS_KEY");
    options.secrets_key_file = configuration.text("SECRETS_KEY_FILE");
    const auto rotated = run(rotate(store_of(configuration, state), std::move(options), new_key_file));
    if (!rotated) return std::unexpected(in_context(rotated.error(), "secrets rotate"));
    fmt::print("{} secrets are encrypted with key {}{}\n",
               rotated->secrets == 0 ? "all" : std::to_string(rotated->secrets), rotated->key_id,
               new_key_file.empty() ? "" : ", which is in " + new_key_file.string() + ": set SECRETS_KEY_FILE to it");
    return {};
}

}  // namespace codegen::orchestratord
