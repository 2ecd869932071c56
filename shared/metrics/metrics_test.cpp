#include "shared/metrics/metrics.hpp"

#include <gmock/gmock.h>

namespace codegen::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

TEST(Metrics, counters_gauges_and_histograms_as_prometheus_reads_them) {
    describe("t_done_total", "What is\ndone.");
    count("t_done_total", {{"stream", "a\"b\\c\nd"}, {"end", "ok"}});
    count("t_done_total", {{"stream", "a\"b\\c\nd"}, {"end", "ok"}}, 2);
    set("t_depth", {}, 7);
    set("t_depth", {}, 2.5);
    for (const auto took : {1ms, 30ms, 30ms, 100'000ms}) observe("t_seconds", {{"route", "/x"}}, took);
    const auto all = text();
    EXPECT_THAT(all, HasSubstr("# HELP t_done_total What is\\ndone.\n# TYPE t_done_total counter\n"
                               "t_done_total{stream=\"a\\\"b\\\\c\\nd\",end=\"ok\"} 3\n"));
    EXPECT_THAT(all, HasSubstr("# TYPE t_depth gauge\nt_depth 2.5\n"));
    EXPECT_THAT(all, HasSubstr("# TYPE t_seconds histogram\nt_seconds_bucket{route=\"/x\",le=\"0.001\"} 1\n"));
    EXPECT_THAT(all, HasSubstr("t_seconds_bucket{route=\"/x\",le=\"0.025\"} 1\n"
                               "t_seconds_bucket{route=\"/x\",le=\"0.05\"} 3\n"));
    EXPECT_THAT(all, HasSubstr("t_seconds_bucket{route=\"/x\",le=\"60\"} 3\n"
                               "t_seconds_bucket{route=\"/x\",le=\"+Inf\"} 4\n"));
    EXPECT_THAT(all, HasSubstr("t_seconds_count{route=\"/x\"} 4\n"));
    clear("t_depth");
    EXPECT_THAT(text(), Not(HasSubstr("t_depth")));
}

TEST(Metrics, a_family_that_is_read_when_asked_for) {
    EXPECT_EQ(family("q", "gauge", "h", {{{{"s", "x"}}, 3}, {{}, 0}}),
              "# HELP q h\n# TYPE q gauge\nq{s=\"x\"} 3\nq 0\n");
    EXPECT_EQ(family("q", "gauge", "h", {}), "");
}

}  // namespace
}  // namespace codegen::metrics
