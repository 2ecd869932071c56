#include "apps/orchestratord/infra_role.hpp"

#include <fmt/format.h>

#include <charconv>

#include "shared/posix/file.hpp"

namespace codegen::orchestratord {
namespace {

Result<std::vector<std::int64_t>> parse_ports(std::string_view text) {
    std::vector<std::int64_t> out;
    for (std::string_view rest = text; !rest.empty();) {
        const auto comma = std::min(rest.find(','), rest.size());
        auto item = rest.substr(0, comma);
        rest.remove_prefix(std::min(comma + 1, rest.size()));
        while (item.starts_with(' ')) item.remove_prefix(1);
        while (item.ends_with(' ')) item.remove_suffix(1);
        std::int64_t port = 0;
        const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), port);
        if (error != std::errc{} || end != item.data() + item.size() || port < 1 || port > 65535)
            return fail(
                ErrorCategory::fatal, "configuration",
                fmt::format("PROVISION_PORTS is \"{}\": expected ports between 1 and 65535, e.g. 80,443", text));
        out.push_back(port);
    }
    return out;
}

}  // namespace

Result<infra::ServiceOptions> infra_options(const Configuration& configuration, const StateDirectory& state) {
    infra::ServiceOptions out;
    auto ports = parse_ports(configuration.text("PROVISION_PORTS"));
    if (!ports) return std::unexpected(ports.error());
    out.work.open_ports = std::move(*ports);
    out.work.folder = state / "infra";
    out.work.ansible = configuration.text("ANSIBLE_PLAYBOOK");
    out.work.time_limit = std::chrono::seconds(std::max<std::int64_t>(1, configuration.integer("PROVISION_TIMEOUT")));
    out.provisioner.parallel =
        static_cast<std::size_t>(std::max<std::int64_t>(1, configuration.integer("PROVISION_PARALLEL")));
    out.work.time4vps.url = configuration.text("TIME4VPS_URL");
    out.work.time4vps.user = configuration.text("TIME4VPS_USER");
    out.work.time4vps.password = configuration.text("TIME4VPS_PASSWORD");
    return out;
}

Result<std::string> infra_token(const Configuration& configuration, const StateDirectory& state) {
    if (auto token = configuration.optional_text("INFRA_TOKEN")) return *token;
    auto token = posix::read_file(state / "infra.token", 4096);
    if (!token)
        return fail(ErrorCategory::fatal, "configuration",
                    fmt::format("no token of infra-service: {}; start the api role first, or set INFRA_TOKEN",
                                token.error().message));
    while (token->ends_with('\n')) token->pop_back();
    return *token;
}

}  // namespace codegen::orchestratord
