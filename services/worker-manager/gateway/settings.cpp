#include "services/worker-manager/gateway/settings.hpp"

namespace codegen::worker_manager {

ModelProvider anthropic_provider(std::string base_url, std::string api_key, std::string auth_token) {
    ModelProvider provider;
    provider.name = "anthropic";
    provider.base_url = base_url.empty() ? "https://api.anthropic.com" : std::move(base_url);
    provider.key_setting = "ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN";
    provider.paths = {"/v1/messages", "/v1/messages/count_tokens", "/v1/models", "/v1/models/*"};
    provider.key_header = "x-api-key";
    provider.key_value = std::move(api_key);
    if (provider.key_value.empty() && !auth_token.empty()) {
        provider.key_header = "authorization";
        provider.key_value = "Bearer " + auth_token;
    }
    return provider;
}

ModelProvider openai_provider(std::string base_url, std::string api_key) {
    ModelProvider provider;
    provider.name = "openai";
    provider.base_url = base_url.empty() ? "https://api.openai.com" : std::move(base_url);
    provider.key_setting = "OPENAI_API_KEY";
    provider.paths = {"/v1/responses", "/v1/chat/completions", "/v1/models", "/v1/models/*"};
    provider.key_header = "authorization";
    if (!api_key.empty()) provider.key_value = "Bearer " + api_key;
    return provider;
}

}  // namespace codegen::worker_manager
