// Every golden sample is read without loss, and every field of every message is required, typed and named as they say.
#include <gmock/gmock.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "shared/contracts/contract_reflection.hpp"

namespace codegen::contracts {
namespace {

using reflection::Contract;
using reflection::Field;
using reflection::Kind;
using reflection::Shape;
namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kGolden = fs::path(CODEGEN_SOURCE_DIR) / "shared/contracts/golden";

std::string read(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in) << path << " is missing";
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
}

const std::vector<Contract>& contracts() { return reflection::all_contracts(); }

// Whether `got` says all that `sample` says, and nothing else but defaults. Null equals absent outside free objects.
::testing::AssertionResult says(const Shape& shape, const boost::json::value& sample, const boost::json::value& got,
                                const std::string& path) {
    const auto differ = [&] {
        return ::testing::AssertionFailure() << path << ": sample " << sample << ", written " << got;
    };
    switch (shape.kind) {
        case Kind::timestamp: {
            const auto a = parse_timestamp(std::string(sample.as_string()));
            const auto b = parse_timestamp(std::string(got.as_string()));
            return a && a == b ? ::testing::AssertionSuccess() : differ();
        }
        case Kind::number:
            return sample.to_number<double>() == got.to_number<double>() ? ::testing::AssertionSuccess() : differ();
        case Kind::list: {
            if (sample.as_array().size() != got.as_array().size()) return differ();
            for (std::size_t i = 0; i < sample.as_array().size(); ++i) {
                const auto same = says(shape.element.front(), sample.as_array()[i], got.as_array()[i],
                                       path + "[" + std::to_string(i) + "]");
                if (!same) return same;
            }
            return ::testing::AssertionSuccess();
        }
        case Kind::record: {
            for (const auto& field : shape.fields) {
                const auto* a = sample.as_object().if_contains(field.name);
                const auto* b = got.as_object().if_contains(field.name);
                if (!a || (a->is_null() && !field.patch)) continue;
                if (!b) return ::testing::AssertionFailure() << path << "." << field.name << " was lost";
                const auto same = says(field.shape.front(), *a, *b, path + "." + field.name);
                if (!same) return same;
            }
            for (const auto& [key, value] : sample.as_object()) {
                const bool known =
                    std::ranges::any_of(shape.fields, [&](const Field& f) { return f.name == std::string_view(key); });
                if (!known) return ::testing::AssertionFailure() << path << "." << key << " is not described";
            }
            return ::testing::AssertionSuccess();
        }
        default:
            return sample == got ? ::testing::AssertionSuccess() : differ();
    }
}

::testing::AssertionResult reads_without_loss(const Contract& contract, const std::string& text) {
    const auto again = contract.rewrite(text);
    if (!again) return ::testing::AssertionFailure() << contract.name << ": " << invalid(again.error()).message;
    if (auto same = says(contract.shape, boost::json::parse(text), boost::json::parse(*again), contract.name); !same)
        return same;
    // What we write, we read the same.
    const auto third = contract.rewrite(*again);
    if (!third || boost::json::parse(*third) != boost::json::parse(*again))
        return ::testing::AssertionFailure() << contract.name << ": what was written is read as something else";
    return ::testing::AssertionSuccess();
}

void read_without_loss(const Contract& contract, const fs::path& file) {
    EXPECT_TRUE(reads_without_loss(contract, read(file))) << file;
}

const Contract* contract_of(const fs::path& file) {
    auto name = file.stem().stem().string();
    if (name.ends_with("DTO")) name.erase(name.size() - 3);
    if (name == "Task") name = "TaskRecord";  // codegen::Task is the coroutine
    const auto found = std::ranges::find(contracts(), name, &Contract::name);
    return found == contracts().end() ? nullptr : &*found;
}

TEST(Golden, ReadsTheOtherImplementationsSamples) {
    int files = 0;
    for (const auto* folder : {"queues", "dto"}) {
        for (const auto& entry : fs::directory_iterator(kGolden / "foreign" / folder)) {
            const auto* found = contract_of(entry.path());
            ASSERT_TRUE(found) << entry.path();
            read_without_loss(*found, entry.path());
            ++files;
        }
    }
    EXPECT_EQ(files, 60);
}

TEST(Golden, ReadsOurOwnSamples) {
    for (const auto& contract : contracts())
        for (const auto* kind : {".full.json", ".minimal.json"})
            read_without_loss(contract, kGolden / "ours" / contract.folder / (contract.name + kind));
}

// tools/docs.sh names the samples of the commit before: whatever was promised then is still read.
TEST(Golden, ReadsEarlierSamples) {
    const char* earlier = std::getenv("CODEGEN_EARLIER_GOLDEN");
    int files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(earlier ? fs::path(earlier) : kGolden)) {
        if (entry.path().extension() != ".json") continue;
        ++files;
        const auto* contract = contract_of(entry.path());
        if (!contract) {
            ADD_FAILURE() << entry.path() << ": this contract went";
            continue;
        }
        read_without_loss(*contract, entry.path());
    }
    EXPECT_GT(files, 100);
}

