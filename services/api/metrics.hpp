// Counts of answered requests, as Prometheus text (https://prometheus.io/docs/instrumenting/exposition_formats/).
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>

namespace codegen::api {

class Metrics {
  public:
    // `route` is a pattern, so that the number of series is bounded.
    void count(std::string method, std::string route, unsigned status);
    std::chrono::duration<double> uptime() const;
    std::string text() const;

  private:
    std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
    std::map<std::tuple<std::string, std::string, unsigned>, std::uint64_t> requests_;
};

}  // namespace codegen::api
