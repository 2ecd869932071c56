// Pull requests and what is known of their head, as GitHub's API has them. No I/O.
// https://docs.github.com/en/rest/pulls/pulls
#pragma once
#include <array>
#include <boost/describe/class.hpp>
#include <optional>
#include <string>
#include <vector>

namespace codegen::clients::github {

struct PullRequestEnd {
    std::string ref;  // branch
    std::string sha;
};
BOOST_DESCRIBE_STRUCT(PullRequestEnd, (), (ref, sha))

struct PullRequest {
    std::int64_t number = 0;
    std::string state;  // open, closed
    std::string title;
    std::string html_url;
    bool merged = false;
    std::optional<bool> mergeable;  // absent: GitHub has not computed it yet
    std::optional<std::string> merge_commit_sha;
    PullRequestEnd head;
    PullRequestEnd base;

    static constexpr std::array<std::string_view, 1> defaulted{"merged"};
};
BOOST_DESCRIBE_STRUCT(PullRequest, (),
                      (number, state, title, html_url, merged, mergeable, merge_commit_sha, head, base))

struct CheckRun {
    std::string name;
    std::string status;                     // queued, in_progress, completed, ...
    std::optional<std::string> conclusion;  // success, failure, neutral, cancelled, skipped, timed_out, action_required
};
BOOST_DESCRIBE_STRUCT(CheckRun, (), (name, status, conclusion))

struct MergeAnswer {
    std::string sha;
    bool merged = false;
};
BOOST_DESCRIBE_STRUCT(MergeAnswer, (), (sha, merged))

enum class Checks { none, pending, failed, passed };

struct PullRequestStatus {
    PullRequest pull_request;
    Checks checks = Checks::none;
    std::vector<std::string> failing;  // names
};

// Failed as soon as one has failed; passed when all have ended well (success, neutral, skipped).
Checks verdict_of(const std::vector<CheckRun>& runs, std::vector<std::string>* failing);

}  // namespace codegen::clients::github
