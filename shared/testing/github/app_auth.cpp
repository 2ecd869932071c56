// Who asks: the App by its signature, or an installation token.
// https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <stdexcept>

#include "shared/base/base64.hpp"
#include "shared/base/ids.hpp"
#include "shared/testing/github/world.hpp"

namespace codegen::testing::github {
namespace {

constexpr std::int64_t kInstallation = 4711;

template <class T, void (*release)(T*)>
struct Release {
    void operator()(T* object) const { release(object); }
};
using Bio = std::unique_ptr<BIO, Release<BIO, BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Release<EVP_PKEY, EVP_PKEY_free>>;
using Context = std::unique_ptr<EVP_MD_CTX, Release<EVP_MD_CTX, EVP_MD_CTX_free>>;

std::string text_of(const Bio& bio) {
    char* data = nullptr;
    const auto size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

bool is_signed(const std::string& public_key, std::string_view text, const std::string& signature) {
    const Bio input(::BIO_new_mem_buf(public_key.data(), static_cast<int>(public_key.size())));
    const Key key(::PEM_read_bio_PUBKEY(input.get(), nullptr, nullptr, nullptr));
    const Context context(::EVP_MD_CTX_new());
    const auto bytes = [](std::string_view view) { return reinterpret_cast<const unsigned char*>(view.data()); };
    return key && ::EVP_DigestVerifyInit(context.get(), nullptr, ::EVP_sha256(), nullptr, key.get()) == 1 &&
           ::EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(text), text.size()) == 1;
}

Task<http::Response> find_installation(World* world, Exchange exchange) {
    if (exchange.param("org") != world->options.organization) co_return refuse(404, "Not Found");
    co_return answer(200, {{"id", kInstallation}, {"account", {{"login", world->options.organization}}}});
}

Task<http::Response> create_token(World* world, Exchange exchange) {
    if (exchange.param("id") != std::to_string(kInstallation)) co_return refuse(404, "Not Found");
    Token token{world->now() + world->options.token_life, {}, world->options.permissions};
    if (const auto* body = exchange.body.if_object()) {
        if (const auto* names = body->if_contains("repositories"))
            for (const auto& name : names->as_array()) {
                if (!world->repositories.contains(std::string(name.as_string())))
                    co_return refuse(422,
                                     "There is at least one repository that does not exist or is not accessible "
                                     "to the parent installation.");
                token.repositories.emplace_back(name.as_string());
            }
        if (const auto* wanted = body->if_contains("permissions")) {
            token.permissions = {{"metadata", "read"}};
            for (const auto& [name, access] : wanted->as_object()) {
                if (!world->permits({{}, {}, world->options.permissions}, name, std::string(access.as_string())))
                    co_return refuse(422, "The permissions requested are not granted to this installation.");
                token.permissions[std::string(name)] = std::string(access.as_string());
            }
        }
    }
    const auto text =
        fmt::format("ghs_{}_{}.{}.{}", world->options.app_id, random_token(20), random_token(150), random_token(50));
    const auto expires = format_timestamp(std::chrono::floor<std::chrono::seconds>(token.expires)).substr(0, 19) + "Z";
    boost::json::object permissions;
    for (const auto& [name, access] : token.permissions) permissions[name] = access;
    world->tokens[text] = std::move(token);
    co_return answer(201, {{"token", text}, {"expires_at", expires}, {"permissions", permissions}});
}

}  // namespace

std::pair<std::string, std::string> make_key_pair() {
    const Key key(EVP_RSA_gen(2048));
    const Bio secret(::BIO_new(::BIO_s_mem()));
    const Bio open(::BIO_new(::BIO_s_mem()));
    if (!key ||
        ::PEM_write_bio_PrivateKey_traditional(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
        ::PEM_write_bio_PUBKEY(open.get(), key.get()) != 1)
        throw std::runtime_error("no RSA key can be made");
    return {text_of(secret), text_of(open)};
}

std::optional<std::string> check_app_token(const World& world, std::string_view bearer) {
    const auto last = bearer.rfind('.');
    const auto first = bearer.find('.');
    if (first == bearer.npos || first == last) return "A JSON web token could not be decoded";
    const auto header = from_base64(bearer.substr(0, first));
    const auto claims = from_base64(bearer.substr(first + 1, last - first - 1));
    const auto signature = from_base64(bearer.substr(last + 1));
    if (!header || !claims || !signature) return "A JSON web token could not be decoded";
    boost::system::error_code error;
    const auto said = boost::json::parse(*claims, error);
    if (error || boost::json::parse(*header, error).at("alg") != "RS256" || error)
        return "A JSON web token could not be decoded";
    if (!is_signed(world.public_key, bearer.substr(0, last), *signature))
        return "A JSON web token could not be verified";
    const auto now = std::chrono::floor<std::chrono::seconds>(world.now().time_since_epoch()).count();
    const auto issued = said.at("iat").to_number<std::int64_t>();
    const auto ends = said.at("exp").to_number<std::int64_t>();
    if (said.at("iss") != boost::json::string_view(world.options.app_id)) return "Integration not found";
    if (issued > now)
        return "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";
    if (ends <= now || ends > now + 600) return "'Expiration time' claim ('exp') is too far in the future";
    return std::nullopt;
}

void add_app_routes(World& world, http::Router& router) {
    world.add(router, "GET", "/orgs/{org}/installation", "app", "", find_installation);
    world.add(router, "POST", "/app/installations/{id}/access_tokens", "app", "", create_token);
}

}  // namespace codegen::testing::github
