// /api/agent-configs, cli-agent-configs, api-keys, available-models, resources.
#pragma once
#include <array>
#include <boost/describe/class.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shared/base/result.hpp"
#include "shared/contracts/rules.hpp"
#include "shared/contracts/vocabulary.hpp"
#include "shared/json/patch.hpp"

namespace codegen::contracts {

struct AgentConfig {
    std::string id;  // e.g. "developer"
    std::string name;
    AgentType type{};
    std::string model;
    std::string system_prompt;
    bool is_active = true;
    std::int64_t version = 1;  // raised on change
};
BOOST_DESCRIBE_STRUCT(AgentConfig, (), (id, name, type, model, system_prompt, is_active, version))

struct AgentConfigCreate {
    std::string id;
    std::string name;
    AgentType type{};
    std::string model;
    std::string system_prompt;
    bool is_active = true;

    static constexpr std::array<std::string_view, 1> defaulted{"is_active"};
    static constexpr std::array<json::Rule, 4> rules{key("id"), display_name("name"), display_name("model"),
                                                     long_text("system_prompt")};
};
BOOST_DESCRIBE_STRUCT(AgentConfigCreate, (), (id, name, type, model, system_prompt, is_active))

struct AgentConfigPatch {
    json::Patch<std::string> name;
    json::Patch<AgentType> type;
    json::Patch<std::string> model;
    json::Patch<std::string> system_prompt;
    json::Patch<bool> is_active;

    static constexpr std::array<json::Rule, 5> rules{display_name("name", true), not_cleared("type"),
                                                     display_name("model", true), long_text("system_prompt", true),
                                                     not_cleared("is_active")};
};
BOOST_DESCRIBE_STRUCT(AgentConfigPatch, (), (name, type, model, system_prompt, is_active))

struct CliAgentConfig {
    std::string id;
    std::string name;
    std::string provider;
    std::optional<std::string> model_name;
    std::string prompt_template;
    std::int64_t timeout_seconds = 600;
    std::optional<std::string> workspace_image;
    std::vector<std::string> required_credentials;
    boost::json::object provider_settings;
    bool is_active = true;
    std::int64_t version = 1;

    static constexpr std::array<std::string_view, 1> defaulted{"timeout_seconds"};
};
BOOST_DESCRIBE_STRUCT(CliAgentConfig, (),
                      (id, name, provider, model_name, prompt_template, timeout_seconds, workspace_image,
                       required_credentials, provider_settings, is_active, version))

struct CliAgentConfigCreate {
    std::string id;
    std::string name;
    std::string provider;
    std::optional<std::string> model_name;
    std::string prompt_template;
    std::int64_t timeout_seconds = 600;
    std::optional<std::string> workspace_image;
    std::vector<std::string> required_credentials;
    boost::json::object provider_settings;
    bool is_active = true;

    static constexpr std::array<std::string_view, 4> defaulted{"timeout_seconds", "required_credentials",
                                                               "provider_settings", "is_active"};
    static constexpr std::array<json::Rule, 5> rules{key("id"), display_name("name"), display_name("provider"),
                                                     long_text("prompt_template"),
                                                     whole("timeout_seconds", 1, 604800, "1 to 604800 seconds")};
};
BOOST_DESCRIBE_STRUCT(CliAgentConfigCreate, (),
                      (id, name, provider, model_name, prompt_template, timeout_seconds, workspace_image,
                       required_credentials, provider_settings, is_active))

struct CliAgentConfigPatch {
    json::Patch<std::string> name;
    json::Patch<std::string> provider;
    json::Patch<std::string> model_name;
    json::Patch<std::string> prompt_template;
    json::Patch<std::int64_t> timeout_seconds;
    json::Patch<std::string> workspace_image;
    json::Patch<std::vector<std::string>> required_credentials;
    json::Patch<boost::json::object> provider_settings;
    json::Patch<bool> is_active;

    static constexpr std::array<json::Rule, 7> rules{display_name("name", true),
                                                     display_name("provider", true),
                                                     long_text("prompt_template", true),
                                                     whole("timeout_seconds", 1, 604800, "1 to 604800 seconds", true),
                                                     not_cleared("required_credentials"),
                                                     not_cleared("provider_settings"),
                                                     not_cleared("is_active")};
};
BOOST_DESCRIBE_STRUCT(CliAgentConfigPatch, (),
                      (name, provider, model_name, prompt_template, timeout_seconds, workspace_image,
                       required_credentials, provider_settings, is_active))

// The key itself is written with ApiKeyCreate and read only by GET /api-keys/{service}.
struct ApiKey {
    std::string id;
    std::string service;
    std::optional<std::string> key_enc;  // never listed
    ApiKeyType type{};
    std::optional<std::string> project_id;
};
BOOST_DESCRIBE_STRUCT(ApiKey, (), (id, service, key_enc, type, project_id))

struct ApiKeyCreate {
    std::string service;
    std::string value;
    ApiKeyType type{};
    std::optional<std::string> project_id;

    static constexpr std::array<json::Rule, 2> rules{
        {key("service"), {.field = "value", .expected = "the key", .min_length = 1, .max_length = 1048576}}};
    static constexpr std::array<json::Need, 1> needs{{{"project_id", "type", "project"}}};
    void check(FieldErrors& errors, const std::string& prefix) const;
};
BOOST_DESCRIBE_STRUCT(ApiKeyCreate, (), (service, value, type, project_id))

// GET /api-keys/{service}, the only answer that holds the key.
struct ApiKeyValue : ApiKey {
    std::string value;
};
BOOST_DESCRIBE_STRUCT(ApiKeyValue, (ApiKey), (value))

// Prices are USD per million tokens: more than a million is a mistake of unit.
constexpr json::Rule price(std::string_view field) {
    return between(field, 0, 1e6, "USD per million tokens, 0 to 1000000");
}

struct AvailableModel {
    std::string id;
    std::string provider;
    std::optional<std::int64_t> context_window;
    std::optional<double> input_price;
    std::optional<double> output_price;
    std::optional<double> cache_read_price;
    std::optional<double> cache_write_price;
};
BOOST_DESCRIBE_STRUCT(AvailableModel, (),
                      (id, provider, context_window, input_price, output_price, cache_read_price, cache_write_price))

// PUT /available-models/{id}: the address names it.
struct AvailableModelPut {
    std::optional<std::string> id;  // as in the address
    std::string provider;
    std::optional<std::int64_t> context_window;
    std::optional<double> input_price;
    std::optional<double> output_price;
    std::optional<double> cache_read_price;
    std::optional<double> cache_write_price;

    static constexpr std::array<json::Rule, 7> rules{word("id"),
                                                     word("provider"),
                                                     at_least("context_window", 1, "tokens, at least 1"),
                                                     price("input_price"),
                                                     price("output_price"),
                                                     price("cache_read_price"),
                                                     price("cache_write_price")};
};
BOOST_DESCRIBE_STRUCT(AvailableModelPut, (),
                      (id, provider, context_window, input_price, output_price, cache_read_price, cache_write_price))

// Handles and names of things outside; never a secret value.
struct Resource {
    std::string handle;  // key
    std::string resource_type;
    std::string name;
    boost::json::object metadata;

    static constexpr std::array<std::string_view, 1> defaulted{"metadata"};
    static constexpr std::array<json::Rule, 3> rules{key("handle"), display_name("resource_type"),
                                                     display_name("name")};
};
BOOST_DESCRIBE_STRUCT(Resource, (), (handle, resource_type, name, metadata))

}  // namespace codegen::contracts
