// After the agent: HEAD of its workspace, and its new commits as a bundle in the state directory. Both by git with the
// agent's rights, under a deadline; only its output reaches us.
#pragma once
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "packages/worker-wrapper/body.hpp"
#include "packages/worker-wrapper/pipes.hpp"
#include "shared/contracts/wrapper_config.hpp"

namespace codegen::wrapper {

struct Collected {
    std::optional<std::string> head_sha;
    std::optional<std::string> bundle;  // file name in the state directory
    std::optional<std::string> bundle_error;
};

class Collector {
  public:
    Collector(Loop& loop, const contracts::WrapperConfig& config, Body& body);
    ~Collector();

    // Does nothing when the configuration names no base. `done` comes later, never from within.
    void start(const std::string& request_id, std::function<void(Collected)> done);
    void abort();  // kills it; `done` comes with what there is

  private:
    struct Step;
    void run(std::vector<std::string> arguments, std::chrono::seconds limit, PipeReader::OnData on_output,
             std::function<void(bool ok, std::string why)> next);
    void head_known();
    void take_bundle_bytes(std::string_view bytes);
    void bundle_ended(bool ok, const std::string& why);
    void finish();

    Loop& loop_;
    const contracts::WrapperConfig& config_;
    Body& body_;
    std::unique_ptr<Step> step_;
    std::function<void(Collected)> done_;
    Collected collected_;
    std::string request_id_;
    std::string head_text_;
    std::string temporary_;
    posix::Fd file_;
    std::int64_t bundle_bytes_ = 0;
    bool write_failed_ = false;
    bool aborted_ = false;
};

}  // namespace codegen::wrapper
