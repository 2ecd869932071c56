#include "services/infra-service/ssh_words.hpp"

#include <gmock/gmock.h>

namespace codegen::infra {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(SshWords, WhatOpenSshSaysIsToldApart) {
    EXPECT_EQ(trouble_of(0, "warning"), SshTrouble::none);
    EXPECT_EQ(trouble_of(1, "Permission denied"), SshTrouble::command_failed) << "the command's own words";
    EXPECT_EQ(trouble_of(255, "ssh: connect to host 192.0.2.1 port 22: Connection refused\r\n"),
              SshTrouble::unreachable);
    EXPECT_EQ(trouble_of(255, "kex_exchange_identification: Connection closed by remote host"),
              SshTrouble::unreachable);
    EXPECT_EQ(trouble_of(255, "root@192.0.2.1: Permission denied (publickey).\r\n"), SshTrouble::key_rejected);
    constexpr auto kChanged =
        "@@@@@@@@@@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@@@\n"
        "IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\nHost key verification failed.\r\n";
    EXPECT_EQ(trouble_of(255, kChanged), SshTrouble::host_key_changed);
    EXPECT_EQ(ssh_reason(kChanged), "Host key verification failed");
    EXPECT_EQ(ssh_reason("a reason\nWarning: Permanently added 'x' to the list of known hosts.\n"), "a reason");
    EXPECT_EQ(ssh_reason(""), "");
}

SshTarget target() {
    SshTarget out;
    out.handle = "vps-1";
    out.address = "192.0.2.1";
    out.user = "root";
    out.identity_files = {"/state/a key"};
    out.known_hosts_file = "/state/known_hosts";
    return out;
}

TEST(SshWords, TheFirstHostKeyIsBelievedAndThenNoOther) {
    auto first = ssh_config(target());
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_THAT(*first, HasSubstr("StrictHostKeyChecking accept-new"));
    EXPECT_THAT(*first, HasSubstr("IdentityFile \"/state/a key\""));
    EXPECT_THAT(*first, HasSubstr("BatchMode yes"));
    auto known = target();
    known.host_key_known = true;
    known.with_password = true;
    const auto second = ssh_config(known);
    ASSERT_TRUE(second);
    EXPECT_THAT(*second, HasSubstr("StrictHostKeyChecking yes"));
    EXPECT_THAT(*second, Not(HasSubstr("BatchMode")));
}

TEST(SshWords, NothingInARecordBecomesASetting) {
    const auto refused = [](auto change, const char* name) {
        auto bad = target();
        change(bad);
        const auto made = ssh_config(bad);
        ASSERT_FALSE(made) << name;
        EXPECT_THAT(made.error().message, HasSubstr(name));
    };
    refused([](auto& t) { t.user = "root\n  ProxyCommand touch /tmp/x"; }, "ssh_user");
    refused([](auto& t) { t.address = "-oProxyCommand=x"; }, "public_ip");
    refused([](auto& t) { t.address = ""; }, "public_ip");
    refused([](auto& t) { t.handle = "a b"; }, "handle");
    refused([](auto& t) { t.port = 70000; }, "labels.ssh_port");
}

TEST(SshWords, WhereSshdListens) {
    EXPECT_THAT(listening_ports("connection 192.0.2.9 50000 10.0.0.2 22\nport 22\nport 2200\naddressfamily any\n"
                                "listenaddress [::]:22\nlistenaddress 0.0.0.0:2222\nusepam yes\n"),
                ::testing::ElementsAre(22, 2200, 2222));
    EXPECT_THAT(listening_ports("connection 2001:db8::1 50000 2001:db8::2 2022\n"), ::testing::ElementsAre(2022));
    EXPECT_THAT(listening_ports("connection \nport many\nport 70000\nlistenaddress\nlistenaddress x:\n"),
                ::testing::IsEmpty());
}

TEST(SshWords, KeysAreFoundInTheirFiles) {
    EXPECT_EQ(key_in_known_hosts("other ssh-ed25519 AAAAx\nvps-1 ssh-ed25519 AAAAy comment\n", "vps-1"),
              "ssh-ed25519 AAAAy");
    EXPECT_EQ(key_in_known_hosts("vps-1 odd AAAA\n", "vps-1"), "");
    EXPECT_EQ(key_in_known_hosts("", "vps-1"), "");
    EXPECT_TRUE(is_public_key("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 codegen"));
    EXPECT_FALSE(is_public_key("ssh-ed25519 AAAA\nssh-rsa AAAA"));
    EXPECT_FALSE(is_public_key("command=\"x\" ssh-ed25519 AAAA"));
    EXPECT_FALSE(is_public_key("ssh-ed25519"));
}

}  // namespace
}  // namespace codegen::infra
