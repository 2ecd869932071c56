# Writes SOURCE, which defines codegen::cli::api_document() as the content of TEXT (packages/orchestrator-cli).
file(READ ${TEXT} content)
string(LENGTH "${content}" length)
set(pieces "")
set(at 0)
while(at LESS length)
  string(SUBSTRING "${content}" ${at} 16000 piece)
  string(APPEND pieces "    out += R\"json_piece(${piece})json_piece\";\n")
  math(EXPR at "${at} + 16000")
endwhile()
file(WRITE ${SOURCE} "#include \"packages/orchestrator-cli/api_document.hpp\"

#include <string>

std::string_view codegen::cli::api_document() {
  static const std::string text = [] {
    std::string out;
${pieces}    return out;
  }();
  return text;
}
")