// The check above, with what it is to find.
TEST(Golden, ASampleThatIsNoLongerReadIsNoticed) {
    const auto* contract = contract_of("EngineeringResult.full.json");
    ASSERT_TRUE(contract);
    const auto judged = [&](std::string_view sample) {
        return std::string(reads_without_loss(*contract, std::string(sample)).message());
    };
    EXPECT_EQ(judged(R"({"request_id":"r","status":"success","branch":"b"})"), "");
    EXPECT_THAT(judged(R"({"request_id":"r","status":"success","branch_name":"b"})"), HasSubstr("is not described"));
    EXPECT_THAT(judged(R"({"request_id":"r","status":"skipped"})"), HasSubstr("unknown value \"skipped\""));
    EXPECT_THAT(judged(R"({"request_id":"r"})"), HasSubstr("status: required field is missing"));
    EXPECT_THAT(judged(R"({"request_id":"r","status":"success","duration_ms":"1"})"), HasSubstr("expected integer"));
}

TEST(Golden, FullSamplesHoldEveryFieldAndNoDefaultIsAdded) {
    for (const auto& contract : contracts()) {
        const auto text = read(kGolden / "ours" / contract.folder / (contract.name + ".full.json"));
        const auto sample = boost::json::parse(text).as_object();
        for (const auto& field : contract.shape.fields)
            EXPECT_TRUE(sample.contains(field.name)) << contract.name << "." << field.name << " is not in its sample";
        const auto written = boost::json::parse(*contract.rewrite(text)).as_object();
        EXPECT_EQ(written.size(), sample.size()) << contract.name;
    }
}

// The samples are typed from the tables: what a minimal sample holds is required, the rest is not.
TEST(Golden, MinimalSamplesHoldExactlyTheRequiredFields) {
    for (const auto& contract : contracts()) {
        const auto text = read(kGolden / "ours" / contract.folder / (contract.name + ".minimal.json"));
        const auto sample = boost::json::parse(text).as_object();
        if (contract.name == "UserCreate" || contract.name == "ProjectPatch" || contract.name == "TaskPatch") {
            EXPECT_TRUE(sample.empty());
        }
        for (const auto& field : contract.shape.fields)
            EXPECT_EQ(sample.contains(field.name), field.required) << contract.name << "." << field.name;
    }
}

// Runs `break_it` on a copy of the full sample and expects exactly one error, at `path`.
void expect_error(const Contract& contract, const boost::json::value& broken, const std::string& path,
                  const std::string& message) {
    const auto parsed = contract.rewrite(boost::json::serialize(broken));
    ASSERT_FALSE(parsed) << contract.name << " accepted a wrong " << path;
    ASSERT_EQ(parsed.error().size(), 1u) << contract.name << ": " << invalid(parsed.error()).message;
    EXPECT_EQ(parsed.error().front().path, path) << contract.name;
    EXPECT_TRUE(parsed.error().front().message.starts_with(message))
        << contract.name << " " << path << ": " << parsed.error().front().message << ", expected " << message;
}

std::string expected_type(Kind kind) {
    switch (kind) {
        case Kind::boolean:
            return "expected boolean, got ";
        case Kind::integer:
            return "expected integer, got ";
        case Kind::number:
            return "expected number, got ";
        case Kind::timestamp:
            return "expected RFC 3339 timestamp, got ";
        case Kind::list:
            return "expected array, got ";
        case Kind::map:
        case Kind::record:
        case Kind::any_object:
            return "expected object, got ";
        default:
            return "expected string, got ";
    }
}

