#include "packages/orchestrator-cli/completion.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <map>
#include <set>

namespace codegen::cli {
namespace {

bool takes_value(const OptionInfo& option) { return !option.positional && option.kind != OptionInfo::Kind::flag; }

std::vector<std::string> spellings(const OptionInfo& option) {
    std::vector<std::string> out{option.name};
    out.insert(out.end(), option.also.begin(), option.also.end());
    return out;
}

// Commands directly below `parent`.
std::vector<const CommandInfo*> below(const std::vector<CommandInfo>& tree, const CommandInfo& parent) {
    std::vector<const CommandInfo*> out;
    for (const auto& command : tree)
        if (command.path.size() == parent.path.size() + 1 &&
            std::equal(parent.path.begin(), parent.path.end(), command.path.begin()))
            out.push_back(&command);
    return out;
}

// What may stand after this command: commands below it, else its options; the program's own options everywhere.
std::vector<std::string> words_after(const std::vector<CommandInfo>& tree, const CommandInfo& command) {
    std::vector<std::string> out;
    for (const auto* next : below(tree, command)) out.push_back(next->path.back());
    for (const auto& option : command.options)
        if (!option.positional) out.push_back(option.name);
    for (const auto& option : command.options)
        if (option.positional) out.insert(out.end(), option.choices.begin(), option.choices.end());
    if (!command.path.empty())
        for (const auto& option : tree.front().options) out.push_back(option.name);
    out.emplace_back("--help");
    return out;
}

// The case branches that bash and zsh share: `path` is "engineering start", `previous` the word before the cursor.
std::string shared_cases(const std::vector<CommandInfo>& tree) {
    std::string paths;
    std::string choices;
    std::set<std::string> with_value;
    for (const auto& command : tree) {
        paths +=
            fmt::format("    \"{}\") words=\"{}\" ;;\n", command.name(' '), fmt::join(words_after(tree, command), " "));
        for (const auto& option : command.options) {
            if (!takes_value(option)) continue;
            for (const auto& name : spellings(option)) {
                with_value.insert(name);
                if (!option.choices.empty())
                    choices += fmt::format("    \"{} {}\") words=\"{}\"; value=1 ;;\n", command.name(' '), name,
                                           fmt::join(option.choices, " "));
            }
        }
    }
    std::string names;
    for (const auto& command : tree) {
        if (command.path.empty()) continue;
        names += fmt::format("{}\"{}\"", names.empty() ? "" : "|", command.name(' '));
    }
    std::string aliases;  // "engineering trigger" -> "engineering start"
    for (const auto& command : tree)
        for (const auto& also : command.also) {
            auto path = command;
            path.path.back() = also;
            aliases += fmt::format("      \"{}\") path=\"{}\" ;;\n", path.name(' '), command.name(' '));
        }
    return fmt::format(R"sh(  local path="" previous="" word words="" value=""
  for word in "$@"; do
    case "$previous" in {0}) previous=""; continue ;; esac
    previous="$word"
    case "${{path:+$path }}$word" in
      {1}) path="${{path:+$path }}$word" ;;
{2}    esac
  done
  case "$path" in
{3}  esac
  case "$previous" in {0}) words=""; value=1 ;; esac
  case "$path $previous" in
{4}    *) ;;
  esac
)sh",
                       fmt::join(with_value, "|"), names, aliases, paths, choices);
}

std::string shell_quoted(std::string_view text) {
    std::string out = "'";
    for (const char c : text)
        out += c == '\'' ? std::string("\\'") : c == '\\' ? std::string("\\\\") : std::string(1, c);
    return out + "'";
}

}  // namespace

std::string bash_completion(const std::vector<CommandInfo>& tree) {
    return fmt::format(R"sh(# bash completion of orchestrator {}; made by `orchestrator completion bash`
_orchestrator_words() {{
{}  printf '%s %s' "$value" "$words"
}}
_orchestrator() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" answer value words
  answer="$(_orchestrator_words "${{COMP_WORDS[@]:1:COMP_CWORD-1}}")"
  value="${{answer%% *}}"
  words="${{answer#* }}"
  COMPREPLY=()
  if [[ -n "$value" && "$current" == @* ]]; then
    local file
    while IFS= read -r file; do COMPREPLY+=("@$file"); done < <(compgen -f -- "${{current#@}}")
    return
  fi
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$words" -- "$current")
}}
complete -F _orchestrator orchestrator
)sh",
                       CODEGEN_VERSION, shared_cases(tree));
}

std::string zsh_completion(const std::vector<CommandInfo>& tree) {
    return fmt::format(R"sh(#compdef orchestrator
# zsh completion of orchestrator {}; made by `orchestrator completion zsh`
_orchestrator_words() {{
{}  printf '%s %s' "$value" "$words"
}}
_orchestrator() {{
  local answer value words_text
  answer="$(_orchestrator_words "${{(@)words[2,CURRENT-1]}}")"
  value="${{answer%% *}}"
  words_text="${{answer#* }}"
  if [[ -n "$value" && "${{words[CURRENT]}}" == @* ]]; then
    compset -P '@'
    _files
    return
  fi
  compadd -- ${{=words_text}}
}}
if [[ "$funcstack[1]" == _orchestrator ]]; then _orchestrator "$@"; else compdef _orchestrator orchestrator; fi
)sh",
                       CODEGEN_VERSION, shared_cases(tree));
}

std::string fish_completion(const std::vector<CommandInfo>& tree) {
    std::set<std::string> with_value;
    for (const auto& command : tree)
        for (const auto& option : command.options)
            if (takes_value(option))
                for (const auto& name : spellings(option)) with_value.insert(name);
    std::string known;
    for (const auto& command : tree)
        if (!command.path.empty()) known += fmt::format(" {}", shell_quoted(command.name(' ')));
    std::string out = fmt::format(R"sh(# fish completion of orchestrator {}; made by `orchestrator completion fish`
function __orchestrator_at
    set -l path ''
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        if contains -- $word {}
            set skip 1
            continue
        end
        set -l longer (string trim -- "$path $word")
        if contains -- "$longer"{}
            set path $longer
        end
    end
    test "$path" = "$argv[1]"
end
complete -c orchestrator -f
)sh",
                                  CODEGEN_VERSION, fmt::join(with_value, " "), known);
    for (const auto& command : tree) {
        const auto at = fmt::format("complete -c orchestrator -n \"__orchestrator_at '{}'\"", command.name(' '));
        for (const auto* next : below(tree, command))
            out += fmt::format("{} -a {} -d {}\n", at, shell_quoted(next->path.back()), shell_quoted(next->help));
        auto options = command.options;
        if (!command.path.empty())
            options.insert(options.end(), tree.front().options.begin(), tree.front().options.end());
        for (const auto& option : options) {
            if (option.positional) {
                if (!option.choices.empty())
                    out +=
                        fmt::format("{} -a {}\n", at, shell_quoted(fmt::format("{}", fmt::join(option.choices, " "))));
                continue;
            }
            std::string how;
            if (takes_value(option))
                how = option.choices.empty()
                          ? " -r"
                          : fmt::format(" -x -a {}", shell_quoted(fmt::format("{}", fmt::join(option.choices, " "))));
            out += fmt::format("{} -l {}{} -d {}\n", at, option.name.substr(2), how, shell_quoted(option.help));
        }
        out += fmt::format("{} -l help -d 'Show help'\n", at);
    }
    return out;
}

}  // namespace codegen::cli
