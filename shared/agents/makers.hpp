// What the folder of each agent defines: std::unique_ptr<const Agent> make_<name>(). For registry.cpp and the folders.
#pragma once
#include <boost/preprocessor/cat.hpp>
#include <boost/preprocessor/seq/for_each.hpp>

#include "shared/agents/agent.hpp"
#include "shared/contracts/agent_types.hpp"

namespace codegen::agents {

#define CODEGEN_DECLARE_MAKER(r, data, name) std::unique_ptr<const Agent> BOOST_PP_CAT(make_, name)();
BOOST_PP_SEQ_FOR_EACH(CODEGEN_DECLARE_MAKER, , CODEGEN_AGENT_TYPES)
#undef CODEGEN_DECLARE_MAKER

}  // namespace codegen::agents
