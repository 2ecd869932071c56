#include "shared/contracts/contracts.hpp"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "shared/contracts/wrapper_config.hpp"

namespace codegen::contracts {
namespace {

std::string create(const std::string& config) { return R"({"command":"create","config":)" + config + "}"; }

std::string errors_of(const FieldErrors& errors) { return invalid(errors).message; }

TEST(WorkerCommand, TheCommandDecides) {
    const auto collect = parse_worker_command(R"({"command":"collect","worker_id":"dev-1","branch":"task/1"})");
    ASSERT_TRUE(collect) << errors_of(collect.error());
    EXPECT_EQ(std::get<CollectWorkerCommand>(*collect).branch, "task/1");
    const auto remove = json::parse<WorkerCommand>(R"({"command":"delete","worker_id":"dev-1"})");
    ASSERT_TRUE(remove);
    EXPECT_EQ(std::get<DeleteWorkerCommand>(*remove).worker_id, "dev-1");
    EXPECT_TRUE(write(*remove).contains(R"("command":"delete")"));
    EXPECT_TRUE(std::holds_alternative<StatusWorkerCommand>(
        *parse_worker_command(R"({"command":"status","worker_id":"dev-1"})")));
}

TEST(WorkerCommand, RefusesWithTheExactPlace) {
    const auto errors = [](std::string_view text) {
        const auto parsed = parse_worker_command(text);
        return parsed ? std::string("accepted") : errors_of(parsed.error());
    };
    EXPECT_EQ(errors(create(R"({"name":"dev-1","worker_type":"developer","agent_type":"claude","instructions":"",
                               "allowed_commands":[],"capabilities":["git","curl","x"]})")),
              "config.capabilities[2]: unknown value \"x\", expected one of git, github_cli, curl, docker");
    EXPECT_EQ(errors(R"({"command":"crate"})"),
              "command: unknown value \"crate\", expected one of create, delete, status, collect");
    EXPECT_EQ(errors(R"({"worker_id":"a"})"),
              "command: required field is missing: expected one of create, delete, status, collect");
    EXPECT_EQ(errors(R"({"command":7})"), "command: expected string, got number");
    EXPECT_EQ(errors("[]"), "expected object, got array");
    EXPECT_EQ(errors("not json"), "invalid JSON at byte 0: syntax error");
    EXPECT_EQ(
        errors(R"({"command":"status","worker_id":"../x"})"),
        "worker_id: is \"../x\": expected a worker name: 1 to 63 of a-z 0-9 . _ -, the first one a letter or digit");
    EXPECT_EQ(
        errors(create(R"({"name":"Dev","worker_type":"developer","agent_type":"claude","instructions":"",
                               "allowed_commands":[],"capabilities":[]})")),
        "config.name: is \"Dev\": expected a worker name: 1 to 63 of a-z 0-9 . _ -, the first one a letter or digit");
    EXPECT_EQ(errors(R"({"command":"delete","version":"2","worker_id":"a"})"),
              "version: unknown value \"2\", expected one of 1");
}

TEST(WorkerCommand, AllErrorsAtOnce) {
    const auto parsed = parse_worker_command(create(R"({"name":"a","worker_type":"chief","agent_type":1})"));
    ASSERT_FALSE(parsed);
    EXPECT_EQ(errors_of(parsed.error()),
              "config.worker_type: unknown value \"chief\", expected one of po, developer; "
              "config.agent_type: expected string, got number; config.instructions: required field is missing; "
              "config.allowed_commands: required field is missing; config.capabilities: required field is missing");
}

TEST(WorkerCommand, ACommandOfAnotherNameIsRefused) {
    const auto parsed = json::parse<StatusWorkerCommand>(R"({"command":"delete","worker_id":"a"})");
    ASSERT_FALSE(parsed);
    EXPECT_EQ(errors_of(parsed.error()), "command: unknown value \"delete\", expected one of status");
}

TEST(Vocabulary, OtherSpellingsAreReadAndNeverWritten) {
    const auto config = json::parse<WorkerConfig>(
        R"({"name":"a","worker_type":"po","agent_type":"CLAUDE","instructions":"","allowed_commands":[],
            "capabilities":["GIT","GITHUB_CLI"]})");
    ASSERT_TRUE(config) << errors_of(config.error());
    EXPECT_EQ(config->agent_type, AgentType::claude);
    EXPECT_TRUE(json::write(*config).contains(R"("capabilities":["git","github_cli"])"));
    EXPECT_EQ(json::enum_from<ServiceModule>("tg_bot"), ServiceModule::telegram);
    EXPECT_EQ(json::enum_from<ServerStatus>("new"), ServerStatus::pending_setup);
    EXPECT_EQ(json::enum_from<ServerStatus>("active"), ServerStatus::in_use);
    EXPECT_EQ(json::enum_from<AgentType>("Claude"), std::nullopt);
    EXPECT_EQ(json::enum_from<WorkerType>("PO"), std::nullopt);
    EXPECT_EQ(json::name_of(AgentEventKind::stderr_), "stderr");
}

TEST(TaskStatusRules, OnlyTheArrowsAreAllowed) {
    using enum TaskStatus;
    const std::vector<TaskStatus> all{queued, running, completed, failed, cancelled};
    const std::set<std::pair<TaskStatus, TaskStatus>> arrows{{queued, running},   {queued, failed},
                                                             {queued, cancelled}, {running, completed},
                                                             {running, failed},   {running, cancelled}};
    for (const auto from : all)
        for (const auto to : all)
            EXPECT_EQ(may_follow(from, to), from == to || arrows.contains({from, to}))
                << json::name_of(from) << " -> " << json::name_of(to);
    EXPECT_FALSE(is_final(queued));
    EXPECT_FALSE(is_final(running));
    EXPECT_TRUE(is_final(cancelled));
}

TEST(Defaults, IdsAndTimesAreMade) {
    const auto before = system_now();
    const auto message = json::parse<EngineeringMessage>(R"({"task_id":"t","project_id":"p","user_id":1})");
    ASSERT_TRUE(message);
    EXPECT_TRUE(is_uuid(message->request_id));
    EXPECT_TRUE(is_uuid(message->correlation_id));
    EXPECT_NE(message->request_id, message->correlation_id);
    EXPECT_EQ(message->version, "1");
    EXPECT_GE(message->timestamp, before);
    const auto text = json::write(*message);
    EXPECT_FALSE(text.contains("callback_stream")) << text;
    EXPECT_EQ(json::parse<DeveloperWorkerInput>(R"({"task_id":"t","project_id":"p","prompt":""})")->timeout, 1800);
}

TEST(Checks, ValuesThatMakeNoSense) {
    const auto input = json::parse<DeveloperWorkerInput>(
        R"({"task_id":"t","project_id":"p","prompt":"","timeout":0,"budget_usd":-1})");
    ASSERT_FALSE(input);
    EXPECT_EQ(errors_of(input.error()),
              "timeout: is 0: expected at least 1 second; budget_usd: is -1: expected 0 or more US dollars");
    EXPECT_FALSE(json::parse<ProjectCreate>(R"({"name":""})"));
    EXPECT_FALSE(json::parse<ProjectCreate>(R"({"name":"a","id":"7"})"));
    EXPECT_FALSE(json::parse<TaskCreate>(R"({"type":"deploy","id":"7"})"));
    EXPECT_FALSE(json::parse<TokenCreate>(R"({"kind":"worker"})"));
    EXPECT_FALSE(json::parse<TokenCreate>(R"({"kind":"user"})"));
    EXPECT_FALSE(json::parse<WorkerConfig>(
        R"({"name":"a","worker_type":"po","agent_type":"claude","instructions":"","allowed_commands":[],
            "capabilities":[],"cpu_limit":0})"));
}

TEST(Patch, TellsAbsentFromNullFromValue) {
    const auto patch = json::parse<ProjectPatch>(R"({"description":null,"name":"new"})");
    ASSERT_TRUE(patch);
    EXPECT_TRUE(patch->description.clears());
    EXPECT_TRUE(patch->name.sets());
    EXPECT_EQ(patch->name.value, "new");
    EXPECT_FALSE(patch->config.present);
    EXPECT_EQ(json::write(*patch), R"({"name":"new","description":null})");
    const auto refused = json::parse<TaskPatch>(R"({"status":null,"task_metadata":null})");
    ASSERT_FALSE(refused);
    EXPECT_EQ(errors_of(refused.error()),
              "status: cannot be cleared: expected a value, got null; task_metadata: cannot be cleared: expected a "
              "value, got null");
}

TEST(Names, OfStreamsAndKeys) {
    EXPECT_EQ(streams::worker_input("dev-1"), "worker:dev-1:input");
    EXPECT_EQ(streams::worker_output("dev-1"), "worker:dev-1:output");
    EXPECT_EQ(streams::worker_events("dev-1"), "worker:dev-1:events");
    EXPECT_EQ(streams::po_worker_input("po-1"), "worker:po:po-1:input");
    EXPECT_EQ(streams::po_worker_output("po-1"), "worker:po:po-1:output");
    EXPECT_EQ(streams::worker_commands_of("host-2"), "worker:commands:host-2");
    EXPECT_EQ(streams::worker_responses(WorkerType::developer), streams::kDeveloperResponses);
    EXPECT_EQ(streams::worker_responses(WorkerType::po), streams::kPOResponses);
    EXPECT_EQ(streams::task_progress("t"), "task_progress:t");
    EXPECT_EQ(streams::dead_letters("deploy:queue"), "deploy:queue:dlq");
    EXPECT_EQ(keys::worker_status("dev-1"), "worker:status:dev-1");
    EXPECT_EQ(keys::worker_heartbeat("dev-1"), "worker:heartbeat:dev-1");
    EXPECT_EQ(keys::worker_session("dev-1"), "worker:session:dev-1");
    EXPECT_EQ(keys::session(7), "session:7");
    EXPECT_EQ(keys::image_last_used("worker:ab"), "worker:image:last_used:worker:ab");
}

TEST(Lists, AreReadAndWrittenAsPlainArrays) {
    const auto users = json::parse<std::vector<User>>(R"([{"id":1,"is_admin":true},{"id":"2","is_admin":true}])");
    ASSERT_FALSE(users);
    EXPECT_EQ(errors_of(users.error()), "[1].id: expected integer, got string");
    EXPECT_EQ(json::write(std::vector<User>{}), "[]");
}

TEST(OlderWriters, FieldsOfAnEntryAreReadByTheirType) {
    const auto message = json::parse_fields<ProvisionerMessage>(
        R"({"server_handle":"7","force_reinstall":"True","is_recovery":"false","callback_stream":"None"})");
    ASSERT_TRUE(message) << errors_of(message.error());
    EXPECT_EQ(message->server_handle, "7");
    EXPECT_TRUE(message->force_reinstall);
    EXPECT_FALSE(message->is_recovery);
    EXPECT_EQ(json::parse_fields<EngineeringMessage>(R"({"task_id":"1","project_id":"p","user_id":"42"})")->user_id,
              42);
    const auto wrong = json::parse_fields<EngineeringMessage>(R"({"task_id":"1","project_id":"p","user_id":"me"})");
    ASSERT_FALSE(wrong);
    EXPECT_EQ(errors_of(wrong.error()), "user_id: expected integer, got string");
    const auto create = json::parse_fields<WorkerCommand>(
        R"({"command":"create","config":"{\"name\":\"a\",\"worker_type\":\"po\",\"agent_type\":\"claude\",\"instructions\":\"7\",\"allowed_commands\":[],\"capabilities\":[]}"})");
    ASSERT_TRUE(create) << errors_of(create.error());
    EXPECT_EQ(std::get<CreateWorkerCommand>(*create).config.instructions, "7");
    // Text stays text elsewhere.
    EXPECT_FALSE(json::parse<EngineeringMessage>(R"({"task_id":"1","project_id":"p","user_id":"42"})"));
}

TEST(WrapperFiles, SurviveWritingAndReading) {
    WrapperConfig config;
    config.worker_id = "dev-1";
    config.sandbox = SandboxConfig{};
    config.sandbox->mounts = {{"/a", "/b"}};
    config.provider_environment = {{"CLAUDE_CODE_MAX_RETRIES", "2"}};
    const auto text = json::write(config);
    const auto again = json::parse<WrapperConfig>(text);
    ASSERT_TRUE(again) << errors_of(again.error());
    EXPECT_EQ(json::write(*again), text);
    ResultFile result;
    result.output.task_id = "t";
    result.exit_code = 137;
    EXPECT_EQ(json::write(*json::parse<ResultFile>(json::write(result))), json::write(result));
}

}  // namespace
}  // namespace codegen::contracts
