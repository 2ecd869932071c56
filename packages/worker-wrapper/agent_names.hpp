// The words of shared/agents that the wrapper uses everywhere.
#pragma once
#include "shared/agents/agent.hpp"
#include "shared/agents/agent_stream.hpp"
#include "shared/agents/job.hpp"
#include "shared/agents/launch_plan.hpp"
#include "shared/agents/text.hpp"
#include "shared/agents/verdict.hpp"

namespace codegen::wrapper {

using agents::Agent;
using agents::agent_of;
using agents::AgentStream;
using agents::claimed_commit;
using agents::FinalRecord;
using agents::Job;
using agents::kLongestEventText;
using agents::kLongestLine;
using agents::LaunchPlan;
using agents::LineSplitter;
using agents::PlannedFile;
using agents::PlannedForwarder;
using agents::PlannedSession;
using agents::SessionRule;
using agents::shortened;
using agents::StreamEvent;
using agents::StreamSummary;
using agents::valid_utf8;
using agents::VerdictFinder;

}  // namespace codegen::wrapper
