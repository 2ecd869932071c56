#include "shared/testing/test_store.hpp"

#include <cstdlib>
#include <stdexcept>

#include "shared/posix/file.hpp"

namespace codegen::testing {
namespace {

bool postgres_is_wanted() {
    const char* store = std::getenv("CODEGEN_TEST_STORE");
    const std::string name = store ? store : "sqlite";
    if (name != "sqlite" && name != "postgres")
        throw std::runtime_error("CODEGEN_TEST_STORE is \"" + name + "\": expected sqlite or postgres");
    return name == "postgres";
}

}  // namespace

TestStore::TestStore(asio::io_context& io) : TestStore(io, postgres_is_wanted()) {}

TestStore::TestStore(asio::io_context& io, bool postgres) : io_(io) {
    if (postgres) postgres_.emplace(io);
}

std::string TestStore::url() const { return postgres_ ? postgres_->url() : (directory_ / "codegen.db").string(); }

std::unique_ptr<storage::Database> TestStore::open() const {
    auto opened = postgres_ ? storage::open_postgres(io_.get_executor(), url()) : storage::open_sqlite(url());
    if (!opened) throw std::runtime_error(opened.error().message);
    return std::move(*opened);
}

bool TestStore::holds(std::string_view bytes) const {
    const auto& directory = postgres_ ? postgres_->directory() : directory_.path();
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
        if (!entry.is_regular_file()) continue;
        const auto content = posix::read_file(entry.path(), 64u << 20);
        if (content && content->contains(bytes)) return true;
    }
    return false;
}

}  // namespace codegen::testing
