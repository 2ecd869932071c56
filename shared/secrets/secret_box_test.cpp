#include "shared/secrets/secret_box.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace codegen::secrets {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

SecretBox box(const std::string& key) { return SecretBox::from_text(key, "test").value(); }

TEST(SecretBox, WhatIsSealedOpensWithTheSameKeyAtTheSamePlaceOnly) {
    const auto key = SecretBox::new_key();
    const auto ours = box(key);
    for (const auto& text : {std::string(), std::string("s3cret"), std::string("a\0b", 3), std::string(100'000, 'x')}) {
        const auto sealed = ours.seal(text, "servers/a");
        EXPECT_EQ(key_id_of(sealed), ours.key_id());
        EXPECT_EQ(box(key).open(sealed, "servers/a"), text);
        const auto moved = ours.open(sealed, "servers/b");
        ASSERT_FALSE(moved);
        EXPECT_EQ(moved.error().code, "secret");
    }
    EXPECT_NE(ours.seal("x", "p"), ours.seal("x", "p"));
    const auto sealed = ours.seal("s3cret", "p");
    EXPECT_THAT(sealed, Not(HasSubstr("s3cret")));
    const auto other = box(SecretBox::new_key()).open(sealed, "p");
    ASSERT_FALSE(other);
    EXPECT_THAT(other.error().message, HasSubstr("sealed with key " + ours.key_id()));
}

TEST(SecretBox, WhatWasChangedOrIsNoneOfOursDoesNotOpen) {
    const auto ours = box(SecretBox::new_key());
    const auto sealed = ours.seal("secret", "p");
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        auto changed = sealed;
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        const auto opened = ours.open(changed, "p");
        ASSERT_FALSE(opened) << i;
        EXPECT_THAT(opened.error().message, Not(HasSubstr("secret at p is secret")));
    }
    for (const auto* bad :
         {"", "plain", "v1.", "v1.0123456789abcdef", "v1.0123456789abcdef.", "v2.0123456789abcdef.AA"})
        EXPECT_FALSE(ours.open(bad, "p")) << bad;
    for (std::size_t size = 0; size < sealed.size(); ++size) EXPECT_FALSE(ours.open(sealed.substr(0, size), "p"));
}

TEST(SecretBox, AKeyIsHexOrBase64AndItsErrorDoesNotTellIt) {
    const std::string hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const auto one = box(hex);
    EXPECT_EQ(box(" " + hex + "\n").key_id(), one.key_id());
    EXPECT_EQ(box("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").key_id(), one.key_id());
    EXPECT_EQ(one.key_id().size(), 16u);
    EXPECT_NE(box(SecretBox::new_key()).key_id(), one.key_id());
    for (const auto& bad :
         {std::string(), std::string("short-key-text"), std::string("AAEC"), hex + "00", hex.substr(1) + "x"}) {
        const auto refused = SecretBox::from_text(bad, "SECRETS_KEY");
        ASSERT_FALSE(refused) << bad;
        EXPECT_EQ(refused.error().category, ErrorCategory::fatal);
        EXPECT_THAT(refused.error().message, HasSubstr("SECRETS_KEY holds no key: expected 64 hex digits"));
        if (!bad.empty()) EXPECT_THAT(refused.error().message, Not(HasSubstr(bad)));
    }
}

TEST(SecretBox, AFingerprintDependsOnTextAndKey) {
    const auto a = box(SecretBox::new_key());
    const auto b = box(SecretBox::new_key());
    EXPECT_EQ(a.fingerprint("x"), a.fingerprint("x"));
    EXPECT_NE(a.fingerprint("x"), a.fingerprint("y"));
    EXPECT_NE(a.fingerprint("x"), b.fingerprint("x"));
}

}  // namespace
}  // namespace codegen::secrets
