#include "tests/harness/history.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "shared/storage/database.hpp"
#include "shared/testing/run.hpp"

namespace codegen::testing {
namespace fs = std::filesystem;
using namespace std::chrono_literals;

namespace {

std::vector<storage::Row> query(ControlPlane& plane, const std::string& sql) {
    asio::io_context io(1);
    auto database = storage::open_sqlite((plane.state() / "codegen.db").string());
    if (!database) throw std::runtime_error(database.error().message);
    auto rows = run(io, (*database)->query(sql), 20s);
    if (!rows) throw std::runtime_error(sql + ": " + rows.error().message);
    return std::move(rows->rows);
}

std::vector<std::string> leftovers(ControlPlane& plane) {
    auto left = bodies_of(plane);
    for (const auto& entry : fs::directory_iterator(plane.state() / "workers")) left.push_back(entry.path().string());
    const auto keys = plane.redis({"KEYS", "worker:*"});
    for (const auto& key : keys.elements) {
        const auto& name = key.text;
        // Streams of all workers are no worker's.
        const bool shared = name.starts_with("worker:commands") || name.starts_with("worker:responses") ||
                            name.starts_with("worker:lifecycle") || name.starts_with("worker:developer:") ||
                            name.starts_with("worker:image:");
        if (!shared && !name.starts_with("worker:status:")) left.push_back("key " + name);
    }
    const auto users = plane.redis({"ACL", "USERS"});
    for (const auto& user : users.elements)
        if (user.text.starts_with("worker-")) left.push_back("Redis user " + user.text);
    return left;
}

}  // namespace

std::vector<std::string> bodies_of(ControlPlane& plane) {
    std::vector<std::string> out;
    if (plane.runtime() == "docker") {
        std::ifstream in(plane.state() / "instance.id");
        std::string id;
        in >> id;
        std::istringstream lines(
            plane.run({"docker", "ps", "-aq", "--filter", "label=codegen.installation=" + id}).output);
        for (std::string line; std::getline(lines, line);) out.push_back("container " + line);
    } else {
        for (int pid : processes_with((plane.state() / "workers").string()))
            out.push_back("process " + std::to_string(pid));
    }
    return out;
}

void check_history(ControlPlane& plane, const std::vector<std::string>& tasks, int kills) {
    std::set<std::string> ended;
    std::size_t executions = 0;
    for (const auto& id : tasks) {
        const auto record = plane.task(id);
        const std::string status = record.at("status").as_string().c_str();
        if (status == "completed" || status == "failed" || status == "cancelled")
            ended.insert(id);
        else
            ADD_FAILURE() << "I1: task " << id << " is " << status;
        executions += plane.api("/api/task-executions?task_id=" + id).as_array().size();
    }
    EXPECT_EQ(ended.size(), tasks.size()) << "I1";
    for (const auto& row : query(plane,
                                 "SELECT request_id, count(*) AS times FROM workflow_inbox WHERE accepted = 1 AND "
                                 "stream = 'worker:developer:output' GROUP BY request_id HAVING count(*) > 1"))
        ADD_FAILURE() << "I2: " << row.integer("times") << " results were accepted for request "
                      << row.text("request_id");
    for (const auto& row : query(plane,
                                 "SELECT task_id, count(*) AS times FROM task_executions GROUP BY task_id, id "
                                 "HAVING count(*) > 1"))
        ADD_FAILURE() << "I2: " << row.integer("times") << " execution rows of task " << row.text("task_id");
    for (const auto& row :
         query(plane,
               "SELECT id, task_id FROM task_executions WHERE id NOT IN (SELECT request_id FROM workflow_inbox "
               "WHERE accepted = 1) AND status = 'success'"))
        ADD_FAILURE() << "I2: execution " << row.text("id") << " of task " << row.text("task_id")
                      << " succeeded without a result";
    EXPECT_LE(executions, tasks.size() + static_cast<std::size_t>(kills)) << "I6: more executions than kills explain";
    std::vector<std::string> left;
    const bool clean = eventually(
        "I4: nothing of a worker is left",
        [&] {
            left = leftovers(plane);
            return left.empty();
        },
        90s);
    if (!clean)
        for (const auto& item : left) ADD_FAILURE() << "I4: left behind: " << item;
}

}  // namespace codegen::testing
