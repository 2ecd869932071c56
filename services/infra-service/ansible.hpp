// Runs ansible-playbook on one server.
#pragma once
#include <boost/json/object.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>

#include "services/infra-service/playbook_report.hpp"
#include "services/infra-service/run_directory.hpp"
#include "shared/async/async.hpp"

namespace codegen::infra {

struct PlaybookRun {
    std::string program = "ansible-playbook";  // looked up in PATH
    std::filesystem::path playbooks;           // the folder, with callback/
    std::string playbook;                      // "provision.yml"
    std::string handle;                        // the server's name, also for Ansible
    std::filesystem::path ssh_config;          // how it is reached
    bool become = false;                       // with sudo: the user is not root
    boost::json::object variables;             // no secret
    std::chrono::milliseconds limit{900000};
    std::function<void(const PlaybookReport&)> on_task = {};  // a task begins
};

// The report of a run in which every task of every host came through. Errors: "playbook" (names play, task, host and
// message), "unreachable" (the connection was lost on the way), "timeout" (every process of it was stopped), "missing"
// (no ansible-playbook here). On cancellation every process of it is killed.
Task<Result<PlaybookReport>> run_playbook(const RunDirectory* run, PlaybookRun wanted);

}  // namespace codegen::infra
