// Where things of one GitHub are: its API, its repositories, the next page of a list. No I/O.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "shared/http/message.hpp"
#include "shared/http/url.hpp"

namespace codegen::clients::github {

// "https://github.com" for https://api.github.com and "https://HOST" for GitHub Enterprise's https://HOST/api/v3:
// where git and browsers go. No trailing slash.
std::string web_url(const http::Url& api);
std::string origin_of(const http::Url& url);  // "https://host[:port]"

// A name of a repository as GitHub takes it: [A-Za-z0-9._-]{1,100}, not "." or "..", not ending with ".git".
bool is_repository_name(std::string_view name);
// An organisation or user: letters, digits and single dashes within, at most 39 (39 is GitHub's; Enterprise's may have
// "_short" behind it).
bool is_account_name(std::string_view name);
// A name in a place where it is one segment of a path: a workflow's file, a secret. [A-Za-z0-9._-]{1,255}
bool is_plain_segment(std::string_view name);

// The repository's name, when `url` is `web`/`organization`/NAME, with or without .git behind it; names of hosts and
// organisations compare without case. Anything else - user, password, query, another host - is nullopt.
std::optional<std::string> repository_at(std::string_view url, std::string_view web, std::string_view organization);

// The target (behind the API's base path) of the page that the header Link calls next; nullopt: this is the last.
// Error: permanent "protocol", when it leads away from the API: the token would go along.
Result<std::optional<std::string>> next_page(const http::Headers& headers, const http::Url& api);
// The target of an absolute or relative `location` below the API's base; nullopt: it leads away.
std::optional<std::string> target_within(std::string_view location, const http::Url& api);

}  // namespace codegen::clients::github
