// What the scaffolder says to a template, and what every project has whatever its template made. Pure.
#pragma once
#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "services/scaffolder/template_choice.hpp"
#include "services/scaffolder/template_folder.hpp"
#include "shared/contracts/contracts.hpp"

namespace codegen::scaffolder {

inline constexpr std::string_view kProjectFile = ".project.yml";

// "My Shop!" -> "my-shop"; never empty.
std::string slug_of(std::string_view name);

// Everything that a template may ask by a name that we know, and the person's own answers. Error: an answer to what the
// template does not ask.
Result<boost::json::object> answers_for(const contracts::Project& project, const TemplateChoice& choice,
                                        const Questions& questions);

// .project.yml for a template that has none: the project, and no variable.
std::string project_file(const contracts::Project& project, std::string_view template_name);

}  // namespace codegen::scaffolder
