// What a GitHub App signs in with: a JSON web token (RFC 7519) signed with its RSA key. No I/O.
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "shared/base/result.hpp"
#include "shared/base/timestamp.hpp"

namespace codegen::clients::github {

class AppKey {
  public:
    // PEM, PKCS#1 (as GitHub hands it out) or PKCS#8, without a passphrase; line breaks may be written as \n, as in
    // environment files. The error (fatal "configuration") names `source`, never what it holds.
    static Result<AppKey> from_pem(std::string_view pem, std::string_view source);

    std::string sign(std::string_view text) const;  // RSASSA-PKCS1-v1_5 with SHA-256, raw bytes

  private:
    struct Key;
    std::shared_ptr<const Key> key_;
};

// Valid from a minute ago, for clocks that differ, to in nine minutes; GitHub takes at most ten.
std::string app_token(const AppKey& key, std::string_view app_id, Timestamp now);

}  // namespace codegen::clients::github
