// A real PostgreSQL of one test: a cluster on a unix socket in a directory of its own, gone with the object.
#pragma once
#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

#include "shared/process/process.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::testing {

// The cluster is copied from one that the build directory keeps (initdb takes a second). Runs as the user "postgres"
// when the test is root: PostgreSQL refuses to be root. The functions run `io` until they are done; a server that does
// not start fails the test with the reason (and throws). Use the object in one thread.
class TempPostgres {
  public:
    explicit TempPostgres(asio::io_context& io);
    ~TempPostgres();

    std::string url() const;
    const std::filesystem::path& directory() const { return directory_.path(); }
    void kill();     // SIGKILL, and waits until the server and its connections are gone
    void restart();  // kill() if it runs, and starts it with the data it has on disk

  private:
    void start();
    process::Spec tool(std::vector<std::string> argv) const;

    asio::io_context& io_;
    TempDirectory directory_;
    std::unique_ptr<process::Child> server_;
};

}  // namespace codegen::testing
