// The real Copier (PyPI), in a session of its own with a deadline and limits.
#pragma once
#include <boost/json/object.hpp>
#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "shared/async/async.hpp"

namespace codegen::scaffolder {

struct CopierCall {
    std::vector<std::string> program;  // what stands before "copy", e.g. {"/x/bin/python", "-m", "copier"}
    std::filesystem::path source;      // the template's folder
    std::filesystem::path target;      // absent or empty
    std::filesystem::path scratch;     // home and temporary directory
    boost::json::object answers;
    bool trusted = false;  // tasks, migrations and extensions may run
    std::chrono::milliseconds timeout{300000};
};

// Errors: permanent "copier" (missing: how to install it; failed: the question without a default by its name, or
// Copier's last line); "timeout" after the deadline, when every process of it is killed.
Task<Result<void>> run_copier(CopierCall call);

}  // namespace codegen::scaffolder
