// Commands of one name that meet while each waits for its turn.
#include <boost/json.hpp>
#include <fstream>

#include "services/worker-manager/tests/service_fixture.hpp"

namespace codegen::worker_manager {
namespace {

using ::testing::HasSubstr;

class RacesTest : public ServiceFixture {
  protected:
    void SetUp() override {
        ServiceFixture::SetUp();
        start();
        must_create("dev-1");
    }
    void end_body() {
        runtime_->kill("dev-1");
        ASSERT_TRUE(eventually([&] { return status("dev-1") == "FAILED"; }));
    }
    // The next removal of a body stands still; returns when one does.
    void hold_removal(const std::function<void()>& cause) {
        runtime_->hold_removals = true;
        const int before = runtime_->removals;
        cause();
        ASSERT_TRUE(eventually([&] { return runtime_->removals > before; }));
    }
};

TEST_F(RacesTest, ADeletionThatComesWhileAnEndedWorkerIsReplacedIsDoneAndTheNewOneLives) {
    end_body();
    hold_removal([&] { send(create_message("dev-1", "c-2")); });
    send(remove_message("dev-1", "d-1"));
    // Another one's command after it shows that it was read.
    send(create_message("dev-2", "c-3"));
    ASSERT_EQ(answered(create_message("dev-2", "c-3"))["success"], true);
    runtime_->hold_removals = false;
    EXPECT_EQ(answered(remove_message("dev-1", "d-1"))["success"], true);
    EXPECT_EQ(answered(create_message("dev-1", "c-2"))["success"], true) << "looked at anew after the deletion";
    EXPECT_TRUE(runtime_->runs("dev-1"));
    EXPECT_EQ(status("dev-1"), "RUNNING");
    EXPECT_TRUE(eventually([&] { return tokens() == 1; }));
}

TEST_F(RacesTest, ACreateThatComesWhileItsNameIsDeletedIsRefusedAndTheNextOneWorks) {
    hold_removal([&] { send(remove_message("dev-1", "d-1")); });
    EXPECT_THAT(error_of(ask(create_message("dev-1", "c-2"))), HasSubstr("is being deleted"));
    runtime_->hold_removals = false;
    EXPECT_EQ(answered(remove_message("dev-1", "d-1"))["success"], true);
    EXPECT_EQ(ask(create_message("dev-1", "c-3"))["success"], true);
    EXPECT_TRUE(runtime_->runs("dev-1"));
    EXPECT_TRUE(eventually([&] { return tokens() == 1; }));
}

TEST_F(RacesTest, TwoDeletionsAreOneAndBothAreAnswered) {
    hold_removal([&] { send(remove_message("dev-1", "d-1")); });
    send(remove_message("dev-1", "d-2"));
    send(create_message("dev-2", "c-3"));
    ASSERT_EQ(answered(create_message("dev-2", "c-3"))["success"], true);
    const int removals = runtime_->removals;
    runtime_->hold_removals = false;
    EXPECT_EQ(answered(remove_message("dev-1", "d-1"))["success"], true);
    EXPECT_EQ(answered(remove_message("dev-1", "d-2"))["success"], true);
    EXPECT_EQ(runtime_->removals, removals);
    EXPECT_TRUE(eventually([&] { return tokens() == 0; }));
}

TEST_F(RacesTest, TwoReplacementsOfAnEndedWorkerMakeOneBody) {
    end_body();
    hold_removal([&] { send(create_message("dev-1", "c-2")); });
    send(create_message("dev-1", "c-3"));
    send(create_message("dev-2", "c-4"));
    ASSERT_EQ(answered(create_message("dev-2", "c-4"))["success"], true);
    runtime_->hold_removals = false;
    EXPECT_EQ(answered(create_message("dev-1", "c-2"))["success"], true);
    EXPECT_EQ(answered(create_message("dev-1", "c-3"))["success"], true);
    EXPECT_EQ(runtime_->starts, 3) << "dev-1 twice, dev-2 once";
    EXPECT_TRUE(eventually([&] { return tokens() == 1; }));
}

}  // namespace
}  // namespace codegen::worker_manager
