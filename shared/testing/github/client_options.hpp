// What our client needs to speak with the fake GitHub. In a header: whoever includes it links both.
#pragma once
#include "shared/clients/github/github_client.hpp"
#include "shared/testing/github/fake_github.hpp"

namespace codegen::testing {

// By the fake's clock, and through no proxy of this machine. `hub` outlives the client.
inline clients::GitHubOptions client_options(const FakeGitHub& hub) {
    clients::GitHubOptions out;
    out.api_url = hub.api_url();
    out.organization = hub.options().organization;
    out.app_id = hub.options().app_id;
    out.private_key = hub.private_key();
    out.now = [&hub] { return hub.now(); };
    out.environment = [](std::string_view) { return std::nullopt; };
    return out;
}

}  // namespace codegen::testing
