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

#include "shared/contracts/vocabulary.hpp"

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
};
BOOST_DESCRIBE_STRUCT(ApiKeyCreate, (), (service, value, type, project_id))

// Prices are USD per million tokens.
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

// Handles and names of things outside; never a secret value.
struct Resource {
    std::string handle;  // key
    std::string resource_type;
    std::string name;
    boost::json::object metadata;
};
BOOST_DESCRIBE_STRUCT(Resource, (), (handle, resource_type, name, metadata))

}  // namespace codegen::contracts
