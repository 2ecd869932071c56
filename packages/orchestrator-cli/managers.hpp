// The worker-managers' own HTTP, found through the API (docs/protocols.md, "The manager's HTTP").
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "packages/orchestrator-cli/session.hpp"
#include "shared/contracts/dto/manager.hpp"
#include "shared/http/client.hpp"

namespace codegen::cli {

struct ManagerHost {
    std::string name;
    std::string url;
};

// Use on one thread. Errors as those of the API's client; besides: "timed_out" (504: what was asked for took too long).
class Managers {
  public:
    // `only`: the host to ask; empty: all.
    Managers(std::shared_ptr<Session> session, std::string only);

    // Of the API, those seen last first; this machine's is reached by the socket in the state directory. Errors: none
    // is known, or not `only`.
    Task<Result<std::vector<ManagerHost>>> hosts();
    // One request; 2xx only.
    Task<Result<http::Response>> ask(ManagerHost host, std::string method, std::string target, std::string body,
                                     std::chrono::milliseconds timeout);
    Task<Result<std::unique_ptr<http::ResponseStream>>> open(ManagerHost host, std::string target);

    struct Answers {
        std::vector<std::pair<ManagerHost, http::Response>> good;
        std::vector<std::pair<ManagerHost, Error>> missing;  // do not answer, after three retries
    };
    // The same GET of every host; `enough`: the first good answer will do. 404 is left out.
    Task<Result<Answers>> ask_all(std::string target, bool enough);
    // The same request of every host, which may be sent twice.
    Task<Result<Answers>> ask_all(std::string method, std::string target, std::string body,
                                  std::chrono::milliseconds timeout, bool enough = false);
    // The host that has this worker, and the worker.
    Task<Result<std::pair<ManagerHost, contracts::WorkerView>>> find(std::string worker_id);

  private:
    Result<std::pair<http::Client*, http::Request>> prepare(const ManagerHost& host, std::string method,
                                                            std::string target, std::string body);
    const std::shared_ptr<Session> session_;
    const std::string only_;
    std::map<std::string, std::unique_ptr<http::Client>> clients_;  // by URL
};

}  // namespace codegen::cli
