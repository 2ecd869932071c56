// Scaffolding with a real API, a real git and the real Copier.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <fstream>

#include "services/api/service.hpp"
#include "services/scaffolder/local_host.hpp"
#include "services/scaffolder/scaffolder.hpp"
#include "services/scaffolder/work_directory.hpp"
#include "shared/base/ids.hpp"
#include "shared/posix/file.hpp"
#include "shared/process/process.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::scaffolder::testing {

using codegen::testing::run;
using ::testing::HasSubstr;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

class ScaffolderTest : public ::testing::Test {
  protected:
    void SetUp() override {
        auto opened = storage::open_sqlite(directory_ / "codegen.db");
        ASSERT_TRUE(opened) << opened.error().message;
        database_ = std::move(*opened);
        api_ = std::make_unique<codegen::api::Service>(*database_,
                                                       codegen::api::Options{.state_directory = directory_.path()});
        const auto ready = run(io_, api_->bootstrap());
        ASSERT_TRUE(ready) << ready.error().message;
        server_ = std::make_unique<http::Server>(io_.get_executor(), api_->handler(), api_->server_options());
        const auto listening = server_->listen_unix(directory_ / "api.sock", 0600);
        ASSERT_TRUE(listening) << listening.error().message;
        client_.emplace(client(io_));
        const auto python = fs::path(CODEGEN_SOURCE_DIR) / "build/copier/bin/python";
        ASSERT_TRUE(fs::exists(python)) << "Copier is not installed: run tools/copier.sh";
        options_.work = directory_ / "scaffolding";
        options_.templates = fs::path(CODEGEN_SOURCE_DIR) / "templates";
        options_.copier = {python.string(), "-m", "copier"};
        options_.rules.local_templates = {directory_ / "templates"};
        fs::create_directory(directory_ / "templates");
    }
    void TearDown() override {
        EXPECT_TRUE(!fs::exists(options_.work) || fs::is_empty(options_.work)) << "a temporary directory stays";
        if (server_) run(io_, server_->stop(100ms));
        server_.reset();
    }

    clients::ApiClient client(asio::io_context& io) {
        auto token = posix::read_file(directory_ / "service.token", 1000).value();
        while (token.ends_with('\n')) token.pop_back();
        return clients::ApiClient::make(io.get_executor(), "http+unix://" + (directory_ / "api.sock").string(), token)
            .value();
    }
    boost::json::object call(std::string method, std::string target, boost::json::object body = {}) {
        auto answer = run(io_, client_->call(method, target, body.empty() ? "" : boost::json::serialize(body)));
        EXPECT_TRUE(answer) << method << " " << target << ": " << answer.error().message;
        return answer ? boost::json::parse(*answer).as_object() : boost::json::object();
    }
    std::string make_project(boost::json::object more = {}) {
        boost::json::object body{{"name", "My Shop"}, {"description", "sells"}, {"status", "scaffolding"}};
        for (const auto& [name, value] : more) body[name] = value;
        return std::string(call("POST", "/api/projects", body).at("id").as_string());
    }
    boost::json::object project(const std::string& id) { return call("GET", "/api/projects/" + id); }
    fs::path repository(const std::string& id) { return directory_ / "repositories" / (id + ".git"); }

    Result<Made> make(const std::string& id) {
        Scaffolder scaffolder(*client_, *host_, options_);
        return run(io_, scaffolder.make(id, silence()), 90s);
    }
    static Tell silence() {
        return [](std::string, std::string, int) -> Task<void> { co_return; };
    }
    // What a failed make() says.
    std::string failure(const std::string& id) {
        const auto made = make(id);
        EXPECT_FALSE(made) << "it was made";
        return made ? "" : made.error().message;
    }

    std::string command(std::vector<std::string> argv, const fs::path& in = {}) {
        process::Spec spec;
        spec.argv = std::move(argv);
        spec.directory = in;
        spec.environment = process::minimal_environment();
        for (const char* who : {"AUTHOR", "COMMITTER"}) {
            spec.environment[std::string("GIT_") + who + "_NAME"] = "Somebody";
            spec.environment[std::string("GIT_") + who + "_EMAIL"] = "somebody@example.com";
        }
        spec.environment["GIT_CONFIG_GLOBAL"] = "/dev/null";
        auto outcome = run(io_, process::run(std::move(spec), {.timeout = 60s}), 70s);
        EXPECT_TRUE(outcome && outcome->ok())
            << (outcome ? outcome->describe() + "\n" + outcome->output + outcome->errors : outcome.error().message);
        return outcome ? outcome->output : "";
    }
    std::string git(const fs::path& where, std::vector<std::string> arguments) {
        std::vector<std::string> argv{"git", "-C", where.string()};
        argv.insert(argv.end(), arguments.begin(), arguments.end());
        return command(std::move(argv));
    }
    static void write(const fs::path& path, const std::string& text) {
        fs::create_directories(path.parent_path());
        std::ofstream(path, std::ios::binary) << text;
    }
    // A template in a git repository of this machine; its path.
    std::string make_template(const std::map<std::string, std::string>& files) {
        const auto path = directory_ / "templates" / random_token(4);
        for (const auto& [name, text] : files) write(path / name, text);
        git_commit(path);
        return path.string();
    }
    void git_commit(const fs::path& path) {
        if (!fs::exists(path / ".git")) command({"git", "init", "--quiet", "--initial-branch=main", path.string()});
        git(path, {"add", "--all"});
        git(path, {"commit", "--quiet", "-m", "x"});
    }
    std::string project_with(const std::string& from_template, boost::json::object data = {}) {
        return make_project({{"config", {{"template", from_template}, {"template_data", std::move(data)}}}});
    }
    // A program in place of Copier.
    void copier_is(const std::string& script) {
        write(directory_ / "copier", "#!/bin/bash\n" + script);
        fs::permissions(directory_ / "copier", fs::perms::owner_all);
        options_.copier = {(directory_ / "copier").string()};
    }

    asio::io_context io_{1};
    codegen::testing::TempDirectory directory_;
    std::unique_ptr<storage::Database> database_;
    std::unique_ptr<codegen::api::Service> api_;
    std::unique_ptr<http::Server> server_;
    std::optional<clients::ApiClient> client_;
    ScaffolderOptions options_;
    std::unique_ptr<RepositoryHost> host_ = std::make_unique<LocalHost>(directory_ / "repositories");
};

}  // namespace codegen::scaffolder::testing
