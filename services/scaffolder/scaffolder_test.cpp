// The parts of the scaffolder that need nothing but their arguments.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "services/scaffolder/project_file.hpp"
#include "services/scaffolder/repository_host.hpp"
#include "services/scaffolder/template_choice.hpp"

namespace codegen::scaffolder {
namespace {

using ::testing::HasSubstr;

Result<TemplateChoice> choose(std::string_view text, TemplateRules rules = {}) {
    return choose_template({{"template", text}}, rules);
}

TEST(TemplateChoice, OfNothingIsTheStandardOne) {
    const auto choice = choose_template({}, {});
    ASSERT_TRUE(choice);
    EXPECT_EQ(choice->name, "standard");
    EXPECT_TRUE(choice->location.empty());
}

TEST(TemplateChoice, TellsTheReferenceFromAUser) {
    struct Case {
        std::string text, location, reference;
    };
    for (const auto& [text, location, reference] :
         {Case{"https://h.test/o/t", "https://h.test/o/t", ""},
          Case{"https://h.test/o/t@v1.2", "https://h.test/o/t", "v1.2"},
          Case{"https://h.test/o/t@feature/x", "https://h.test/o/t", "feature/x"},
          Case{"git@h.test:o/t", "git@h.test:o/t", ""}, Case{"git@h.test:o/t.git@main", "git@h.test:o/t.git", "main"},
          Case{"ssh://git@h.test/o/t", "ssh://git@h.test/o/t", ""},
          Case{"ssh://git@h.test/o/t@v1", "ssh://git@h.test/o/t", "v1"}}) {
        const auto choice = choose(text, {.trusted = {"git@h.test:o", "ssh://git@h.test"}, .local_templates = {}});
        ASSERT_TRUE(choice) << text << ": " << choice.error().message;
        EXPECT_EQ(choice->location, location) << text;
        EXPECT_EQ(choice->reference, reference) << text;
        EXPECT_EQ(choice->trusted, !text.starts_with("https"));
    }
}

TEST(TemplateChoice, RefusesWhatItShouldNotFetch) {
    for (const auto* text :
         {"https://token@h.test/o/t", "https://user:token@h.test/o/t", "file:///etc", "ext::sh -c id", "/etc", "../x",
          "-u/x", "https://", "https://h.test/o/t@--upload-pack=x", "https://h.test/o/t@a..b",
          "ssh://-oProxyCommand=x/y", "git@-oProxyCommand=x:y", "A B", "ssh://git@h.test/o/t", "git@h.test:o/t"})
        EXPECT_FALSE(choose(text)) << text;
    EXPECT_THAT(choose("git@h.test:o/t").error().message, HasSubstr("the operator's SSH key"));
    EXPECT_FALSE(choose_template({{"template", 7}}, {}));
    EXPECT_FALSE(choose_template({{"template_data", {{"a", 1}}}}, {}));
    for (const auto* text : {"https://user:secret@h.test/o/t", "ssh://git:secret@h.test/o/t",
                             "ssh://git:p/secret@h.test", "git:secret@h.test:o/t"}) {
        const auto refused = choose(text, {.trusted = {"ssh://git:secret@h.test"}, .local_templates = {}});
        ASSERT_FALSE(refused) << text;
        EXPECT_THAT(refused.error().message, Not(HasSubstr("secret"))) << text;
    }
}

TEST(TemplateChoice, KnowsWhatTheOperatorAllows) {
    const TemplateRules rules{.trusted = {"https://h.test/ours/"}, .local_templates = {"/srv/templates"}};
    EXPECT_TRUE(choose("https://h.test/ours/t@v1", rules)->trusted);
    EXPECT_FALSE(choose("https://h.test/ours-not/t", rules)->trusted);
    EXPECT_TRUE(choose("/srv/templates/a", rules));
    EXPECT_FALSE(choose("/srv/templates-not/a", rules));
    EXPECT_FALSE(choose("/srv/templates/../x", rules));
}

TEST(Slug, IsFitForNames) {
    EXPECT_EQ(slug_of("My Shop!"), "my-shop");
    EXPECT_EQ(slug_of("  7 Dwarfs  "), "project-7-dwarfs");
    EXPECT_EQ(slug_of("äöü"), "project");
    EXPECT_LE(slug_of(std::string(300, 'x')).size(), 60u);
}

TEST(RootCommit, TellsWhoseTheRepositoryIs) {
    using Kind = Contents::Kind;
    const auto ours = contents_of_roots("abc 31\n", "abc");
    EXPECT_EQ(ours.kind, Kind::ours);
    EXPECT_EQ(ours.files, 31);
    EXPECT_EQ(contents_of_roots(" \n", "abc").kind, Kind::foreign);
    EXPECT_EQ(contents_of_roots("other 31\n", "abc").kind, Kind::foreign);
    EXPECT_EQ(contents_of_roots("abc 31\n \n", "abc").kind, Kind::foreign) << "another history was merged into it";
}

}  // namespace
}  // namespace codegen::scaffolder
