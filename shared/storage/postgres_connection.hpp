// One connection to PostgreSQL: libpq on the event loop. https://www.postgresql.org/docs/15/libpq-async.html
#pragma once
#include <libpq-fe.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "shared/storage/database.hpp"

namespace codegen::storage {

// One caller at a time, on one thread. A call that was cancelled or whose connection broke leaves it unusable: drop it.
class PostgresConnection {
  public:
    // `url` as libpq reads it (postgresql://...). Looking up a host name blocks. Errors: transient "unavailable"
    // (nobody answers), fatal "database" (refused: password, database, encryption).
    static Task<Result<std::unique_ptr<PostgresConnection>>> connect(std::string url, std::chrono::milliseconds limit);
    ~PostgresConnection();

    // One statement, prepared at its first use.
    Task<Result<Rows>> execute(std::string sql, Parameters parameters);
    // One or more statements without parameters or results.
    Task<Result<void>> script(std::string sql);
    // Nothing under way, no transaction open.
    bool usable() const;
    // As far as one can tell without asking: false when the server closed it while it was idle.
    bool alive();

  private:
    struct Close {
        void operator()(PGconn* connection) const { PQfinish(connection); }
    };
    struct Clear {
        void operator()(PGresult* result) const { PQclear(result); }
    };
    using Answer = std::unique_ptr<PGresult, Clear>;

    PostgresConnection(asio::any_io_executor executor, std::unique_ptr<PGconn, Close> connection);
    Task<Result<void>> wait(asio::posix::stream_descriptor::wait_type what);
    Task<Result<void>> flush();
    // The last answer of a command, after all of its answers have come.
    Task<Result<Answer>> answer();
    Task<Result<std::string>> prepared(std::string sql, std::vector<Oid> types);
    std::unexpected<Error> lost();

    std::unique_ptr<PGconn, Close> connection_;
    asio::posix::stream_descriptor socket_;                    // of connection_, which closes it
    std::unordered_map<std::string, std::string> statements_;  // text and types -> name
    bool busy_ = false;
};

// By SQLSTATE: https://www.postgresql.org/docs/15/errcodes-appendix.html
Error postgres_error(std::string_view sqlstate, std::string message);

}  // namespace codegen::storage
