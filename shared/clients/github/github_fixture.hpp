// The client against the fake GitHub, for its service tests.
#pragma once
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zip.h>

#include <boost/asio/io_context.hpp>

#include "shared/process/process.hpp"
#include "shared/testing/github/client_options.hpp"
#include "shared/testing/run.hpp"
#include "shared/testing/temp_directory.hpp"

namespace codegen::clients {

// An archive of these files, in this order.
inline std::string zip_of(const std::vector<std::pair<std::string, std::string>>& files,
                          const char* password = nullptr) {
    zip_error_t error;
    zip_source_t* source = ::zip_source_buffer_create(nullptr, 0, 0, &error);
    ::zip_source_keep(source);
    zip_t* archive = ::zip_open_from_source(source, ZIP_TRUNCATE, &error);
    for (const auto& [name, text] : files) {
        auto* content = ::zip_source_buffer(archive, text.data(), text.size(), 0);
        const auto index = ::zip_file_add(archive, name.c_str(), content, ZIP_FL_ENC_UTF_8);
        if (password) ::zip_file_set_encryption(archive, static_cast<zip_uint64_t>(index), ZIP_EM_AES_256, password);
    }
    ::zip_close(archive);
    ::zip_source_open(source);
    ::zip_source_seek(source, 0, SEEK_END);
    std::string bytes(static_cast<std::size_t>(::zip_source_tell(source)), '\0');
    ::zip_source_seek(source, 0, SEEK_SET);
    ::zip_source_read(source, bytes.data(), bytes.size());
    ::zip_source_close(source);
    ::zip_source_free(source);
    return bytes;
}

class GitHubFixture : public ::testing::Test {
  protected:
    GitHubOptions options() const {
        auto o = testing::client_options(hub_);
        o.timeout = std::chrono::milliseconds(10000);
        return o;
    }
    GitHubClient client() { return GitHubClient::make(io_.get_executor(), options()).value(); }
    template <class T>
    T run(Task<T> task) {
        return testing::run(io_, std::move(task));
    }
    // Real git with what the client says about the remote; `arguments` follow "git".
    process::Outcome git(std::vector<std::string> arguments, const github::GitRemote* remote = nullptr) {
        process::Spec spec;
        spec.argv = {"git"};
        spec.argv.insert(spec.argv.end(), arguments.begin(), arguments.end());
        spec.environment = process::minimal_environment();
        spec.environment["HOME"] = "/nonexistent";
        spec.environment["GIT_CONFIG_GLOBAL"] = "/dev/null";
        spec.environment["GIT_TERMINAL_PROMPT"] = "0";
        std::vector<std::pair<std::string, std::string>> configuration{
            {"user.name", "test"}, {"user.email", "test@example.invalid"}, {"safe.directory", "*"}};
        if (remote) {
            configuration.insert(configuration.end(), remote->configuration.begin(), remote->configuration.end());
            for (const auto& [name, value] : remote->environment) spec.environment[name] = value;
        }
        spec.environment["GIT_CONFIG_COUNT"] = std::to_string(configuration.size());
        for (std::size_t i = 0; i < configuration.size(); ++i) {
            spec.environment[fmt::format("GIT_CONFIG_KEY_{}", i)] = configuration[i].first;
            spec.environment[fmt::format("GIT_CONFIG_VALUE_{}", i)] = configuration[i].second;
        }
        return run(process::run(std::move(spec))).value();
    }

    testing::FakeGitHub hub_;
    asio::io_context io_;
    testing::TempDirectory directory_;
};

}  // namespace codegen::clients
