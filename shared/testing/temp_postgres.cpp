#include "shared/testing/temp_postgres.hpp"

#include <fcntl.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <sys/file.h>
#include <unistd.h>

#include "shared/posix/fd.hpp"
#include "shared/posix/file.hpp"
#include "shared/testing/run.hpp"

namespace codegen::testing {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void give_up(const std::string& why) {
    ADD_FAILURE() << why;
    throw std::runtime_error(why);
}

fs::path program(const std::string& name) {
    for (const char* version : {"15", "16", "17"}) {
        const auto path = fs::path("/usr/lib/postgresql") / version / "bin" / name;
        if (fs::exists(path)) return path;
    }
    give_up(name + " is missing: apt-get install postgresql-15");
}

std::optional<std::pair<int, int>> server_user() {
    if (::geteuid() != 0) return std::nullopt;
    const auto* entry = ::getpwnam("postgres");
    if (entry == nullptr) give_up("no user postgres: apt-get install postgresql-15");
    return std::pair(static_cast<int>(entry->pw_uid), static_cast<int>(entry->pw_gid));
}

// `from` and all below it, copied to `to` and given to `user`.
void copy_for(const fs::path& from, const fs::path& to, std::optional<std::pair<int, int>> user) {
    fs::copy(from, to, fs::copy_options::recursive);
    if (!user) return;
    auto give = [&](const fs::path& path) {
        if (::lchown(path.c_str(), static_cast<uid_t>(user->first), static_cast<gid_t>(user->second)) != 0)
            give_up("chown " + path.string());
    };
    give(to);
    for (const auto& entry : fs::recursive_directory_iterator(to)) give(entry.path());
}

}  // namespace

process::Spec TempPostgres::tool(std::vector<std::string> argv) const {
    process::Spec spec;
    spec.argv = std::move(argv);
    spec.environment = process::minimal_environment();
    spec.environment["LC_ALL"] = "C.UTF-8";
    spec.directory = directory_.path();
    spec.user = server_user();
    return spec;
}

TempPostgres::TempPostgres(asio::io_context& io) : io_(io) {
    const auto user = server_user();
    if (user && ::chown(directory_.path().c_str(), static_cast<uid_t>(user->first), static_cast<gid_t>(user->second)))
        give_up("chown " + directory_.path().string());
    const fs::path kept = fs::path(CODEGEN_TESTDATA_DIR) / "postgres";
    const auto data = directory_ / "data";
    fs::create_directories(kept.parent_path());
    const posix::Fd lock(::open((kept.string() + ".lock").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0666));
    if (::flock(lock.get(), LOCK_EX) != 0) give_up("lock of " + kept.string());
    if (!fs::exists(kept)) {
        auto made = run(io_, process::run(tool({program("initdb"), "-D", data.string(), "-U", "codegen", "--auth=trust",
                                                "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"})));
        if (!made) give_up(made.error().message);
        if (!made->ok()) give_up("initdb: " + made->describe());
        fs::remove_all(kept.string() + ".new");
        fs::copy(data, kept.string() + ".new", fs::copy_options::recursive);
        fs::rename(kept.string() + ".new", kept);
    } else {
        copy_for(kept, data, user);
    }
    ::flock(lock.get(), LOCK_UN);
    fs::permissions(data, fs::perms::owner_all);
    start();
}

TempPostgres::~TempPostgres() { kill(); }

std::string TempPostgres::url() const {
    return "postgresql:///postgres?user=codegen&host=" + directory_.path().string();
}

void TempPostgres::start() {
    const auto log = directory_ / "log";
    auto started =
        process::start(io_.get_executor(),
                       tool({program("postgres"), "-D", (directory_ / "data").string(), "-c", "listen_addresses=", "-c",
                             "unix_socket_directories=" + directory_.path().string(), "-c", "fsync=off", "-c",
                             "full_page_writes=off", "-c", "shared_buffers=16MB", "-c", "max_connections=100"}),
                       log);
    if (!started) give_up(started.error().message);
    server_ = std::move(*started);
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (PQping(url().c_str()) != PQPING_OK) {
        if (std::chrono::steady_clock::now() > until) {
            // It may have repeated itself for a minute.
            const auto said = posix::read_file(log, 256u << 20);
            give_up(
                "postgres does not answer: " +
                (said ? said->substr(said->size() - std::min<std::size_t>(said->size(), 4096)) : said.error().message));
        }
        run(io_, async::sleep_for(std::chrono::milliseconds(10)));
    }
}

void TempPostgres::kill() {
    if (!server_) return;
    server_->kill_tree();
    run(io_, server_->wait());
    server_.reset();
    std::error_code ignored;
    fs::remove(directory_ / "data" / "postmaster.pid", ignored);
}

void TempPostgres::restart() {
    kill();
    start();
}

}  // namespace codegen::testing
