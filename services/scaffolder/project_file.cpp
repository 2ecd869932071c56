#include "services/scaffolder/project_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json/serialize.hpp>
#include <cctype>

namespace codegen::scaffolder {
namespace {

// JSON is YAML.
std::string yaml_text(std::string_view text) { return boost::json::serialize(boost::json::string(text)); }

boost::json::array module_names(const contracts::Project& project) {
    boost::json::array out;
    for (const auto module : project.modules) out.emplace_back(json::name_of(module));
    return out;
}

}  // namespace

std::string slug_of(std::string_view name) {
    std::string out;
    for (const unsigned char c : name.substr(0, 200)) {
        if (std::isalnum(c) != 0)
            out += static_cast<char>(std::tolower(c));
        else if (!out.empty() && out.back() != '-')
            out += '-';
    }
    out = out.substr(0, 60);
    while (out.ends_with('-')) out.pop_back();
    if (out.empty()) return "project";
    return std::isdigit(static_cast<unsigned char>(out.front())) != 0 ? "project-" + out : out;
}

Result<boost::json::object> answers_for(const contracts::Project& project, const TemplateChoice& choice,
                                        const Questions& questions) {
    const auto description = project.description.value_or("");
    const auto slug = slug_of(project.name);
    boost::json::object out{{"name", project.name},       {"project_name", project.name},
                            {"project_slug", slug},       {"slug", slug},
                            {"description", description}, {"project_description", description},
                            {"project_id", project.id},   {"modules", module_names(project)}};
    for (const auto& [name, value] : choice.data) {
        if (questions.complete && !questions.names.contains(name))
            return fail(
                ErrorCategory::permanent, "invalid",
                fmt::format("--data {}: the template does not ask it; it asks {}", name,
                            questions.names.empty() ? "nothing" : fmt::format("{}", fmt::join(questions.names, ", "))),
                "template_data." + name);
        out[name] = value;
    }
    return out;
}

std::string project_file(const contracts::Project& project, std::string_view template_name) {
    return fmt::format(
        "# What this project is and needs to run. Name every variable and secret below `environment`.\n"
        "version: 1\nproject:\n  id: {}\n  name: {}\n  template: {}\n  modules: {}\nenvironment: []\n",
        yaml_text(project.id), yaml_text(project.name), yaml_text(template_name),
        boost::json::serialize(module_names(project)));
}

}  // namespace codegen::scaffolder
