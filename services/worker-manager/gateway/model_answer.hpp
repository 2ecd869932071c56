// One answer of a model provider on its way to the worker: passed on byte by byte, as fast as the worker reads. Figures
// are read out of what passes and charged as they come.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "services/worker-manager/gateway/doors.hpp"
#include "services/worker-manager/gateway/usage.hpp"

namespace codegen::worker_manager {

// The key of a header that every answer of our own has, and none of a provider's: what went wrong.
inline constexpr std::string_view kOwnAnswer = "Codegen-Gateway";

class ModelAnswer {
  public:
    struct Asked {
        bool costs = false;  // its tokens are paid for
        std::optional<ModelPrice> price{};
        std::int64_t bytes = 0;  // of the request
    };
    ModelAnswer(Gate gate, std::unique_ptr<http::ResponseStream> stream, Asked asked);
    // Charges what is known, or guessed of a cut answer: also when the worker went away in the middle.
    ~ModelAnswer();
    ModelAnswer(const ModelAnswer&) = delete;
    ModelAnswer& operator=(const ModelAnswer&) = delete;

    static http::Reply reply(std::shared_ptr<ModelAnswer> self);

  private:
    static Task<Result<void>> pass_on(std::shared_ptr<ModelAnswer> self, http::Stream* worker);
    void charge();
    void charge_estimate();
    void spend(const ModelUsage& more);
    void ended();

    const Gate gate_;
    const std::unique_ptr<http::ResponseStream> stream_;
    const Asked asked_;
    const bool event_stream_;
    UsageReader usage_;
    ModelUsage charged_;
    std::int64_t received_ = 0;  // bytes
};

}  // namespace codegen::worker_manager
