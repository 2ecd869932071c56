#include "services/worker-manager/runtime/image_recipe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace codegen::worker_manager {
namespace {
using contracts::Capability;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

ImageRecipe recipe() {
    return {.base = "debian:bookworm-slim",
            .base_id = "sha256:1",
            .agent = agent_binary(contracts::AgentType::claude),
            .capabilities = {Capability::git},
            .authorities = {},
            .apt_sources = {},
            .apt_codename = {},
            .labels = {}};
}

TEST(Dockerfile, HoldsTheBasePackagesTheAgentAndItsUser) {
    std::string text = dockerfile(recipe());
    EXPECT_THAT(text, ::testing::StartsWith("FROM debian:bookworm-slim\n"));
    EXPECT_THAT(text, HasSubstr("--no-install-recommends bash ca-certificates git procps;"));
    EXPECT_THAT(text, HasSubstr("useradd -u 10001 -g agent"));
    EXPECT_THAT(text, HasSubstr("COPY claude /opt/codegen/agents/claude/\n"));
    EXPECT_THAT(text, Not(HasSubstr("sources.list")));
    EXPECT_THAT(text, Not(HasSubstr("COPY authorities")));
}

TEST(Dockerfile, AddsWhatIsAskedFor) {
    ImageRecipe with = recipe();
    with.agent.reset();
    with.capabilities = {Capability::github_cli, Capability::curl, Capability::curl};
    with.authorities = {"PEM"};
    with.apt_sources = {"deb http://mirror/debian bookworm main"};
    with.apt_codename = "bookworm";
    std::string text = dockerfile(with);
    EXPECT_THAT(text, HasSubstr(" bash ca-certificates curl gh git procps;"));
    EXPECT_THAT(text, HasSubstr("COPY authorities/ /usr/local/share/ca-certificates/\n"));
    EXPECT_THAT(text, HasSubstr("[ \"$VERSION_CODENAME\" = bookworm ]"));
    EXPECT_THAT(text, Not(HasSubstr("/opt/codegen/agents/claude")));
}

TEST(RecipeHash, IsTheSameForTheSameImageOnly) {
    std::string hash = recipe_hash(recipe());
    EXPECT_EQ(hash.size(), 16u);
    EXPECT_EQ(recipe_hash(recipe()), hash);
    auto differs = [&](auto change) {
        ImageRecipe other = recipe();
        change(other);
        return recipe_hash(other) != hash;
    };
    EXPECT_TRUE(differs([](auto& r) { r.base_id = "sha256:2"; }));
    EXPECT_TRUE(differs([](auto& r) { r.agent.reset(); }));
    EXPECT_TRUE(differs([](auto& r) { r.agent->version = "2.2.0"; }));
    EXPECT_TRUE(differs([](auto& r) { r.capabilities = {}; }));
    EXPECT_TRUE(differs([](auto& r) { r.authorities = {"PEM"}; }));
    EXPECT_FALSE(differs([](auto& r) { r.capabilities = {Capability::git, Capability::git}; }));
    EXPECT_FALSE(differs([](auto& r) { r.apt_sources = {"deb x y z"}; }));

    ImageRecipe ab = recipe(), ba = recipe();
    ab.capabilities = {Capability::git, Capability::curl};
    ba.capabilities = {Capability::curl, Capability::git};
    EXPECT_EQ(recipe_hash(ab), recipe_hash(ba));
}

TEST(Dockerfile, TheDockerClientIsInstalledWhereItIsAskedFor) {
    EXPECT_THAT(dockerfile(recipe()), Not(HasSubstr("docker")));
    ImageRecipe with = recipe();
    with.capabilities = {Capability::docker};
    EXPECT_THAT(dockerfile(with), HasSubstr("--no-install-recommends $docker_client bash"));
    EXPECT_THAT(dockerfile(with), HasSubstr("else docker_client=docker.io; fi"));
    EXPECT_NE(recipe_hash(with), recipe_hash(recipe()));
}

TEST(Dockerfile, EveryStepCarriesTheLabelsButTheHashDoesNot) {
    ImageRecipe with = recipe();
    with.labels = {{"codegen.image", "worker"}};
    EXPECT_THAT(dockerfile(with), ::testing::StartsWith("FROM debian:bookworm-slim\nLABEL codegen.image=\"worker\"\n"));
    EXPECT_EQ(recipe_hash(with), recipe_hash(recipe()));
}

TEST(SplitCertificates, FindsEachAndIgnoresTheRest) {
    const std::string one = "-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n";
    const std::string two = "-----BEGIN CERTIFICATE-----\nB\n-----END CERTIFICATE-----\n";
    EXPECT_THAT(split_certificates("# subject\n" + one + "\nkey\n" + two + "-----BEGIN CERTIFICATE-----\ncut"),
                ElementsAre(one, two));
    EXPECT_THAT(split_certificates(""), ElementsAre());
}

TEST(DebianSources, TakesTheReleaseOfTheArchiveWithoutCredentials) {
    auto target = [](const std::string& origin, const std::string& codename, const std::string& uri,
                     const std::string& by) {
        return "MetaKey: main/x\nOrigin: " + origin + "\nCodename: " + codename +
               "\nComponent: main\nCreated-By: " + by + "\nRelease: " + codename + "\nRepo-URI: " + uri + "\n\n";
    };
    std::string text = target("Debian", "bookworm", "http://deb/debian/", "Packages") +
                       target("Debian", "bookworm", "http://deb/debian/", "Translations") +
                       target("Debian", "bookworm-security", "http://deb/security/", "Packages") +
                       target("Debian", "trixie", "http://deb/debian/", "Packages") +
                       target("Node Source", "bookworm", "https://node/", "Packages") +
                       target("Debian", "bookworm", "https://user:pw@mirror/debian/", "Packages") +
                       target("Debian", "bookworm", "cdrom:[x]/", "Packages");
    EXPECT_THAT(debian_sources(text, "bookworm"),
                ElementsAre("deb http://deb/debian/ bookworm main", "deb http://deb/security/ bookworm-security main"));
    EXPECT_THAT(debian_sources("", "bookworm"), ElementsAre());
}

TEST(ImageRecipe, AnAgentComesWithWhatItLooksForBesideItself) {
    ImageRecipe codex = recipe();
    codex.agent = agent_binary(contracts::AgentType::codex);
    EXPECT_THAT(dockerfile(codex), HasSubstr("COPY codex codex-code-mode-host /opt/codegen/agents/codex/\n"));
}

TEST(AgentBinary, EachAgentButCustomHasAPinnedProgram) {
    EXPECT_FALSE(agent_binary(contracts::AgentType::custom));
    EXPECT_EQ(agent_binary(contracts::AgentType::claude)->inside(), "/opt/codegen/agents/claude/claude");
    EXPECT_EQ(agent_binary(contracts::AgentType::factory)->inside(), "/opt/codegen/agents/factory/droid");
    EXPECT_EQ(agent_binary(contracts::AgentType::codex)->folder, "codex-0.169.0");
}

}  // namespace
}  // namespace codegen::worker_manager
