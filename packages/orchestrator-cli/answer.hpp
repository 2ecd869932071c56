// What a command says, and with which exit code.
#pragma once
#include <boost/json/value.hpp>
#include <expected>
#include <string>

#include "shared/base/result.hpp"

namespace codegen::cli {

// docs/protocols.md, "The orchestrator command".
enum ExitCode { kDone = 0, kFailed = 1, kUsage = 2, kDenied = 3, kNotFound = 4, kUnavailable = 5, kTimedOut = 6 };

struct Answer {
    boost::json::value data;
    std::string message;   // one line
    std::string text;      // for people; empty: the message
    int exit = kDone;      // `worker exec`: that of the command
    bool raw = false;      // `text` is the output, byte for byte, for people and programs alike
    bool printed = false;  // for people: everything is on the screen already
};

struct Failure {
    std::string kind;  // for programs
    std::string message;
    boost::json::value details;
    int exit = kFailed;
};
Failure failure_of(const Error& error);
inline Failure usage(std::string message) { return {"usage", std::move(message), {}, kUsage}; }

using Outcome = std::expected<Answer, Failure>;

}  // namespace codegen::cli
