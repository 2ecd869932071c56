// Any Copier template: answered, or refused with a reason.
#include "services/scaffolder/scaffolder_fixture.hpp"

namespace codegen::scaffolder::testing {
namespace {

class ExternalTemplate : public ScaffolderTest {
  protected:
    std::string shown(const std::string& id, const std::string& file) {
        return git(repository(id), {"show", "main:" + file});
    }
};

TEST_F(ExternalTemplate, is_answered_from_the_project_and_the_data) {
    const auto path = make_template(
        {{"copier.yml",
          "project_name: {type: str}\nmodules: {type: yaml, multiselect: true, choices: [backend, telegram, "
          "frontend]}\n"
          "port: {type: int}\nwith_docs: {type: bool, default: false}\nlicence: {type: str, default: MIT}\n"},
         {"{{ project_name }}.txt.jinja", "{{ modules | join('+') }} {{ port + 1 }} {{ with_docs }} {{ licence }}\n"},
         {"{{ _copier_conf.answers_file }}.jinja", "{{ _copier_answers | to_nice_yaml }}"}});
    const auto id = project_with(path, {{"port", "8080"}, {"with_docs", "true"}});
    const auto made = make(id);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(shown(id, "My Shop.txt"), "backend 8081 True MIT\n");
    // Later updates find the template where it is.
    EXPECT_THAT(shown(id, ".copier-answers.yml"), HasSubstr("_src_path: " + path + "\n"));
    EXPECT_THAT(shown(id, ".project.yml"), HasSubstr(path));
    EXPECT_THAT(git(repository(id), {"log", "-1", "--format=%s"}), HasSubstr("Begin with template " + path));
}

TEST_F(ExternalTemplate, that_makes_nothing_is_a_project_all_the_same) {
    const auto id = project_with(make_template({{"copier.yml", "{}"}}));
    const auto made = make(id);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(git(repository(id), {"ls-tree", "-r", "--name-only", "main"}), ".project.yml\n");
}

TEST_F(ExternalTemplate, is_taken_at_its_reference) {
    const auto path = make_template({{"a.txt", "first"}});
    git(path, {"tag", "v1"});
    write(path + "/a.txt", "second");
    git_commit(path);
    for (const auto& [reference, content] : {std::pair("@v1", "first"), std::pair("", "second")}) {
        const auto id = project_with(path + reference);
        const auto made = make(id);
        ASSERT_TRUE(made) << made.error().message;
        EXPECT_EQ(shown(id, "a.txt"), content);
    }
    EXPECT_THAT(failure(project_with(path + "@v9")), HasSubstr("v9"));
}

TEST_F(ExternalTemplate, names_the_question_that_nobody_answers) {
    const auto path = make_template({{"copier.yml", "region: {type: str}\nname: {type: str}\n"}, {"a", "b"}});
    EXPECT_THAT(failure(project_with(path)),
                HasSubstr("asks \"region\", which has no default: answer it with --data region=VALUE"));
    EXPECT_THAT(failure(project_with(path, {{"regoin", "x"}})),
                HasSubstr("--data regoin: the template does not ask it; "
                          "it asks name, region"));
    EXPECT_TRUE(make(project_with(path, {{"region", "x"}})));
}

struct Hostile {
    std::string name;
    std::map<std::string, std::string> files;
    std::string said;
};
class HostileTemplate : public ExternalTemplate, public ::testing::WithParamInterface<Hostile> {};

TEST_P(HostileTemplate, is_refused) {
    const auto outside = directory_ / "outside";
    auto files = GetParam().files;
    for (auto& [name, text] : files)
        for (std::size_t at; (at = text.find("OUTSIDE")) != text.npos;) text.replace(at, 7, outside.string());
    const auto path = make_template(files);
    const auto id = project_with(path);
    EXPECT_THAT(failure(id), HasSubstr(GetParam().said));
    EXPECT_FALSE(fs::exists(outside)) << "it had an effect";
    EXPECT_FALSE(fs::exists(repository(id)));
}

INSTANTIATE_TEST_SUITE_P(
    Each, HostileTemplate,
    ::testing::Values(
        Hostile{"task", {{"copier.yml", "_tasks: ['touch OUTSIDE']\n"}, {"a", "b"}}, "has _tasks"},
        Hostile{"task_of_an_included_file",
                {{"copier.yml", "!include more.yml\n"}, {"more.yml", "_tasks: ['touch OUTSIDE']\n"}, {"a", "b"}},
                "TEMPLATE_TRUSTED"},
        Hostile{"migration",
                {{"copier.yml", "_migrations: [{version: v1, command: 'touch OUTSIDE'}]\n"}, {"a", "b"}},
                "has _migrations"},
        Hostile{"extension", {{"copier.yml", "_jinja_extensions: [os.path]\n"}, {"a", "b"}}, "has _jinja_extensions"},
        Hostile{"path_upwards",
                {{"copier.yml", "target: {type: str, default: ../../../outside}\n"}, {"{{ target }}.jinja", "x"}},
                "orbidden"},
        Hostile{"absolute_path",
                {{"copier.yml", "target: {type: str, default: OUTSIDE}\n"}, {"{{ target }}.jinja", "x"}},
                "orbidden"},
        Hostile{"subdirectory_outside", {{"copier.yml", "_subdirectory: ../..\n"}, {"a", "b"}}, "orbidden"},
        Hostile{"no_yaml", {{"copier.yml", "a: [\n"}, {"a", "b"}}, "copier.yml of the template"}),
    [](const auto& of) { return of.param.name; });

TEST_F(ExternalTemplate, with_a_link_that_leads_out_is_refused) {
    for (const char* target : {"/etc/passwd", "../../secret"}) {
        const auto path = make_template({{"a", "b"}});
        fs::create_symlink(target, path + "/link");
        git_commit(path);
        EXPECT_THAT(failure(project_with(path)), HasSubstr(std::string("leads out of it: link -> ") + target));
    }
}

TEST_F(ExternalTemplate, may_run_tasks_when_the_operator_trusts_it) {
    const auto path = make_template({{"copier.yml", "_tasks: ['echo made >task.txt']\n"}, {"a", "b"}});
    options_.rules.trusted = {path};
    const auto id = project_with(path);
    const auto made = make(id);
    ASSERT_TRUE(made) << made.error().message;
    EXPECT_EQ(shown(id, "task.txt"), "made\n");
}

TEST_F(ExternalTemplate, that_is_too_large_is_refused) {
    options_.caps.template_bytes = 1000;
    EXPECT_THAT(failure(project_with(make_template({{"a", std::string(2000, 'x')}}))),
                HasSubstr("the template has more than 1000 bytes"));
    options_.caps.template_bytes = 1 << 20;
    options_.caps.project_bytes = 1000;
    EXPECT_THAT(failure(project_with(make_template({{"a.jinja", "{{ 'x' * 2000 }}"}}))),
                HasSubstr("what the template makes has more than 1000 bytes"));
}

TEST_F(ExternalTemplate, outside_the_allowed_directories_is_not_read) {
    EXPECT_THAT(failure(project_with("/etc")), HasSubstr("TEMPLATE_DIRECTORIES"));
    EXPECT_THAT(failure(project_with((directory_ / "templates/../codegen.db").string())),
                HasSubstr("TEMPLATE_DIRECTORIES"));
    EXPECT_THAT(failure(project_with("nothing-of-ours")), HasSubstr("there is no template of ours"));
}

}  // namespace
}  // namespace codegen::scaffolder::testing
