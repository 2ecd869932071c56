// GitHub for tests: its REST API for a GitHub App in one organisation, and git over HTTP, on a real server in the
// test's process, on its own thread. Repositories are real ones (git http-backend serves them), the App's signature is
// verified, tokens have scopes and an end, secrets are opened with the repository's key, and what went wrong on the
// real one can be made to go wrong here.
//
// Every method is thread-safe and may block the test's thread for a moment.
#pragma once
#include <boost/json/array.hpp>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/timestamp.hpp"
#include "shared/http/message.hpp"

namespace codegen::testing {

struct FakeGitHubOptions {
    std::string organization = "acme";
    std::string app_id = "12345";
    bool enterprise = false;  // the API below /api/v3, as GitHub Enterprise Server has it
    std::int64_t hourly_limit = 5000;
    std::chrono::seconds token_life{3600};
    // What the App was granted.
    std::map<std::string, std::string> permissions = {
        {"actions", "write"}, {"administration", "write"}, {"checks", "read"},   {"contents", "write"},
        {"metadata", "read"}, {"pull_requests", "write"},  {"secrets", "write"}, {"workflows", "write"}};
    bool returns_run_details = true;  // of a dispatch, since 2026; older servers refuse to be asked
    int run_appears_after = 0;        // in so many lists a dispatched run is not yet
};

// What happens to the next requests that it fits, one after the other.
struct GitHubFault {
    std::string method = {};  // empty: any
    std::string path =
        {};  // how the path below the API's base begins, e.g. "/orgs/acme/repos"; of git: "/acme/shop.git"
    unsigned status = 500;
    std::string body = R"({"message": "made to fail"})";
    std::vector<std::pair<std::string, std::string>> headers = {};
    bool after_effect = false;  // it is carried out first, and only its answer is lost
    bool hangs = false;         // no answer until release() or the server's end
    bool cuts = false;          // the connection ends instead
    int times = 1;
};

// What arrived, in order.
struct GitHubRequest {
    std::string method;
    std::string target;  // below the API's base
    http::Headers headers;
    std::string body;
    unsigned status = 0;  // of the answer
};

class FakeGitHub {
  public:
    using Options = FakeGitHubOptions;
    // On a free port of 127.0.0.1. Throws when it cannot be made.
    explicit FakeGitHub(Options options = {});
    ~FakeGitHub();
    FakeGitHub(const FakeGitHub&) = delete;

    std::string api_url() const;
    std::string web_url() const;             // "http://127.0.0.1:12345"; repositories are below it: /acme/shop.git
    const std::string& private_key() const;  // the App's, PEM
    const Options& options() const;

    void fail(GitHubFault fault);
    void release();                         // what hangs
    void expire_tokens();                   // all that were given out, now
    void advance(std::chrono::seconds by);  // its clock
    Timestamp now() const;
    void use_requests(std::int64_t count);  // of the rate limit, as if others had made them

    // A repository with one commit (README.md), or an empty one.
    void add_repository(const std::string& name, bool empty = false);
    void name_default_branch(const std::string& repository, const std::string& branch);
    void commit(const std::string& repository, const std::string& branch, const std::string& path,
                const std::string& content);  // by somebody else
    void add_names(std::size_t count);  // that many repositories for lists, "r000" and on, without anything of git
    void refuse_pushes(const std::string& name, const std::string& message);  // empty: no longer
    bool has_repository(const std::string& name) const;
    std::filesystem::path repository_path(const std::string& name) const;                             // bare
    std::optional<std::string> branch(const std::string& repository, const std::string& name) const;  // its commit
    std::optional<std::string> file(const std::string& repository, const std::string& ref,
                                    const std::string& path) const;

    std::map<std::string, std::string> secrets(const std::string& repository) const;  // as GitHub opened them
    // A dispatched run of somebody else's.
    std::int64_t add_run(const std::string& repository, const std::string& workflow, const std::string& branch);
    void end_run(const std::string& repository, std::int64_t id, const std::string& conclusion,
                 const std::string& zipped_logs = {});
    void set_checks(const std::string& repository, boost::json::array checks);  // {name, status, conclusion}
    std::size_t pull_requests(const std::string& repository) const;

    std::vector<GitHubRequest> requests() const;
    std::size_t count(const std::string& method, const std::string& path_begins) const;
    std::vector<std::string> tokens() const;  // every one that was given out

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace codegen::testing
