// Takes secrets out of what agents and wrappers wrote, before a person or a file gets it. Pure.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace codegen::worker_manager {

inline constexpr std::string_view kRedacted = "[redacted]";

// Known values: keys and tokens of the control plane, wherever they stand, also as JSON text would write them. Shapes:
// what looks like a key of a known issuer (model providers, GitHub, GitLab, Slack, AWS, Google, Telegram, a JWT), a
// bearer token, the password of a URL, a private key in PEM form. What replaces them has no character that JSON would
// escape, and a match never crosses a quote or a backslash, so that JSON stays JSON.
//
// A private key may come line by line, each in a JSON string or event of its own, or be cut off at its begin. From a
// "BEGIN" without its "END", what looks like the key's base64 goes, until the "END" comes or nothing of it comes any
// more; what else stands there stays.
class Redactor {
  public:
    // Where one text ends and the next goes on: one for each reader, who shows it all texts in order, in whole lines.
    struct State {
        bool begun = false;
        bool in_key = false;
        std::size_t bytes = 0;  // since the key's begin
        std::size_t idle = 0;   // lines in which nothing of it was
    };
    // Values shorter than 8 bytes are left out: they would match by chance.
    explicit Redactor(std::vector<std::string> known = {});
    std::string operator()(std::string_view text) const;  // one that is whole
    std::string operator()(std::string_view text, State& state) const;

  private:
    std::vector<std::string> known_;  // longest first
};

}  // namespace codegen::worker_manager
