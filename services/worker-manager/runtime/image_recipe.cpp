#include "services/worker-manager/runtime/image_recipe.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/evp.h>

#include <set>
#include <sstream>

#include "shared/json/enum.hpp"

namespace codegen::worker_manager {
namespace {

// Raise it when dockerfile() changes what an image holds.
constexpr std::string_view kTemplateVersion = "2";

// Always there: git makes commits, procps is what agents look at processes with, bash runs their commands.
const std::set<std::string> kPackages{"bash", "ca-certificates", "git", "procps"};

std::set<std::string> packages(const ImageRecipe& recipe) {
    std::set<std::string> all = kPackages;
    for (contracts::Capability capability : recipe.capabilities) {
        if (capability == contracts::Capability::curl) all.insert("curl");
        if (capability == contracts::Capability::github_cli) all.insert("gh");
        if (capability == contracts::Capability::docker) all.insert("$docker_client");
    }
    return all;
}

std::set<std::string> names(const std::vector<contracts::Capability>& capabilities) {
    std::set<std::string> sorted;
    for (contracts::Capability capability : capabilities) sorted.emplace(json::name_of(capability));
    return sorted;
}

std::string sha256(const std::string& text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
    std::string hex;
    for (unsigned i = 0; i < size; ++i) hex += fmt::format("{:02x}", digest[i]);
    return hex;
}

}  // namespace

std::string dockerfile(const ImageRecipe& recipe) {
    std::string text = fmt::format("FROM {}\n", recipe.base);
    for (const auto& [name, value] : recipe.labels) text += fmt::format("LABEL {}=\"{}\"\n", name, value);
    if (!recipe.authorities.empty()) text += "COPY authorities/ /usr/local/share/ca-certificates/\n";
    std::string options = "-o APT::Sandbox::User=root -o Acquire::Retries=3";
    std::string choose;
    if (!recipe.apt_sources.empty()) {
        text += "COPY sources.list /opt/codegen/build/sources.list\n";
        choose = fmt::format(
            "    if [ -r /etc/os-release ]; then . /etc/os-release; fi; sources=; \\\n"
            "    if [ \"$VERSION_CODENAME\" = {} ]; then sources='-o "
            "Dir::Etc::SourceList=/opt/codegen/build/sources.list -o "
            "Dir::Etc::SourceParts=/dev/null'; fi; \\\n",
            recipe.apt_codename);
        options += " $sources";
    }
    // The client has a package of its own in newer releases.
    const bool with_docker = names(recipe.capabilities).contains("docker");
    const auto docker = with_docker ? fmt::format(
                                          "    if apt-cache {} show docker-cli >/dev/null 2>&1; then "
                                          "docker_client=docker-cli; else docker_client=docker.io; fi; \\\n",
                                          options)
                                    : std::string();
    text += fmt::format(
        "RUN : install packages; set -e; export DEBIAN_FRONTEND=noninteractive; \\\n{}"
        "    command -v apt-get >/dev/null || {{ echo 'the base image has no apt-get: choose one of Debian or Ubuntu "
        "(WORKER_BASE_IMAGE), or bring an image of your own (config.image)'; exit 1; }}; \\\n"
        "    apt-get {} update -qq; \\\n"
        "{}    apt-get {} install -y -qq --no-install-recommends {}; \\\n"
        "    update-ca-certificates >/dev/null; \\\n"
        "    apt-get clean; rm -rf /var/lib/apt/lists/*\n",
        choose, options, docker, options, fmt::join(packages(recipe), " "));
    text +=
        "RUN : make the user agent; groupadd -g 10001 agent && "
        "useradd -u 10001 -g agent -d /home/agent -s /bin/bash -M agent && "
        "install -d -o agent -g agent /home/agent /workspace && "
        "install -d /opt/codegen/bin /opt/codegen/agents /run/codegen && install -d -m 0700 /var/lib/codegen-worker\n";
    if (recipe.agent) {
        std::string files = recipe.agent->program;
        for (const std::string& name : recipe.agent->companions) files += " " + name;
        text += fmt::format("COPY {} {}/\n", files, recipe.agent->inside_folder());
    }
    text += "ENV LANG=C.UTF-8\nWORKDIR /workspace\n";
    return text;
}

std::string recipe_hash(const ImageRecipe& recipe) {
    std::string agent = recipe.agent ? recipe.agent->agent + " " + recipe.agent->version : "none";
    std::set<std::string> authorities(recipe.authorities.begin(), recipe.authorities.end());
    return sha256(fmt::format("template {}\nbase {}\nagent {}\ncapabilities {}\nauthorities {}\n", kTemplateVersion,
                              recipe.base_id, agent, fmt::join(names(recipe.capabilities), " "),
                              sha256(fmt::format("{}", fmt::join(authorities, "\n")))))
        .substr(0, 16);
}

std::vector<std::string> split_certificates(const std::string& pem) {
    constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
    constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
    std::vector<std::string> certificates;
    for (std::size_t at = 0; (at = pem.find(kBegin, at)) != std::string::npos;) {
        std::size_t end = pem.find(kEnd, at);
        if (end == std::string::npos) break;
        end += kEnd.size();
        certificates.push_back(pem.substr(at, end - at) + "\n");
        at = end;
    }
    return certificates;
}

std::vector<std::string> debian_sources(const std::string& index_targets, const std::string& codename) {
    // Paragraphs of "Key: value" lines, one for each index file.
    std::set<std::string> lines;
    std::map<std::string, std::string> target;
    auto take = [&] {
        const std::string& site = target["Repo-URI"];
        const std::string& suite = target["Release"];
        bool of_release = target["Codename"] == codename || target["Codename"].starts_with(codename + "-") ||
                          suite == codename || suite.starts_with(codename + "-");
        if (target["Created-By"] == "Packages" && target["Origin"] == "Debian" && of_release && !site.contains('@') &&
            site.starts_with("http"))
            lines.insert(fmt::format("deb {} {} {}", site, suite, target["Component"]));
        target.clear();
    };
    std::istringstream text(index_targets);
    for (std::string line; std::getline(text, line);) {
        if (line.empty()) {
            take();
        } else if (auto colon = line.find(": "); colon != std::string::npos) {
            target[line.substr(0, colon)] = line.substr(colon + 2);
        }
    }
    take();
    return {lines.begin(), lines.end()};
}

}  // namespace codegen::worker_manager
