// What is committed in schemas/ is what the code says, and no change of it breaks who was made for the one before.
#include "shared/contracts/schema.hpp"

#include <gmock/gmock.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "shared/contracts/contract_name.hpp"
#include "shared/contracts/contract_reflection.hpp"
#include "shared/contracts/stream_table.hpp"
#include "shared/contracts/streams.hpp"

namespace codegen::contracts {
namespace {

namespace bj = boost::json;
namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const fs::path kCommitted = fs::path(CODEGEN_SOURCE_DIR) / "shared/contracts/schemas";
constexpr const char* kFix = "; fix: build orchestrator, then tools/docs.sh --write";

std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

bj::object schema_named(const std::string& name) {
    for (auto& file : schema_files())
        if (file.path.ends_with("/" + name + ".json")) return file.document;
    ADD_FAILURE() << "no schema " << name;
    return {};
}

TEST(Schemas, TheCommittedOnesAreWhatTheCodeSays) {
    std::set<std::string> expected{"openapi.json"};  // services/api checks that one
    for (const auto& file : schema_files()) {
        expected.insert(file.path);
        const auto committed = read(kCommitted / file.path);
        if (committed.empty()) {
            ADD_FAILURE() << file.path << " is missing" << kFix;
            continue;
        }
        EXPECT_THAT(incompatible_changes(bj::parse(committed), file.document), IsEmpty())
            << file.path << ": other programs were made for the committed one";
        EXPECT_TRUE(committed == pretty(file.document)) << file.path << " is out of date" << kFix;
    }
    for (const auto& entry : fs::recursive_directory_iterator(kCommitted))
        if (entry.is_regular_file())
            EXPECT_TRUE(expected.contains(fs::relative(entry.path(), kCommitted).string()))
                << entry.path() << ": the code has no such contract any more";
}

TEST(Schemas, EveryPropertyHasAType) {
    for (const auto& file : schema_files()) {
        if (file.path == "asyncapi.json") continue;
        EXPECT_THAT(untyped_properties(file.document), IsEmpty()) << file.path;
    }
    // Could it fail?
    auto broken = schema_named("CreateWorkerCommand");
    broken.at("properties").as_object()["anything"] = bj::object{{"default", 1}};
    broken.at("properties").at("context").as_object()["additionalProperties"] = bj::object{};
    broken.at("properties").as_object()["list"] = bj::object{{"type", "array"}};
    EXPECT_THAT(untyped_properties(broken), ElementsAre("context.*", "anything", "list[]"));
}

struct Change {
    const char* name;
    const char* contract;
    void (*make)(bj::object&);
    const char* problem;  // null: compatible
};

bj::object& property(bj::object& schema, const char* name) { return schema.at("properties").at(name).as_object(); }

TEST(Schemas, MadeUpChangesAreJudged) {
    const Change changes[] = {
        {"a field went", "EngineeringMessage", [](bj::object& s) { s.at("properties").as_object().erase("task_id"); },
         "task_id: went"},
        {"a field was renamed", "EngineeringMessage",
         [](bj::object& s) {
             auto& fields = s.at("properties").as_object();
             fields["task"] = fields.at("task_id");
             fields.erase("task_id");
         },
         "task_id: went"},
        {"new and required", "EngineeringMessage",
         [](bj::object& s) {
             s.at("properties").as_object()["priority"] = bj::object{{"type", "integer"}};
             s.at("required").as_array().emplace_back("priority");
         },
         "priority: is new and required"},
        {"became required", "EngineeringMessage",
         [](bj::object& s) { s.at("required").as_array().emplace_back("callback_stream"); },
         "callback_stream: became required"},
        {"another type", "EngineeringMessage", [](bj::object& s) { property(s, "user_id")["type"] = "string"; },
         "user_id: was integer, is string"},
        {"a value went", "BaseOf", [](bj::object& s) { property(s, "status").at("enum").as_array().pop_back(); },
         "status: the value \"timeout\" went"},
        {"a value for any", "ProjectCreate", [](bj::object& s) { property(s, "description")["const"] = "x"; },
         "description: only some values are left of any"},
        {"a pattern", "WorkspaceSpec", [](bj::object& s) { property(s, "branch")["pattern"] = "^task/"; },
         "branch: pattern was none, is ^task/"},
        {"a higher minimum", "DeveloperWorkerInput", [](bj::object& s) { property(s, "timeout")["minimum"] = 60; },
         "timeout: minimum was raised to 60"},
        {"a shorter text", "ProjectCreate", [](bj::object& s) { property(s, "name")["maxLength"] = 20; },
         "name: maxLength was lowered to 20"},
        {"narrower inside a list", "ScaffolderMessage",
         [](bj::object& s) { property(s, "modules").at("items").at("enum").as_array().pop_back(); },
         "modules[]: the value \"frontend\" went"},
        {"narrower inside a record", "CreateWorkerCommand",
         [](bj::object& s) { s.at("$defs").at("WorkspaceSpec").at("properties").as_object().erase("branch"); },
         "WorkspaceSpec.branch: went"},
        {"narrower free values", "CreateWorkerCommand",
         [](bj::object& s) { property(s, "context").at("additionalProperties").as_object()["type"] = "integer"; },
         "context.*: was string, is integer"},
        {"a new condition", "TokenCreate",
         [](bj::object& s) { s.at("allOf").as_array().push_back({{"required", {"task_id"}}}); },
         ": allOf has a new condition {\"required\":[\"task_id\"]}"},
        {"a new optional field", "EngineeringMessage",
         [](bj::object& s) { s.at("properties").as_object()["priority"] = bj::object{{"type", "integer"}}; }, nullptr},
        {"a new value", "EngineeringResult",
         [](bj::object& s) { property(s, "status").at("enum").as_array().emplace_back("skipped"); }, nullptr},
        {"a wider range", "DeveloperWorkerInput", [](bj::object& s) { property(s, "timeout")["minimum"] = 0; },
         nullptr},
        {"no longer required", "EngineeringMessage", [](bj::object& s) { s.at("required").as_array().pop_back(); },
         nullptr},
        {"another description", "EngineeringMessage", [](bj::object& s) { s["description"] = "said better"; }, nullptr},
    };
    for (const auto& change : changes) {
        const std::string contract = change.contract == std::string("BaseOf") ? "EngineeringResult" : change.contract;
        const auto before = schema_named(contract);
        auto after = before;
        change.make(after);
        const auto problems = incompatible_changes(before, after);
        if (change.problem)
            EXPECT_THAT(problems, ElementsAre(change.problem)) << change.name;
        else
            EXPECT_THAT(problems, IsEmpty()) << change.name;
        EXPECT_THAT(incompatible_changes(before, before), IsEmpty());
    }
}

TEST(AsyncApi, MadeUpChangesAreJudged) {
    const auto before = asyncapi();
    const auto judged = [&](void (*make)(bj::object&)) {
        auto after = before;
        make(after);
        return incompatible_changes(before, after);
    };
    EXPECT_THAT(judged([](bj::object& d) { d.at("channels").as_object().erase("deploy_queue"); }),
                ElementsAre("deploy_queue: went"));
    EXPECT_THAT(judged([](bj::object& d) { d.at("channels").at("deploy_queue").as_object()["address"] = "deploy"; }),
                ElementsAre("deploy_queue: address was deploy:queue, is deploy"));
    EXPECT_THAT(judged([](bj::object& d) {
                    d.at("operations").at("workflow.receive.deploy_queue").as_object()["x-consumer-group"] = "mine";
                }),
                ElementsAre("workflow.receive.deploy_queue: x-consumer-group was capability-workers, is mine"));
    EXPECT_THAT(judged([](bj::object& d) {
                    d.at("channels").at("deploy_queue").at("messages").as_object().erase("DeployMessage");
                }),
                ElementsAre("deploy_queue.DeployMessage: went"));
    EXPECT_THAT(judged([](bj::object& d) {
                    d.at("components").at("schemas").at("DeployMessage").at("properties").as_object().erase("task_id");
                }),
                ElementsAre("DeployMessage.task_id: went"));
    EXPECT_THAT(judged([](bj::object& d) { d.at("channels").as_object()["more"] = bj::object{}; }), IsEmpty());
}

TEST(AsyncApi, EveryReferenceLeadsSomewhere) {
    const bj::value document = asyncapi();
    const std::function<int(const bj::value&)> follow = [&](const bj::value& at) {
        int references = 0;
        if (const auto* array = at.if_array())
            for (const auto& element : *array) references += follow(element);
        if (const auto* object = at.if_object())
            for (const auto& [key, value] : *object) {
                references += follow(value);
                if (key != "$ref") continue;
                ++references;
                bj::error_code ec;
                EXPECT_NE(document.find_pointer(value.as_string().subview(1), ec), nullptr) << value;
            }
        return references;
    };
    EXPECT_GT(follow(document), 100);
}

TEST(AsyncApi, StreamsCarryContracts) {
    std::set<std::string_view> addresses;
    for (const auto& stream : stream_table()) {
        EXPECT_TRUE(addresses.insert(stream.address).second) << stream.address;
        EXPECT_FALSE(stream.messages.front().empty()) << stream.address;
        for (const auto message : stream.messages)
            if (!message.empty())
                EXPECT_NE(std::ranges::find(kContractNames, message), kContractNames.end()) << message;
    }
    // The names that the code makes at run time.
    for (const auto& name : {streams::worker_commands_of("{host}"), streams::worker_lifecycle_of("{host}"),
                             streams::worker_input("{worker_id}"), streams::worker_output("{worker_id}"),
                             streams::worker_events("{worker_id}"), streams::po_worker_input("{worker_id}"),
                             streams::po_worker_output("{worker_id}"), streams::task_progress("{task_id}"),
                             streams::dead_letters("{stream}")})
        EXPECT_TRUE(addresses.contains(name)) << name;
}

// A schema tells others the pattern, the code has a function: they must mean the same.
TEST(Rules, PatternsSayWhatTheCodeAccepts) {
    const std::string samples[] = {"",
                                   "a",
                                   "dev-1",
                                   "Dev",
                                   "-a",
                                   "a/b",
                                   "a b",
                                   std::string(63, 'a'),
                                   std::string(64, 'a'),
                                   "6f1d2c3b-4a59-4e68-8f77-1a2b3c4d5e6f",
                                   "6F1D2C3B-4A59-4E68-8F77-1A2B3C4D5E6F",
                                   "6f1d2c3b-4a59-4e68-8f77-1a2b3c4d5e6g",
                                   "6f1d2c3b04a59-4e68-8f77-1a2b3c4d5e6f",
                                   "line\nbreak",
                                   "tab\t",
                                   "\x7f",
                                   "name",
                                   "http://127.0.0.1:1",
                                   "8080",
                                   "claude-opus"};
    int rules = 0;
    for (const auto& contract : reflection::all_contracts())
        for (const auto& field : contract.shape.fields) {
            if (!field.rule || field.rule->pattern.empty()) continue;
            ++rules;
            ASSERT_TRUE(field.rule->accepts) << contract.name << "." << field.name << " only says its pattern";
            const std::regex pattern(std::string(field.rule->pattern), std::regex::ECMAScript);
            for (const auto& sample : samples)
                EXPECT_EQ(std::regex_search(sample, pattern), field.rule->accepts(sample))
                    << contract.name << "." << field.name << ": \"" << sample << '"';
        }
    EXPECT_GT(rules, 8);
}

TEST(Rules, OfEveryFieldNameOneThatIsThere) {
    for (const auto& contract : reflection::all_contracts())
        for (const auto& need : contract.shape.needs) {
            EXPECT_NE(std::ranges::find(contract.shape.fields, need.field, &reflection::Field::name),
                      contract.shape.fields.end())
                << contract.name << "." << need.field;
            EXPECT_NE(std::ranges::find(contract.shape.fields, need.if_field, &reflection::Field::name),
                      contract.shape.fields.end())
                << contract.name << "." << need.if_field;
        }
}

}  // namespace
}  // namespace codegen::contracts
