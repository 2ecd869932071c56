// Secrets for GitHub Actions, which only the repository's own key opens: libsodium's sealed box
// (https://doc.libsodium.org/public-key_cryptography/sealed_boxes). No I/O.
#pragma once
#include <string>
#include <string_view>

#include "shared/base/result.hpp"

namespace codegen::clients::github {

// In base64, as is `public_key`. Error: permanent "protocol", when that is none.
Result<std::string> seal_for(std::string_view public_key, std::string_view secret);

// [A-Za-z_][A-Za-z0-9_]*, not beginning with GITHUB_; error "invalid", which never holds a value.
Result<void> check_secret_name(std::string_view name);

}  // namespace codegen::clients::github
