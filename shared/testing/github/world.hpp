// What the fake GitHub knows, and how its routes are written. Internal to shared/testing/github; everything here is
// used on the server's thread.
#pragma once
#include <boost/json.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/async/async.hpp"
#include "shared/http/router.hpp"
#include "shared/http/url.hpp"
#include "shared/testing/github/fake_github.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::testing::github {

struct Token {
    Timestamp expires{};
    std::vector<std::string> repositories;  // empty: all
    std::map<std::string, std::string> permissions;
};

struct Run {
    std::int64_t id = 0;
    std::string workflow;
    std::string title;
    std::string branch;
    std::string sha;
    std::string status = "queued";
    std::string conclusion;  // empty: none yet
    std::string logs;        // a zip
    int hidden = 0;          // in how many lists it is not yet
};

struct Pull {
    std::int64_t number = 0;
    std::string title;
    std::string body;
    std::string head;
    std::string base;
    std::string merge_commit;  // empty: not merged
};

struct Hosted {
    std::int64_t id = 0;
    std::string name = {};
    std::string description = {};
    bool is_private = true;
    std::string default_branch = "main";
    std::filesystem::path path = {};  // bare
    std::string secrets_public = {};  // raw; of the key that secrets are sealed for
    std::string secrets_private = {};
    std::map<std::string, std::string> secrets = {};  // as they were opened
    std::vector<Run> runs = {};
    std::vector<Pull> pulls = {};
    std::map<std::string, boost::json::object> protections = {};  // by branch
    boost::json::array checks = {};                               // of every commit
};

// One request on its way through.
struct Exchange {
    http::Request request;  // target below the API's base
    http::Match match;
    boost::json::value body;
    const Token* token = nullptr;  // nullptr: the App itself

    std::string param(std::string_view name) const;
    std::string query(std::string_view name, std::string otherwise = {}) const;
    std::string text(std::string_view member) const;  // of the body
};

struct World;
using Route = Task<http::Response> (*)(World* world, Exchange exchange);

struct World {
    explicit World(FakeGitHubOptions given);

    const FakeGitHubOptions options;
    TempDirectory directory;
    std::string private_key;  // PEM
    std::string public_key;   // PEM
    std::string base_url;     // "http://127.0.0.1:12345"
    std::chrono::seconds clock_offset{0};
    std::int64_t used = 0;
    Timestamp window_end{};
    std::map<std::string, Token> tokens;
    std::map<std::string, Hosted> repositories;
    std::int64_t next_id = 1000;

    Timestamp now() const { return system_now() + clock_offset; }
    std::string api_base() const { return options.enterprise ? "/api/v3" : ""; }
    Hosted* hosted(const std::string& owner, const std::string& name);
    // Reachable with this token?
    bool sees(const Token& token, const std::string& repository) const;
    bool permits(const Token& token, std::string_view permission, std::string_view access) const;
    // Route for installation tokens with this permission on the repository that the path names; for the App itself
    // where `permission` is "app".
    void add(http::Router& router, std::string_view method, std::string_view pattern, std::string permission,
             std::string access, Route route);
};

http::Response answer(unsigned status, const boost::json::value& body);
http::Response refuse(unsigned status, std::string_view message);
http::Response refuse_field(std::string_view resource, std::string_view field, std::string_view code,
                            std::string_view message);
http::Response nothing();  // 204
// One page of `items`, by ?page and ?per_page, with the header Link.
http::Response page(const World& world, const Exchange& exchange, const boost::json::array& items,
                    std::string_view member = {});

// JWT of the App: nullopt when signature and claims are right, else what is wrong.
std::optional<std::string> check_app_token(const World& world, std::string_view bearer);
std::pair<std::string, std::string> make_key_pair();  // private, public; PEM

// The output of a git command in `repository`; nullopt: it failed.
Task<std::optional<std::string>> git(std::filesystem::path repository, std::vector<std::string> arguments,
                                     std::string input = {}, std::map<std::string, std::string> environment = {});
Task<void> make_bare(std::filesystem::path path, std::string default_branch);
// The same, without the line breaks at its end.
Task<std::optional<std::string>> git_line(std::filesystem::path repository, std::vector<std::string> arguments,
                                          std::string input = {}, std::map<std::string, std::string> environment = {});
// Commits `content` at `path` on `branch`, which may not exist yet; an absent content removes it. Its commit's sha.
Task<std::string> commit_file(std::filesystem::path repository, std::string branch, std::string path,
                              std::optional<std::string> content, std::string message);

boost::json::object repository_json(const World& world, const Hosted& hosted);
Task<http::Reply> serve_git(World* world, http::Request request);

void add_app_routes(World& world, http::Router& router);
void add_repository_routes(World& world, http::Router& router);
void add_contents_routes(World& world, http::Router& router);
void add_actions_routes(World& world, http::Router& router);
void add_pull_routes(World& world, http::Router& router);
// For routes: the repository that the path names.
Hosted& hosted_by(World* world, const Exchange& exchange);

}  // namespace codegen::testing::github
