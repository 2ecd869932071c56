#include "packages/orchestrator-cli/output.hpp"

#include <gtest/gtest.h>

namespace codegen::cli {
namespace {

TEST(Output, table_pads_by_characters) {
    EXPECT_EQ(table({"NAME", "ID"}, {{"größe", "1"}, {"x", "22"}}), "NAME   ID\ngröße  1\nx      22\n");
    EXPECT_EQ(table({"NAME", "ID"}, {}), "NAME  ID\n");
}

TEST(Output, fields_leave_out_the_empty) {
    EXPECT_EQ(fields({{"id", "1"}, {"status", "x"}, {"a", ""}}), "id:      1\nstatus:  x\n");
}

TEST(Output, escape_sequences_do_not_reach_the_terminal) {
    EXPECT_EQ(printable("a\x1b[31mb\tc\nd\x7f"), "a\xEF\xBF\xBD[31mb\tc\nd\xEF\xBF\xBD");
    EXPECT_EQ(printable("\xC2\x9B"
                        "1m"),
              "\xEF\xBF\xBD"
              "1m");
    EXPECT_EQ(printable("größe"), "größe");
}

TEST(Output, one_line_cuts_at_a_character) {
    EXPECT_EQ(one_line("a\nb", 10), "a b");
    EXPECT_EQ(one_line("aö", 2), "a...");
}

TEST(Output, exit_codes_of_errors) {
    EXPECT_EQ(failure_of({ErrorCategory::permanent, "not_found", "", ""}).exit, kNotFound);
    EXPECT_EQ(failure_of({ErrorCategory::permanent, "forbidden", "", ""}).exit, kDenied);
    EXPECT_EQ(failure_of({ErrorCategory::fatal, "unauthorized", "", ""}).exit, kDenied);
    EXPECT_EQ(failure_of({ErrorCategory::transient, "connection", "", ""}).exit, kUnavailable);
    EXPECT_EQ(failure_of({ErrorCategory::permanent, "conflict", "", ""}).exit, kFailed);
}

}  // namespace
}  // namespace codegen::cli
