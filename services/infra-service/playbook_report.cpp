#include "services/infra-service/playbook_report.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json/value.hpp>

#include "shared/json/json.hpp"

namespace codegen::infra {
namespace {

constexpr std::size_t kLongestMessage = 2000;
constexpr std::size_t kMostSkipped = 100;

std::string text(const boost::json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value && value->is_string() ? std::string(value->get_string()).substr(0, kLongestMessage) : std::string();
}

std::int64_t number(const boost::json::object& object, std::string_view name) {
    const auto* value = object.if_contains(name);
    return value && value->is_int64() ? std::max<std::int64_t>(0, value->get_int64()) : 0;
}

}  // namespace

std::string PlaybookFailure::describe() const {
    return fmt::format("play \"{}\", task \"{}\", host {}: {}{}", play, task, host,
                       unreachable ? "the connection is lost: " : "", message);
}

PlaybookReport::Step PlaybookReport::on_line(std::string_view line) {
    const auto parsed = line.starts_with('{') ? json::parse_any(line) : json::Parsed<boost::json::value>();
    const auto* event = parsed && parsed->is_object() ? &parsed->get_object() : nullptr;
    const auto kind = event ? text(*event, "event") : std::string();
    if (kind.empty()) {
        if (line.find_first_not_of(" \t\r") != line.npos) last_words_ = line.substr(0, kLongestMessage);
        return Step::other;
    }
    if (kind == "started") {
        pid_ = static_cast<int>(number(*event, "pid"));
        return Step::started;
    }
    if (kind == "task") {
        play_ = text(*event, "play");
        task_ = text(*event, "task");
        return Step::task;
    }
    if ((kind == "failed" || kind == "unreachable") && !failure_) {
        failure_ = PlaybookFailure{text(*event, "play"), text(*event, "task"), text(*event, "host"),
                                   text(*event, "message"), kind == "unreachable"};
    } else if (kind == "skipped" && skipped_.size() < kMostSkipped) {
        skipped_.push_back(text(*event, "task"));
    } else if (kind == "stats") {
        hosts_[text(*event, "host")] =
            HostCounts{number(*event, "ok"), number(*event, "changed"), number(*event, "failures"),
                       number(*event, "unreachable"), number(*event, "skipped")};
    } else if (kind == "facts") {
        facts_ = HostFacts{number(*event, "cpus"),    number(*event, "ram_mb"),       number(*event, "ram_free_mb"),
                           number(*event, "disk_mb"), number(*event, "disk_free_mb"), text(*event, "system")};
    }
    return Step::other;
}

bool PlaybookReport::clean() const {
    return !failure_ && !hosts_.empty() && std::ranges::all_of(hosts_, [](const auto& host) {
        return host.second.failures == 0 && host.second.unreachable == 0;
    });
}

std::string PlaybookReport::counts_text() const {
    HostCounts sum;
    for (const auto& [name, host] : hosts_) {
        sum.ok += host.ok;
        sum.changed += host.changed;
        sum.skipped += host.skipped;
    }
    return fmt::format("ok={} changed={} skipped={}{}", sum.ok, sum.changed, sum.skipped,
                       skipped_.empty() ? "" : fmt::format(" ({})", fmt::join(skipped_, "; ")));
}

}  // namespace codegen::infra
