// A project's repositories on GitHub. The host keeps a bare copy of each: workspaces are cloned from it and work is
// collected into it as with a local one, so that the token that reaches GitHub is seen by the host's own git alone.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "shared/async/async.hpp"

namespace codegen::clients {
class GitHubClient;
}

namespace codegen::worker_manager {

// Use on one thread.
class Remotes {
  public:
    // `github` null: there are none. `directory`: for the copies; not where local repositories are.
    Remotes(std::shared_ptr<clients::GitHubClient> github, std::filesystem::path directory);

    // May a worker get it? An http(s) URL that is no repository of our organisation is "invalid", with what to do; user
    // and password in it are not repeated. False: no http(s) URL, so it is for others to say.
    Result<bool> serves(std::string_view url) const;

    // One at a time does something to a copy, as long as what is returned lives. May be cancelled while it waits.
    class Held;
    Task<Held> take(std::string url);

    // All below: of a URL that serves() is true for, while it is held.
    std::filesystem::path copy_of(std::string_view url) const;
    // Brings the copy's branches, tags and HEAD to what GitHub has. Errors: permanent "not_found", "git"; after some
    // tries transient "git".
    Task<Result<void>> fetch(std::string url);
    // Puts `commit` of the copy at `branch`, whatever was there. Doing it again is nothing. Errors: permanent
    // "commit_rejected", with GitHub's reason, where it refuses this commit; else as fetch().
    Task<Result<void>> push(std::string url, std::string commit, std::string branch);

  private:
    struct Call {
        std::vector<std::string> before;  // "fetch", "-q", ...; then the URL
        std::vector<std::string> after;
        bool writes = false;
    };
    Task<Result<std::string>> run(std::string url, Call call);
    Task<Result<std::string>> attempt(std::string url, Call call);
    Task<Result<void>> make_copy(std::filesystem::path path);
    std::string name_of(std::string_view url) const;

    const std::shared_ptr<clients::GitHubClient> github_;
    const std::filesystem::path directory_;
    struct Lock {
        bool held = false;
        asio::steady_timer freed;  // cancelled when it is
    };
    std::map<std::filesystem::path, std::shared_ptr<Lock>> locks_;
};

class Remotes::Held {
  public:
    explicit Held(std::shared_ptr<Lock> lock) : lock_(std::move(lock)) { lock_->held = true; }
    Held(Held&&) = default;
    Held& operator=(Held&&) = delete;
    ~Held() {
        if (!lock_) return;
        lock_->held = false;
        lock_->freed.cancel();
    }

  private:
    std::shared_ptr<Lock> lock_;
};

}  // namespace codegen::worker_manager
