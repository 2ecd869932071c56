// The standard template in every combination of its modules: it builds, passes its own tests, and code, workflows and
// contract name the same variables and secrets.
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <regex>
#include <set>

#include "services/scaffolder/scaffolder_fixture.hpp"

namespace codegen::scaffolder::testing {
namespace {

using Names = std::set<std::string>;
using Modules = std::vector<std::string>;

class StandardTemplate : public ScaffolderTest, public ::testing::WithParamInterface<Modules> {
  protected:
    // A clone of what was made for the project.
    fs::path generate(boost::json::object more = {}) {
        boost::json::array modules;
        for (const auto& module : GetParam()) modules.emplace_back(module);
        more["modules"] = modules;
        const auto id = make_project(std::move(more));
        const auto made = make(id);
        EXPECT_TRUE(made) << made.error().message;
        const auto clone = directory_ / "clone";
        command({"git", "clone", "--quiet", repository(id).string(), clone.string()});
        return clone;
    }
    bool has(const std::string& module) const { return std::ranges::find(GetParam(), module) != GetParam().end(); }

    static std::string text_of(const fs::path& path) {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    static Names found(const std::string& text, const std::string& pattern) {
        Names out;
        const std::regex wanted(pattern);
        for (auto it = std::sregex_iterator(text.begin(), text.end(), wanted); it != std::sregex_iterator(); ++it)
            out.insert((*it)[1]);
        return out;
    }
    static std::string code_of(const fs::path& folder) {
        std::string out;
        for (const auto& entry : fs::recursive_directory_iterator(folder))
            if (entry.is_regular_file() && !entry.path().string().contains("/tests/") &&
                (entry.path().extension() == ".py" || entry.path().extension() == ".mjs"))
                out += text_of(entry.path());
        return out;
    }
};

TEST_P(StandardTemplate, builds_and_passes_its_own_tests) {
    const auto clone = generate();
    command({"make", "check"}, clone);
    command({"make", "test"}, clone);
    EXPECT_EQ(command({"git", "status", "--porcelain"}, clone), "") << "what is built is ignored";
    for (const auto* module : {"backend", "telegram", "frontend"}) {
        EXPECT_EQ(fs::exists(clone / module / "Dockerfile"), has(module)) << module;
        EXPECT_EQ(fs::exists(clone / module), has(module)) << module;
    }
}

TEST_P(StandardTemplate, code_workflows_and_contract_agree) {
    const auto clone = generate({{"name", "A \"quoted\" name: {{ 7 }}"}, {"description", "#1 <b>'s"}});
    const auto contract = YAML::LoadFile((clone / ".project.yml").string());
    EXPECT_EQ(contract["project"]["name"].as<std::string>(), "A \"quoted\" name: {{ 7 }}");
    EXPECT_EQ(contract["project"]["modules"].as<Modules>(), GetParam());
    std::map<std::string, Names> by_module;
    Names secrets;
    Names variables;
    for (const auto& entry : contract["environment"]) {
        const auto name = entry["name"].as<std::string>();
        for (const auto& user : entry["used_by"]) by_module[user.as<std::string>()].insert(name);
        (entry["kind"].as<std::string>() == "secret" ? secrets : variables).insert(name);
    }
    std::string workflows;
    for (const auto& file : fs::directory_iterator(clone / ".github/workflows")) {
        EXPECT_NO_THROW(YAML::LoadFile(file.path().string())) << file.path();
        workflows += text_of(file.path());
    }
    EXPECT_EQ(found(workflows, R"(secrets\.([A-Z_]+))"), secrets);
    EXPECT_EQ(found(workflows, R"(vars\.([A-Z_]+))"), variables);
    EXPECT_EQ(found(text_of(clone / "deploy/deploy.sh"), R"(\$\{?([A-Z][A-Z_]+))"), by_module["deploy"]);
    const auto compose = YAML::LoadFile((clone / "compose.yml").string());
    for (const auto& module : GetParam()) {
        EXPECT_EQ(found(code_of(clone / module), R"((?:environ\.get\(["']|process\.env\.)([A-Z_]+))"),
                  by_module[module])
            << module;
        Names passed;
        for (const auto& item : compose["services"][module]["environment"]) passed.insert(item.first.as<std::string>());
        EXPECT_EQ(passed, by_module[module]) << module;
        EXPECT_EQ(contract["services"][module]["health"].as<std::string>(), "/health");
    }
    EXPECT_THAT(text_of(clone / ".github/workflows/deploy.yml"), HasSubstr("run-name: Deploy ${{ inputs.marker }}"));
    // And the project itself notices when they drift apart.
    write(clone / ".github/workflows/more.yml", "env: {X: '${{ secrets.UNKNOWN }}'}\n");
    process::Spec spec;
    spec.argv = {"make", "check"};
    spec.directory = clone;
    spec.environment = process::minimal_environment();
    const auto drifted = run(io_, process::run(std::move(spec)));
    ASSERT_TRUE(drifted);
    EXPECT_FALSE(drifted->ok());
    EXPECT_THAT(drifted->errors, HasSubstr("UNKNOWN"));
}

INSTANTIATE_TEST_SUITE_P(Of, StandardTemplate,
                         ::testing::Values(Modules{"backend"}, Modules{"telegram"}, Modules{"frontend"},
                                           Modules{"backend", "telegram"}, Modules{"backend", "frontend"},
                                           Modules{"telegram", "frontend"}, Modules{"backend", "telegram", "frontend"}),
                         [](const auto& of) {
                             std::string out;
                             for (const auto& module : of.param) out += (out.empty() ? "" : "_") + module;
                             return out;
                         });

}  // namespace
}  // namespace codegen::scaffolder::testing
