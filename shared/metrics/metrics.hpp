// Figures of this process for Prometheus (https://prometheus.io/docs/instrumenting/exposition_formats/, text 0.0.4).
// One set a process; thread-safe. A name is used with one kind and one set of label names; values of labels come from a
// bounded set (routes, streams, roles), never from ids.
#pragma once
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace codegen::metrics {

using Labels = std::vector<std::pair<std::string_view, std::string>>;

// What a family is for; once, before its first figure. Without it a family has no HELP line.
void describe(std::string_view name, std::string_view help);

void count(std::string_view name, const Labels& labels, std::uint64_t by = 1);  // counter: name ends with _total
void set(std::string_view name, const Labels& labels, double value);            // gauge
void observe(std::string_view name, const Labels& labels, std::chrono::duration<double> took);  // histogram, seconds
// Forgets every figure of a gauge, before it is set anew for what there is now.
void clear(std::string_view name);

std::string text();

// One family as text, for figures that are read when they are asked for. `kind`: gauge, counter.
std::string family(std::string_view name, std::string_view kind, std::string_view help,
                   const std::vector<std::pair<Labels, double>>& figures);

}  // namespace codegen::metrics
