#include "services/scaffolder/template_choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/serialize.hpp>

#include "shared/http/url.hpp"

namespace codegen::scaffolder {
namespace fs = std::filesystem;

namespace {

constexpr std::array<std::string_view, 3> kSchemes{"https://", "http://", "ssh://"};

std::unexpected<Error> refuse(std::string field, std::string why) {
    return fail(ErrorCategory::permanent, "invalid", fmt::format("{}: {}", field, why), field);
}

std::size_t scheme_length(std::string_view text) {
    const auto at = text.find("://");
    return at == text.npos ? 0 : at + 3;
}

// "git@host:owner/name" has an @ of its own; so has "ssh://git@host/name".
std::size_t reference_position(std::string_view text) {
    const auto at = text.rfind('@');
    if (at == text.npos || at + 1 == text.size()) return text.npos;
    return text.substr(scheme_length(text), at - std::min(at, scheme_length(text))).contains('/') ? at : text.npos;
}

bool is_reference(std::string_view text) {
    return !text.starts_with('-') && !text.contains("..") && std::ranges::all_of(text, [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '/' || c == '+';
    });
}

bool is_name(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
        return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '-' || c == '_';
    });
}

// Whether `location` is `root` or lies below it.
bool lies_in(std::string_view location, std::string_view root) {
    while (root.size() > 1 && root.ends_with('/')) root.remove_suffix(1);
    return !root.empty() && location.starts_with(root) &&
           (location.size() == root.size() || location[root.size()] == '/' || root.ends_with('/'));
}

// Over SSH git would sign in with the key of whoever runs the control plane, and fetch what that person may read.
Result<void> check_identity(const TemplateChoice& choice) {
    if (choice.trusted) return {};
    return refuse("template",
                  fmt::format("\"{}\" would be fetched with the operator's SSH key: the operator allows those of "
                              "TEMPLATE_TRUSTED only",
                              choice.location));
}

Result<void> check_location(const TemplateChoice& choice, const TemplateRules& rules) {
    const std::string_view location = choice.location;
    if (location.starts_with('/')) {
        // What a project's owner may read of this machine is for the operator to say.
        const auto plain = fs::path(location).lexically_normal().string();
        for (const auto& root : rules.local_templates)
            if (lies_in(plain, root.string())) return {};
        return refuse("template", fmt::format("\"{}\" is a path of this machine; the operator allows those below "
                                              "TEMPLATE_DIRECTORIES only",
                                              location));
    }
    const auto length = scheme_length(location);
    const auto host = location.substr(length, location.find('/', length) - length);
    if (length == 0) {
        const auto colon = location.find(':');
        if (location.starts_with("git@") && colon != location.npos && !location.substr(4).starts_with('-'))
            return check_identity(choice);
    } else if (std::ranges::any_of(kSchemes, [&](auto scheme) { return location.starts_with(scheme); })) {
        if (!host.empty() && !host.starts_with('-'))
            return location.starts_with("ssh://") ? check_identity(choice) : Result<void>();
    }
    return refuse("template", fmt::format("\"{}\": expected the name of a template of ours, or a URL that begins with "
                                          "https://, http://, ssh:// or git@HOST:",
                                          location));
}

}  // namespace

Result<TemplateChoice> choose_template(const boost::json::object& config, const TemplateRules& rules) {
    TemplateChoice out;
    out.name = kBuiltInTemplate;
    if (const auto* wanted = config.if_contains("template"); wanted && !wanted->is_null()) {
        if (!wanted->is_string())
            return refuse("template", fmt::format("{}: expected a text", boost::json::serialize(*wanted)));
        std::string_view text = wanted->get_string();
        if (http::holds_credentials(text))  // before anything repeats it
            return refuse("template", "holds a user or a password: it would be stored and logged; leave it out");
        if (!is_name(text)) {
            const auto at = reference_position(text);
            if (at != text.npos) out.reference = text.substr(at + 1);
            if (!is_reference(out.reference))
                return refuse("template", fmt::format("\"{}\" is no branch, tag or commit", out.reference));
            out.location = text.substr(0, at);
        }
        out.name = out.location.empty() ? std::string(text) : out.location;
    }
    if (!out.location.empty()) {
        out.trusted =
            std::ranges::any_of(rules.trusted, [&](const std::string& root) { return lies_in(out.location, root); });
        if (auto fine = check_location(out, rules); !fine) return std::unexpected(fine.error());
    }
    const auto* data = config.if_contains("template_data");
    if (!data || data->is_null()) return out;
    if (!data->is_object()) return refuse("template_data", "expected an object of texts");
    for (const auto& [name, value] : data->get_object()) {
        if (!value.is_string())
            return refuse(fmt::format("template_data.{}", std::string_view(name)),
                          fmt::format("{}: expected a text", boost::json::serialize(value)));
        out.data[std::string(name)] = value.get_string();
    }
    return out;
}

}  // namespace codegen::scaffolder