// Visits every place of `node` (inside `root`) that the description names, and breaks it there.
int break_everywhere(const Contract& contract, boost::json::value& root, boost::json::value& node, const Shape& shape,
                     const std::string& path) {
    int cases = 0;
    const auto with = [&](boost::json::value replacement, const std::string& message) {
        const auto saved = std::exchange(node, std::move(replacement));
        expect_error(contract, root, path, message);
        node = saved;
        ++cases;
    };
    if (shape.kind != Kind::any) {
        const bool is_bool = shape.kind == Kind::boolean;
        with(is_bool ? boost::json::value("yes") : boost::json::value(true), expected_type(shape.kind));
        const bool is_array = shape.kind == Kind::list;
        with(is_array ? boost::json::value(boost::json::object{}) : boost::json::value(boost::json::array{}),
             expected_type(shape.kind));
    }
    if (shape.kind == Kind::integer) {
        with(1.5, "expected integer, got a number that is not whole");
        with(1e300, "expected integer, got a number that is not whole");
        with("1", "expected integer, got string");
    }
    if (shape.kind == Kind::timestamp) with("tomorrow", "unknown value \"tomorrow\", expected an RFC 3339 timestamp");
    if (shape.kind == Kind::enumeration) with("bogus", "unknown value \"bogus\", expected one of " + shape.names);
    if (shape.kind == Kind::list)
        for (std::size_t i = 0; i < node.as_array().size(); ++i)
            cases += break_everywhere(contract, root, node.as_array()[i], shape.element.front(),
                                      path + "[" + std::to_string(i) + "]");
    if (shape.kind == Kind::map)
        for (auto& field : node.as_object())
            cases += break_everywhere(contract, root, field.value(), shape.element.front(),
                                      path + "." + std::string(field.key()));
    if (shape.kind == Kind::record) {
        for (const auto& field : shape.fields) {
            const auto here = path.empty() ? field.name : path + "." + field.name;
            cases += break_everywhere(contract, root, node.as_object().at(field.name), field.shape.front(), here);
            if (!field.required) continue;
            const auto saved = node;
            node.as_object().erase(field.name);
            expect_error(contract, root, here, "required field is missing");
            node.as_object()[field.name] = nullptr;
            expect_error(contract, root, here, "required field is missing");
            node = saved;
            cases += 2;
        }
    }
    return cases;
}

TEST(Contracts, EveryFieldOfEveryMessageIsChecked) {
    int cases = 0;
    for (const auto& contract : contracts()) {
        auto root = boost::json::parse(read(kGolden / "ours" / contract.folder / (contract.name + ".full.json")));
        cases += break_everywhere(contract, root, root, contract.shape, "");
    }
    EXPECT_GT(cases, 900);
    RecordProperty("cases", cases);
}

TEST(Contracts, UnknownFieldsAreIgnoredEverywhere) {
    for (const auto& contract : contracts()) {
        auto sample = boost::json::parse(read(kGolden / "ours" / contract.folder / (contract.name + ".full.json")));
        const auto plain = contract.rewrite(boost::json::serialize(sample));
        sample.as_object()["x_later_version"] = boost::json::object{{"deep", boost::json::array{1, nullptr}}};
        const auto extended = contract.rewrite(boost::json::serialize(sample));
        ASSERT_TRUE(extended) << contract.name;
        EXPECT_EQ(*extended, *plain);
    }
}

// Nothing that arrives may crash a reader or be written as something that it then refuses itself.
TEST(Contracts, SurviveRandomMutations) {
    std::mt19937 random(20261122);
    const auto below = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
    int accepted = 0;
    int refused = 0;
    for (const auto& contract : contracts()) {
        const auto sample = read(kGolden / "ours" / contract.folder / (contract.name + ".full.json"));
        for (int round = 0; round < 400; ++round) {
            auto text = sample;
            for (std::size_t n = below(4) + 1; n > 0 && !text.empty(); --n) {
                const auto at = below(text.size());
                switch (below(5)) {
                    case 0:
                        text[at] = static_cast<char>(below(256));
                        break;
                    case 1:
                        text.erase(at, below(12) + 1);
                        break;
                    case 2:
                        text.insert(at, text.substr(below(text.size()), below(20)));
                        break;
                    case 3:
                        text.resize(at);
                        break;
                    default:
                        text[at] = "{}[]\",:\\0-e.nt"[below(14)];
                }
            }
            const auto parsed = contract.rewrite(text);
            if (parsed) {
                ++accepted;
                EXPECT_TRUE(contract.rewrite(*parsed)) << contract.name << ": " << text << " -> " << *parsed;
            } else {
                ++refused;
                ASSERT_FALSE(parsed.error().empty());
                for (const auto& e : parsed.error()) EXPECT_FALSE(e.message.empty());
            }
        }
    }
    EXPECT_GT(accepted, 100);
    EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace codegen::contracts
