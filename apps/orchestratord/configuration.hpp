// The settings of orchestratord: one table, from which --help, docs/configuration.md and the validation are made.
// A value comes from its flag, else the environment, else the YAML file, else the default.
#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.hpp"
#include "shared/contracts/vocabulary.hpp"

namespace codegen::orchestratord {

struct Setting {
    enum class Kind { text, flag, integer, count, number, size, choice, url, secret } kind;  // count: from 1
    std::string_view name;      // the environment variable; in the YAML file the same in lower case
    std::string_view flag;      // "--runtime", or empty: none
    std::string_view fallback;  // the default as text; empty: unset
    std::string_view meaning;
    std::string_view choices;    // for Kind::choice: "auto|docker|sandbox"
    std::string_view also = "";  // another environment variable that is read when `name` is not set
};

std::span<const Setting> settings();
// CLAUDE_MEMORY_LIMIT and so on: the setting of each agent whose description has a default of its own.
const std::map<contracts::AgentType, std::string>& agent_memory_settings();
std::string settings_markdown();  // docs/configuration.md
// "512m", "2g", "1048576" -> bytes; nullopt: not a size.
std::optional<std::int64_t> parse_size(std::string_view text);

class Configuration {
  public:
    using Environment = std::function<std::optional<std::string>(std::string_view)>;
    // `flags`: by setting name. The file must exist when given; without one /etc/codegen/config.yaml is read if it is
    // there. Errors name the setting, where its value came from, the value (not of secrets) and what is expected; an
    // unknown key in the file is an error.
    static Result<Configuration> load(const std::map<std::string, std::string>& flags, const Environment& environment,
                                      const std::optional<std::filesystem::path>& file);

    std::string text(std::string_view name) const;  // empty: unset
    std::optional<std::string> optional_text(std::string_view name) const;
    std::int64_t integer(std::string_view name) const;
    std::vector<std::string> list(std::string_view name) const;  // items between commas, without spaces around them
    double number(std::string_view name) const;
    std::int64_t bytes(std::string_view name) const;
    bool is_set(std::string_view name) const;

  private:
    Result<void> check_limits() const;

    std::map<std::string, std::string, std::less<>> values_;
    std::set<std::string, std::less<>> defaulted_;  // those that nobody set
};

}  // namespace codegen::orchestratord
