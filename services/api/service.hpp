// The role "api": REST resources over the database (docs/protocols.md, "REST resources"). Data only: it publishes to
// no queue and calls nobody.
#pragma once
#include <cstddef>
#include <filesystem>
#include <memory>
#include <vector>

#include "services/api/secret_key.hpp"
#include "shared/base/timestamp.hpp"
#include "shared/http/router.hpp"
#include "shared/http/server.hpp"
#include "shared/storage/database.hpp"

namespace codegen::api {

struct Options {
    std::size_t body_limit = 4u << 20;  // bytes of a request body; beyond it 413
    // ALLOW_HEADER_AUTH=1: X-Telegram-ID without a token is believed on loopback TCP. Development only.
    bool allow_header_auth = false;
    std::int64_t rate_limit = 0;              // requests a minute of one token, also all at once; 0: no limit
    std::vector<std::string> cors_origins{};  // whose pages may use the API from a browser; none: nobody's
    std::filesystem::path state_directory{};  // of admin.token, service.token and, without another key, secrets.key
    // SECRETS_KEY, SECRETS_KEY_FILE: what secrets are encrypted with at rest. Neither: <state>/secrets.key.
    std::string secrets_key{};
    std::filesystem::path secrets_key_file{};
    Clock clock = system_now;
    // Tests: an answer that its route does not declare (route.hpp) becomes 500 and says what is wrong.
    bool strict_contracts = false;
};

// Use on one thread. `database` outlives the service; the service outlives every server that has its handler.
class Service {
  public:
    Service(storage::Database& database, Options options);
    ~Service();

    // Before the first request: migrates the tables; at the first start makes the admin user (id 1) and the tokens in
    // <state>/admin.token, <state>/service.token and <state>/infra.token (0600, without a newline; the database holds
    // only SHA-256s). A file that is missing, or whose token the database does not know, is written anew and its former
    // token revoked; a line in the log says so. Fatal: cors_origins holds what is none; the key is not the one that the
    // database's secrets are encrypted with.
    Task<Result<void>> bootstrap();

    http::Handler handler();
    http::ServerOptions server_options() const;  // with the matching body limit
    std::vector<http::Router::Route> routes() const;

    static std::vector<storage::Migration> migrations();  // of the component "api"
    // `orchestratord secrets rotate`: migrates, then as rotate_secrets() with the options' key. No bootstrap() before.
    Task<Result<Rotation>> rotate_secrets(std::filesystem::path new_key_file);

  private:
    struct Impl;
    SecretKeySource secret_key_source() const;
    std::unique_ptr<Impl> impl_;
};

// What /openapi.json answers, also without a server.
std::string openapi_document();

}  // namespace codegen::api
