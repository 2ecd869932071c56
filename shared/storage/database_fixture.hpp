// A database of one test, and short ways to ask it.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "shared/testing/run.hpp"
#include "shared/testing/test_store.hpp"

namespace codegen::storage {

class DatabaseFixture : public ::testing::Test {
  protected:
    void use(bool postgres) {
        store_.emplace(io_, postgres);
        database_ = open();
    }
    std::unique_ptr<Database> open() const { return store_->open(); }
    Result<Rows> query(std::string sql, Parameters parameters = {}) {
        return testing::run(io_, database_->query(std::move(sql), std::move(parameters)));
    }
    Rows must(std::string sql, Parameters parameters = {}) {
        auto rows = query(std::move(sql), std::move(parameters));
        if (!rows) throw std::runtime_error(rows.error().message);
        return std::move(*rows);
    }
    auto atomically(std::vector<Statement> statements, Durability durability = Durability::synced) {
        return testing::run(io_, database_->atomically(std::move(statements), durability));
    }
    auto migrate(std::string component, std::vector<Migration> migrations) {
        return testing::run(io_, database_->migrate(std::move(component), std::move(migrations)));
    }
    std::int64_t count(const std::string& table) {
        return must("SELECT count(*) AS n FROM " + table).rows.at(0).integer("n");
    }

    asio::io_context io_;
    std::optional<testing::TestStore> store_;
    std::unique_ptr<Database> database_;
};

}  // namespace codegen::storage
