// The processes of this machine and whose they are, as /proc shows them. A zombie is nobody's.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace codegen::worker_manager {

std::vector<int> process_ids();
bool lives_as(int pid, int uid);
std::string proc_text(int pid, std::string_view file);  // of /proc/<pid>/<file>; "": it has gone, or may not be read

}  // namespace codegen::worker_manager
