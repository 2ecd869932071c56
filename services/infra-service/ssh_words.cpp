#include "services/infra-service/ssh_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace codegen::infra {
namespace {

bool has(std::string_view text, std::string_view part) { return text.find(part) != text.npos; }

bool is_plain(std::string_view text) {
    return !text.empty() && text.size() <= 255 && text.front() != '-' && std::ranges::all_of(text, [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '.' || c == '_' || c == '-' || c == ':' || c == '@';
    });
}

// Of ours: no quotes, no line ends, nothing that ssh expands.
bool is_path(std::string_view text) { return text.starts_with('/') && text.find_first_of("\"\n\r%$~") == text.npos; }

std::unexpected<Error> refuse(std::string_view what, std::string_view value) {
    return fail(ErrorCategory::permanent, "invalid",
                fmt::format("{} is \"{}\": expected letters, digits and . _ - : @", what, value.substr(0, 100)));
}

std::vector<std::string_view> words(std::string_view line) {
    std::vector<std::string_view> out;
    while (true) {
        const auto begin = line.find_first_not_of(" \t\r");
        if (begin == line.npos) return out;
        line.remove_prefix(begin);
        const auto end = std::min(line.find_first_of(" \t\r"), line.size());
        out.push_back(line.substr(0, end));
        line.remove_prefix(end);
    }
}

constexpr std::array<std::string_view, 5> kKeyTypes{"ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256",
                                                    "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"};

}  // namespace

SshTrouble trouble_of(int exit_code, std::string_view errors) {
    if (exit_code == 0) return SshTrouble::none;
    if (exit_code != 255) return SshTrouble::command_failed;
    if (has(errors, "HOST IDENTIFICATION HAS CHANGED") || has(errors, "Host key verification failed"))
        return SshTrouble::host_key_changed;
    if (has(errors, "Permission denied") || has(errors, "Too many authentication failures"))
        return SshTrouble::key_rejected;
    return SshTrouble::unreachable;
}

std::string ssh_reason(std::string_view errors) {
    std::string found;
    while (!errors.empty()) {
        const auto end = std::min(errors.find('\n'), errors.size());
        auto line = errors.substr(0, end);
        errors.remove_prefix(std::min(end + 1, errors.size()));
        while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.remove_suffix(1);
        if (line.empty() || line.starts_with('@') || line.starts_with("Warning: Permanently added")) continue;
        found = line.substr(0, 500);
    }
    while (found.ends_with('.')) found.pop_back();
    return found;
}

Result<std::string> ssh_config(const SshTarget& target) {
    if (!is_plain(target.handle)) return refuse("handle", target.handle);
    if (!is_plain(target.address)) return refuse("public_ip", target.address);
    if (!is_plain(target.user)) return refuse("ssh_user", target.user);
    if (target.port < 1 || target.port > 65535)
        return fail(ErrorCategory::permanent, "invalid", "labels.ssh_port: expected a number between 1 and 65535");
    std::string out = fmt::format(
        "Host *\n  HostName {}\n  Port {}\n  User {}\n  HostKeyAlias {}\n  UserKnownHostsFile \"{}\"\n"
        "  GlobalKnownHostsFile /dev/null\n  StrictHostKeyChecking {}\n  UpdateHostKeys no\n  CheckHostIP no\n"
        "  IdentityAgent none\n  IdentitiesOnly yes\n  ForwardAgent no\n  ConnectTimeout {}\n"
        "  ServerAliveInterval 5\n  ServerAliveCountMax 3\n  LogLevel ERROR\n",
        target.address, target.port, target.user, target.handle, target.known_hosts_file,
        target.host_key_known ? "yes" : "accept-new", target.connect_seconds);
    if (!is_path(target.known_hosts_file)) return refuse("the folder of the state", target.known_hosts_file);
    if (target.with_password)
        out += "  PreferredAuthentications password,keyboard-interactive\n  NumberOfPasswordPrompts 1\n";
    else
        out += "  PreferredAuthentications publickey\n  BatchMode yes\n";
    for (const auto& file : target.identity_files) {
        if (!is_path(file)) return refuse("the folder of the state", file);
        out += fmt::format("  IdentityFile \"{}\"\n", file);
    }
    return out;
}

std::string listening_question(std::string_view sudo) {
    return fmt::format(
        "echo \"connection $SSH_CONNECTION\"; PATH=\"$PATH:/usr/sbin:/sbin\"; {}sshd -T 2>/dev/null; true", sudo);
}

std::vector<int> listening_ports(std::string_view answer) {
    std::vector<int> out;
    const auto add = [&](std::string_view text) {
        int port = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
        if (error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535 &&
            std::ranges::find(out, port) == out.end())
            out.push_back(port);
    };
    while (!answer.empty()) {
        const auto end = std::min(answer.find('\n'), answer.size());
        const auto parts = words(answer.substr(0, end));
        answer.remove_prefix(std::min(end + 1, answer.size()));
        if (parts.size() == 5 && parts[0] == "connection") add(parts[4]);  // client, its port, server, its port
        if (parts.size() == 2 && parts[0] == "port") add(parts[1]);
        if (parts.size() >= 2 && parts[0] == "listenaddress") add(parts[1].substr(parts[1].rfind(':') + 1));
    }
    return out;
}

std::string key_in_known_hosts(std::string_view content, std::string_view handle) {
    while (!content.empty()) {
        const auto end = std::min(content.find('\n'), content.size());
        const auto parts = words(content.substr(0, end));
        content.remove_prefix(std::min(end + 1, content.size()));
        if (parts.size() >= 3 && parts[0] == handle && std::ranges::find(kKeyTypes, parts[1]) != kKeyTypes.end())
            return fmt::format("{} {}", parts[1], parts[2]);
    }
    return {};
}

bool is_public_key(std::string_view line) {
    const auto parts = words(line);
    return line.size() <= 8192 && line.find_first_of("\n\r\"") == line.npos && parts.size() >= 2 &&
           std::ranges::find(kKeyTypes, parts[0]) != kKeyTypes.end() && parts[1].starts_with("AAAA") &&
           parts[1].find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") ==
               std::string_view::npos;
}

}  // namespace codegen::infra
