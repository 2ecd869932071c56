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
// escape, and a match never crosses a quote or a backslash (PEM: it ends with its string), so that JSON stays JSON.
class Redactor {
  public:
    // Values shorter than 8 bytes are left out: they would match by chance.
    explicit Redactor(std::vector<std::string> known = {});
    std::string operator()(std::string_view text) const;

  private:
    std::vector<std::string> known_;  // longest first
};

}  // namespace codegen::worker_manager
