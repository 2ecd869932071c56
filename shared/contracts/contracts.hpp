// Every message and resource of docs/protocols.md: include this, or the part you need. Plain described structs; member
// names are the wire names. json::parse<T>, json::write<T> (shared/json/json.hpp) read and write them; their
// definitions are instantiated in *_json.cpp here.
#pragma once
#include "shared/contracts/dto/infrastructure.hpp"
#include "shared/contracts/dto/problem.hpp"
#include "shared/contracts/dto/project.hpp"
#include "shared/contracts/dto/rag.hpp"
#include "shared/contracts/dto/settings.hpp"
#include "shared/contracts/dto/task.hpp"
#include "shared/contracts/dto/user.hpp"
#include "shared/contracts/keys.hpp"
#include "shared/contracts/queues/agent.hpp"
#include "shared/contracts/queues/deploy.hpp"
#include "shared/contracts/queues/engineering.hpp"
#include "shared/contracts/queues/progress.hpp"
#include "shared/contracts/queues/provisioner.hpp"
#include "shared/contracts/queues/scaffolder.hpp"
#include "shared/contracts/queues/worker_commands.hpp"
#include "shared/contracts/queues/worker_io.hpp"
#include "shared/contracts/streams.hpp"
#include "shared/contracts/vocabulary.hpp"
#include "shared/json/enum.hpp"
#include "shared/json/json.hpp"
