// Actions of a repository, as GitHub's API has them. No I/O.
// https://docs.github.com/en/rest/actions
#pragma once
#include <array>
#include <boost/describe/class.hpp>
#include <optional>
#include <string>
#include <vector>

#include "shared/base/timestamp.hpp"

namespace codegen::clients::github {

struct SecretsKey {
    std::string key_id;
    std::string key;  // base64
};
BOOST_DESCRIBE_STRUCT(SecretsKey, (), (key_id, key))

struct SecretName {
    std::string name;
};
BOOST_DESCRIBE_STRUCT(SecretName, (), (name))

struct WorkflowRun {
    std::int64_t id = 0;
    std::optional<std::string> name;
    std::optional<std::string> display_title;  // the workflow's `run-name`
    std::string event;                         // workflow_dispatch, push, ...
    std::optional<std::string> head_branch;
    std::string head_sha;
    std::string status;                     // queued, in_progress, completed, waiting, requested, pending
    std::optional<std::string> conclusion;  // success, failure, cancelled, timed_out, ... when it is completed
    std::string html_url;
    Timestamp created_at{};

    bool completed() const { return status == "completed"; }
};
BOOST_DESCRIBE_STRUCT(WorkflowRun, (),
                      (id, name, display_title, event, head_branch, head_sha, status, conclusion, html_url, created_at))

struct RunsPage {
    std::vector<WorkflowRun> workflow_runs;
};
BOOST_DESCRIBE_STRUCT(RunsPage, (), (workflow_runs))

// What a dispatch answers where it is asked for it.
struct DispatchedRun {
    std::int64_t workflow_run_id = 0;
};
BOOST_DESCRIBE_STRUCT(DispatchedRun, (), (workflow_run_id))

}  // namespace codegen::clients::github
