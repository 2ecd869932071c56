// Which template a project begins with: one of our own, or any Copier template. Pure.
#pragma once
#include <boost/json/object.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.hpp"

namespace codegen::scaffolder {

inline constexpr std::string_view kBuiltInTemplate = "standard";

// What the operator allows.
struct TemplateRules {
    std::vector<std::string> trusted;  // these (and what lies below them) may run tasks and extensions
    std::vector<std::filesystem::path> local_templates;  // templates may lie in these directories of this machine
};

struct TemplateChoice {
    std::string name;       // as the project says it, without a reference
    std::string location;   // URL or path; empty: a template of our own of that name
    std::string reference;  // branch, tag or commit; empty: the default branch
    bool trusted = false;
    std::map<std::string, std::string> data;  // answers of the person
};

// From a project's `config`: `template` is NAME, URL or URL@REF; `template_data` an object of texts. The error says
// what is wrong with which of them.
Result<TemplateChoice> choose_template(const boost::json::object& config, const TemplateRules& rules);

}  // namespace codegen::scaffolder
