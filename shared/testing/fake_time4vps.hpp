// Time4VPS' user API for tests: a real HTTP server on a thread of its own that checks the login, limits how often a
// server is acted on, runs tasks, and fails on demand. Every method is thread-safe.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace codegen::testing {

class FakeTime4vps {
  public:
    struct Server {
        std::string id;
        std::string ip;
        std::string domain;
        std::vector<std::string> systems{"kvm-debian-12-x86_64"};
    };
    // Listens on a free port of 127.0.0.1; throws std::runtime_error when it cannot.
    explicit FakeTime4vps(std::string user = "me@example.test", std::string password = "account-secret");
    ~FakeTime4vps();
    FakeTime4vps(const FakeTime4vps&) = delete;

    std::string url() const;
    void add(Server server);
    // Called on the server's thread when a task is looked at for the last time before it is completed; what it returns
    // are the task's results. Default: a few words, of a password reset a page with the password "new-password".
    using Action = std::function<std::string(const Server&, const std::string& public_key)>;
    void on_reinstall(Action action);
    void on_reset_password(Action action);
    void looks_until_done(int looks);  // of every task from now on
    // The next answers: a status and a body instead of the real one.
    void answer_with(unsigned status, std::string body, int times = 1);
    // "POST /server/7/reinstall {...}", in order; without the login.
    std::vector<std::string> requests() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace codegen::testing
