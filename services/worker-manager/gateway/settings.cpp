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
    while (base_url.ends_with('/')) base_url.pop_back();
    if (base_url.ends_with("/v1")) base_url.resize(base_url.size() - 3);
    provider.base_url = base_url.empty() ? "https://api.openai.com" : std::move(base_url);
    provider.key_setting = "OPENAI_API_KEY";
    provider.paths = {"/v1/responses", "/v1/chat/completions", "/v1/models", "/v1/models/*"};
    provider.key_header = "authorization";
    if (!api_key.empty()) provider.key_value = "Bearer " + api_key;
    return provider;
}

ModelProvider factory_provider(std::string base_url, std::string api_key) {
    ModelProvider provider;
    provider.name = "factory";
    provider.base_url = base_url.empty() ? "https://api.factory.ai" : std::move(base_url);
    provider.key_setting = "FACTORY_API_KEY";
    provider.absent_without_key = {"/api/cli/whoami", "/api/feature-flags", "/api/organization/managed-settings",
                                   "/api/billing/limits"};
    provider.paths = {"/api/llm/a/v1/messages", "/api/llm/o/v1/responses", "/api/llm/o/v1/chat/completions"};
    provider.paths.insert(provider.paths.end(), provider.absent_without_key.begin(), provider.absent_without_key.end());
    provider.absent = {"/api/sessions/*"};
    provider.swallowed = {"/api/ingest", "/api/otlp/traces/ingest"};
    provider.key_header = "authorization";
    if (!api_key.empty()) provider.key_value = "Bearer " + api_key;
    return provider;
}

}  // namespace codegen::worker_manager
