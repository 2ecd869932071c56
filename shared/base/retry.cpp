#include "shared/base/retry.hpp"

#include <array>
#include <random>

namespace codegen {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::array kTransient{seconds(1), seconds(2), seconds(4)};
constexpr std::array kUpstream{seconds(5), seconds(10), seconds(20), seconds(60), seconds(60)};
constexpr milliseconds kJitter{100};

}  // namespace

RetryPolicy::RetryPolicy(std::function<double()> random) : random_(std::move(random)) {}

RetryPolicy::RetryPolicy()
    : random_([engine = std::minstd_rand(std::random_device{}())]() mutable {
          return std::uniform_real_distribution<double>(0, 1)(engine);
      }) {}

std::optional<milliseconds> RetryPolicy::next(ErrorCategory category, int retries_done,
                                              std::optional<seconds> retry_after) const {
    const auto index = static_cast<std::size_t>(retries_done);
    if (category == ErrorCategory::transient && index < kTransient.size()) {
        const double jitter = (random_() * 2 - 1) * static_cast<double>(kJitter.count());
        return kTransient[index] + milliseconds(static_cast<std::int64_t>(jitter));
    }
    if (category == ErrorCategory::upstream && index < kUpstream.size()) return retry_after.value_or(kUpstream[index]);
    return std::nullopt;
}

}  // namespace codegen
