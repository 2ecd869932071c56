#include "shared/storage/postgres_connection.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <charconv>

#include "shared/async/deadline.hpp"
#include "shared/storage/named_parameters.hpp"

namespace codegen::storage {
namespace {

using Descriptor = asio::posix::stream_descriptor;

constexpr std::size_t kCachedStatements = 256;

// pg_type.dat of PostgreSQL
constexpr Oid kBool = 16, kInt8 = 20, kInt2 = 21, kInt4 = 23, kOid = 26, kFloat4 = 700, kFloat8 = 701, kNumeric = 1700;

std::unexpected<Error> fatal(std::string message) { return fail(ErrorCategory::fatal, "database", std::move(message)); }

// libpq's texts end with a line feed and may have several lines.
std::string one_line(std::string_view text) {
    while (text.ends_with('\n')) text.remove_suffix(1);
    std::string line(text);
    for (auto& c : line)
        if (c == '\n') c = ' ';
    return line;
}

// Text columns get their parameters untyped, so that PostgreSQL finds out; numbers are what they are.
Oid type_of(const Value& value) {
    if (std::holds_alternative<std::int64_t>(value)) return kInt8;
    if (std::holds_alternative<double>(value)) return kFloat8;
    return 0;
}

std::optional<std::string> text_of(const Value& value) {
    if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
    if (const auto* real = std::get_if<double>(&value)) return fmt::format("{}", *real);
    if (const auto* text = std::get_if<std::string>(&value)) return *text;
    return std::nullopt;
}

template <class Number>
Value number_of(std::string_view text) {
    Number number{};
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

Value value_of(const PGresult* result, int row, int column) {
    if (PQgetisnull(result, row, column)) return {};
    const std::string_view text(PQgetvalue(result, row, column),
                                static_cast<std::size_t>(PQgetlength(result, row, column)));
    switch (PQftype(result, column)) {
        case kInt2:
        case kInt4:
        case kInt8:
        case kOid:
            return number_of<std::int64_t>(text);
        case kBool:
            return std::int64_t{text == "t"};
        case kNumeric:  // sums of integers
            if (text.find_first_not_of("-0123456789") == text.npos) return number_of<std::int64_t>(text);
            [[fallthrough]];
        case kFloat4:
        case kFloat8:
            return number_of<double>(text);
        default:
            return std::string(text);
    }
}

Rows rows_of(PGresult* result) {
    Rows out;
    auto names = std::make_shared<std::vector<std::string>>();
    const int columns = PQnfields(result);
    for (int i = 0; i < columns; ++i) names->emplace_back(PQfname(result, i));
    for (int row = 0; row < PQntuples(result); ++row) {
        std::vector<Value> values;
        values.reserve(static_cast<std::size_t>(columns));
        for (int i = 0; i < columns; ++i) values.push_back(value_of(result, row, i));
        out.rows.emplace_back(names, std::move(values));
    }
    const std::string_view command = PQcmdStatus(result);
    if (!command.starts_with("SELECT")) {
        const std::string_view affected = PQcmdTuples(result);
        std::from_chars(affected.data(), affected.data() + affected.size(), out.affected);
    }
    return out;
}

Error error_of(const PGresult* result) {
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    return postgres_error(state ? state : "", one_line(primary ? primary : PQresultErrorMessage(result)));
}

}  // namespace

Error postgres_error(std::string_view sqlstate, std::string message) {
    const auto is = [&](std::string_view prefix) { return sqlstate.starts_with(prefix); };
    const auto made = [&](ErrorCategory category, std::string code) {
        return Error{category, std::move(code), "database: " + message, {}};
    };
    if (is("23505")) return made(ErrorCategory::permanent, "duplicate");
    if (is("23")) return made(ErrorCategory::permanent, "constraint");
    if (is("22")) return made(ErrorCategory::permanent, "invalid");  // a value that it cannot hold
    if (is("40") || is("55P03") || is("57014")) return made(ErrorCategory::transient, "busy");
    if (is("53300")) return made(ErrorCategory::transient, "busy");  // too many connections
    if (is("08") || is("57P")) return made(ErrorCategory::transient, "unavailable");
    if (is("53100")) message += ": free some space on its file system";
    return made(ErrorCategory::fatal, "database");
}

PostgresConnection::PostgresConnection(asio::any_io_executor executor, std::unique_ptr<PGconn, Close> connection)
    : connection_(std::move(connection)), socket_(executor, PQsocket(connection_.get())) {}

PostgresConnection::~PostgresConnection() { socket_.release(); }

namespace {

// libpq may open another socket between two steps, so each wait takes it anew.
Task<Result<void>> poll_until_connected(PGconn* connection) {
    const auto executor = co_await asio::this_coro::executor;
    auto step = PGRES_POLLING_WRITING;
    while (step != PGRES_POLLING_OK) {
        Descriptor socket(executor, PQsocket(connection));
        const auto what = step == PGRES_POLLING_READING ? Descriptor::wait_read : Descriptor::wait_write;
        const auto [failed] = co_await socket.async_wait(what, async::use_tuple);
        socket.release();
        if (failed) co_return fail(ErrorCategory::transient, "unavailable", "database: " + failed.message());
        step = PQconnectPoll(connection);
        if (step != PGRES_POLLING_FAILED) continue;
        // A server that answers and refuses says FATAL; a missing one does not.
        const auto message = one_line(PQerrorMessage(connection));
        const bool refused = message.contains("FATAL") && !message.contains("starting up") &&
                             !message.contains("shutting down") && !message.contains("too many");
        if (refused) co_return fatal("database: " + message);
        co_return fail(ErrorCategory::transient, "unavailable", "database: " + message);
    }
    co_return Result<void>();
}

}  // namespace

Task<Result<std::unique_ptr<PostgresConnection>>> PostgresConnection::connect(std::string url,
                                                                              std::chrono::milliseconds limit) {
    const auto executor = co_await asio::this_coro::executor;
    std::unique_ptr<PGconn, Close> connection(PQconnectStart(url.c_str()));
    if (!connection) co_return fatal("database: no memory");
    if (PQstatus(connection.get()) == CONNECTION_BAD)
        co_return fail(ErrorCategory::transient, "unavailable",
                       "database: " + one_line(PQerrorMessage(connection.get())));
    auto connected = co_await async::with_timeout(poll_until_connected(connection.get()), limit, "database: connect");
    if (!connected) co_return std::unexpected(connected.error());
    PQsetnonblocking(connection.get(), 1);
    // Notices (a table that exists already) are not for the log.
    PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
    std::unique_ptr<PostgresConnection> made(new PostgresConnection(executor, std::move(connection)));
    co_return made;
}

bool PostgresConnection::usable() const {
    return !busy_ && PQstatus(connection_.get()) == CONNECTION_OK &&
           PQtransactionStatus(connection_.get()) == PQTRANS_IDLE;
}

// Nothing comes on an idle connection but a farewell or its end.
bool PostgresConnection::alive() {
    pollfd socket{.fd = PQsocket(connection_.get()), .events = POLLIN, .revents = 0};
    return usable() && ::poll(&socket, 1, 0) == 0;
}

std::unexpected<Error> PostgresConnection::lost() {
    return fail(ErrorCategory::transient, "unavailable", "database: " + one_line(PQerrorMessage(connection_.get())));
}

Task<Result<void>> PostgresConnection::wait(Descriptor::wait_type what) {
    const auto [failed] = co_await socket_.async_wait(what, async::use_tuple);
    if (failed) co_return fail(ErrorCategory::transient, "unavailable", "database: " + failed.message());
    co_return Result<void>();
}

Task<Result<void>> PostgresConnection::flush() {
    int left = 0;
    while ((left = PQflush(connection_.get())) > 0) {
        // A server that writes while we do would wait for us to read.
        auto writable = co_await wait(Descriptor::wait_write);
        if (!writable) co_return writable;
        if (!PQconsumeInput(connection_.get())) co_return lost();
    }
    if (left < 0) co_return lost();
    co_return Result<void>();
}

Task<Result<PostgresConnection::Answer>> PostgresConnection::answer() {
    auto flushed = co_await flush();
    if (!flushed) co_return std::unexpected(flushed.error());
    Answer last;
    while (true) {
        while (PQisBusy(connection_.get())) {
            auto readable = co_await wait(Descriptor::wait_read);
            if (!readable) co_return std::unexpected(readable.error());
            if (!PQconsumeInput(connection_.get())) co_return lost();
        }
        Answer next(PQgetResult(connection_.get()));
        if (!next) break;
        const bool failed = last && PQresultStatus(last.get()) == PGRES_FATAL_ERROR;
        if (!failed) last = std::move(next);
    }
    busy_ = false;
    if (!last || PQstatus(connection_.get()) != CONNECTION_OK) co_return lost();
    if (PQresultStatus(last.get()) == PGRES_FATAL_ERROR) co_return std::unexpected(error_of(last.get()));
    co_return last;
}

Task<Result<std::string>> PostgresConnection::prepared(std::string sql, std::vector<Oid> types) {
    std::string key = sql;
    for (const auto type : types) key += fmt::format("/{}", type);
    if (const auto found = statements_.find(key); found != statements_.end()) co_return found->second;
    if (statements_.size() >= kCachedStatements) {
        auto dropped = co_await script("DEALLOCATE ALL");
        if (!dropped) co_return std::unexpected(dropped.error());
        statements_.clear();
    }
    auto name = fmt::format("s{}", statements_.size());
    if (!PQsendPrepare(connection_.get(), name.c_str(), sql.c_str(), static_cast<int>(types.size()), types.data()))
        co_return lost();
    auto done = co_await answer();
    if (!done) {
        auto error = std::move(done.error());
        if (error.code == "database") error.message += ", in: " + sql;
        co_return std::unexpected(std::move(error));
    }
    statements_.emplace(std::move(key), name);
    co_return name;
}

Task<Result<Rows>> PostgresConnection::execute(std::string sql, Parameters parameters) {
    const auto translated = positional(sql);
    std::vector<std::optional<std::string>> texts;
    std::vector<Oid> types;
    for (const auto& name : translated.names) {
        const auto value = parameters.values.find(name);
        if (value == parameters.values.end())
            co_return fatal(fmt::format("database: parameter :{} is not bound in: {}", name, sql));
        types.push_back(type_of(value->second));
        texts.push_back(text_of(value->second));
        if (texts.back() && texts.back()->contains('\0'))
            co_return fail(ErrorCategory::permanent, "invalid",
                           fmt::format("database: {} holds a NUL character, which PostgreSQL cannot store", name),
                           name);
    }
    if (parameters.values.size() != texts.size())
        co_return fatal("database: a parameter is bound that does not occur in: " + sql);

    busy_ = true;
    auto name = co_await prepared(translated.text, types);
    if (!name) co_return std::unexpected(name.error());
    std::vector<const char*> values;
    values.reserve(texts.size());
    for (const auto& text : texts) values.push_back(text ? text->c_str() : nullptr);
    busy_ = true;
    if (!PQsendQueryPrepared(connection_.get(), name->c_str(), static_cast<int>(values.size()), values.data(), nullptr,
                             nullptr, 0))
        co_return lost();
    auto done = co_await answer();
    if (!done) co_return std::unexpected(done.error());
    co_return rows_of(done->get());
}

Task<Result<void>> PostgresConnection::script(std::string sql) {
    busy_ = true;
    if (!PQsendQuery(connection_.get(), sql.c_str())) co_return lost();
    auto done = co_await answer();
    if (!done) co_return std::unexpected(done.error());
    // COMMIT of a transaction that an error has ended is answered with ROLLBACK.
    if (sql == "COMMIT" && std::string_view(PQcmdStatus(done->get())) != "COMMIT")
        co_return fail(ErrorCategory::transient, "busy", "database: the transaction was rolled back");
    co_return Result<void>();
}

}  // namespace codegen::storage
