#include "shared/metrics/metrics.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <mutex>
#include <variant>

namespace codegen::metrics {
namespace {

// From a memory-resident read to a request that is about to be given up.
constexpr std::array kBounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0};

struct Histogram {
    std::array<std::uint64_t, kBounds.size()> below{};  // not cumulative
    std::uint64_t count = 0;
    double sum = 0;
};

struct Family {
    std::string help;
    std::map<std::string, std::uint64_t> counters;  // by their labels as text
    std::map<std::string, double> gauges;
    std::map<std::string, Histogram> histograms;
};

struct Registry {
    std::mutex mutex;
    std::map<std::string, Family, std::less<>> families;
};

Registry& registry() {
    static Registry instance;
    return instance;
}

Family& family_of(Registry& all, std::string_view name) {
    const auto found = all.families.find(name);
    return found != all.families.end() ? found->second : all.families[std::string(name)];
}

std::string escaped(std::string_view text, bool quotes) {
    std::string out;
    for (const char c : text) {
        if (c == '\\')
            out += "\\\\";
        else if (c == '\n')
            out += "\\n";
        else if (c == '"' && quotes)
            out += "\\\"";
        else
            out += c;
    }
    return out;
}

// a="x",b="y"
std::string label_text(const Labels& labels) {
    std::string out;
    for (const auto& [name, value] : labels)
        out += fmt::format("{}{}=\"{}\"", out.empty() ? "" : ",", name, escaped(value, true));
    return out;
}

std::string braced(const std::string& labels) { return labels.empty() ? std::string() : "{" + labels + "}"; }

std::string number(double value) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    return fmt::format("{}", value);
}

std::string head(std::string_view name, std::string_view kind, std::string_view help) {
    std::string out;
    if (!help.empty()) out += fmt::format("# HELP {} {}\n", name, escaped(help, false));
    return out + fmt::format("# TYPE {} {}\n", name, kind);
}

void write_histogram(std::string& out, const std::string& name, const std::string& labels, const Histogram& figures) {
    const std::string comma = labels.empty() ? "" : ",";
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < kBounds.size(); ++i) {
        cumulative += figures.below[i];
        out += fmt::format("{}_bucket{{{}{}le=\"{}\"}} {}\n", name, labels, comma, kBounds[i], cumulative);
    }
    out += fmt::format("{}_bucket{{{}{}le=\"+Inf\"}} {}\n", name, labels, comma, figures.count);
    out += fmt::format("{}_sum{} {}\n{}_count{} {}\n", name, braced(labels), number(figures.sum), name, braced(labels),
                       figures.count);
}

}  // namespace

void describe(std::string_view name, std::string_view help) {
    auto& all = registry();
    const std::lock_guard lock(all.mutex);
    family_of(all, name).help = help;
}

void count(std::string_view name, const Labels& labels, std::uint64_t by) {
    auto& all = registry();
    const std::lock_guard lock(all.mutex);
    family_of(all, name).counters[label_text(labels)] += by;
}

void set(std::string_view name, const Labels& labels, double value) {
    auto& all = registry();
    const std::lock_guard lock(all.mutex);
    family_of(all, name).gauges[label_text(labels)] = value;
}

void observe(std::string_view name, const Labels& labels, std::chrono::duration<double> took) {
    auto& all = registry();
    const std::lock_guard lock(all.mutex);
    auto& figures = family_of(all, name).histograms[label_text(labels)];
    for (std::size_t i = 0; i < kBounds.size(); ++i) {
        if (took.count() > kBounds[i]) continue;
        ++figures.below[i];
        break;
    }
    ++figures.count;
    figures.sum += took.count();
}

void clear(std::string_view name) {
    auto& all = registry();
    const std::lock_guard lock(all.mutex);
    family_of(all, name).gauges.clear();
}

std::string text() {
    auto& all = registry();
    const std::lock_guard lock(all.mutex);
    std::string out;
    for (const auto& [name, figures] : all.families) {
        if (!figures.counters.empty()) {
            out += head(name, "counter", figures.help);
            for (const auto& [labels, value] : figures.counters)
                out += fmt::format("{}{} {}\n", name, braced(labels), value);
        } else if (!figures.gauges.empty()) {
            out += head(name, "gauge", figures.help);
            for (const auto& [labels, value] : figures.gauges)
                out += fmt::format("{}{} {}\n", name, braced(labels), number(value));
        } else if (!figures.histograms.empty()) {
            out += head(name, "histogram", figures.help);
            for (const auto& [labels, value] : figures.histograms) write_histogram(out, name, labels, value);
        }
    }
    return out;
}

std::string family(std::string_view name, std::string_view kind, std::string_view help,
                   const std::vector<std::pair<Labels, double>>& figures) {
    if (figures.empty()) return {};
    auto out = head(name, kind, help);
    for (const auto& [labels, value] : figures)
        out += fmt::format("{}{} {}\n", name, braced(label_text(labels)), number(value));
    return out;
}

}  // namespace codegen::metrics
