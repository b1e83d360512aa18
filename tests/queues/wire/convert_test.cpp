#include "queues/wire/convert.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "random_model.hpp"

namespace gangway {
namespace {

using testing::HasSubstr;
using tests::RandomModel;

constexpr int kRounds = 500;

// The value after a trip through serialised bytes.
template <typename Message, typename Value, typename... Extra>
auto there_and_back(const Value& value, Extra... extra) {
  Message message;
  wire::to_wire(value, &message);
  Message received;
  EXPECT_TRUE(received.ParseFromString(message.SerializeAsString()));
  return wire::from_wire(received, extra...);
}

class Convert : public testing::Test {
 protected:
  Rng rng_{9};
  RandomModel model_{rng_};
};

TEST_F(Convert, SpecComesBackAndItsBytesAreDeterministic) {
  for (int i = 0; i < kRounds; ++i) {
    const JobSpec spec = model_.job_spec();
    const std::string bytes = wire::encode_spec(spec);
    const auto back = wire::decode_spec(bytes);
    ASSERT_TRUE(back) << back.error().message();
    ASSERT_EQ(*back, spec);
    ASSERT_EQ(wire::encode_spec(*back), bytes);
  }
}

TEST_F(Convert, JobComesBack) {
  const auto spec = std::make_shared<const JobSpec>();
  for (int i = 0; i < kRounds; ++i) {
    const Job job = model_.job(spec);
    const auto back = there_and_back<wire::JobState>(job, spec);
    ASSERT_TRUE(back) << back.error().message();
    ASSERT_TRUE(same_state(*back, job));
    ASSERT_EQ(back->spec, spec);
  }
}

TEST_F(Convert, WorkflowAndNodeComeBack) {
  for (int i = 0; i < kRounds; ++i) {
    const Workflow workflow = model_.workflow();
    ASSERT_EQ(there_and_back<wire::WorkflowState>(workflow).value(), workflow);
    const Node node = model_.node();
    ASSERT_EQ(there_and_back<wire::NodeState>(node).value(), node);
  }
}

TEST_F(Convert, ServiceComesBack) {
  for (int i = 0; i < kRounds; ++i) {
    const Service service = model_.service();
    const auto back = there_and_back<wire::ServiceState>(service);
    ASSERT_TRUE(back) << back.error().message();
    ASSERT_EQ(*back, service);
  }
}

// Events have no equality of their own: their bytes are compared.
TEST_F(Convert, EventComesBack) {
  const auto bytes_of = [](const Event& event) {
    wire::Event message;
    wire::to_wire(event, &message);
    return message.SerializeAsString();
  };
  for (int i = 0; i < kRounds; ++i) {
    const Event event = model_.event();
    const auto back = there_and_back<wire::Event>(event);
    ASSERT_TRUE(back) << back.error().message();
    ASSERT_EQ(back->subject.index(), event.subject.index());
    ASSERT_EQ(bytes_of(*back), bytes_of(event));
  }
}

TEST_F(Convert, ErrorComesBackAndAnUnknownKindIsInternal) {
  const Error error(ErrorKind::Denied, "not yours");
  EXPECT_EQ(there_and_back<wire::Error>(error), error);
  wire::Error message;
  message.set_kind(99);
  EXPECT_EQ(wire::from_wire(message).kind(), ErrorKind::Internal);
}

TEST_F(Convert, MessageIsClearedBeforeItIsFilled) {
  wire::JobState message;
  wire::to_wire(model_.job(std::make_shared<JobSpec>()), &message);
  wire::JobState fresh;
  const Job job = model_.job(std::make_shared<JobSpec>());
  wire::to_wire(job, &message);
  wire::to_wire(job, &fresh);
  EXPECT_EQ(message.SerializeAsString(), fresh.SerializeAsString());
}

TEST_F(Convert, FieldOfANewerReleaseIsIgnored) {
  const JobSpec spec = model_.job_spec();
  // Field 1000, varint 1.
  const auto back = wire::decode_spec(wire::encode_spec(spec) + "\xc0\x3e\x01");
  ASSERT_TRUE(back);
  EXPECT_EQ(*back, spec);
}

// A sound message and how to spoil it.
struct Spoiled {
  std::string says;
  std::function<void(wire::JobSpec&)> by;
};
class SpoiledSpec : public testing::TestWithParam<Spoiled> {};

TEST_P(SpoiledSpec, IsCorruptNamingTheField) {
  wire::JobSpec message;
  JobSpec spec;
  spec.components.resize(2);
  wire::to_wire(spec, &message);
  ASSERT_TRUE(wire::from_wire(message));
  GetParam().by(message);
  const auto back = wire::from_wire(message);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().kind(), ErrorKind::Corrupt);
  EXPECT_THAT(back.error().message(), HasSubstr(GetParam().says));
}

using M = wire::JobSpec;
INSTANTIATE_TEST_SUITE_P(
    All,
    SpoiledSpec,
    testing::Values(
        Spoiled{"kind: unknown value 2", [](M& m) { m.set_kind(2); }},
        Spoiled{"launch", [](M& m) { m.set_launch(9); }},
        Spoiled{"mpi", [](M& m) { m.set_mpi(9); }},
        Spoiled{"components: none", [](M& m) { m.clear_components(); }},
        Spoiled{"components[1]: nodes: 0", [](M& m) { m.mutable_components(1)->set_nodes(0); }},
        Spoiled{"components[0]: tasks: -1", [](M& m) { m.mutable_components(0)->set_tasks(-1); }},
        Spoiled{"cpus_per_task", [](M& m) { m.mutable_components(0)->set_cpus_per_task(0); }},
        Spoiled{"nodes in all: 100001", [](M& m) { m.mutable_components(0)->set_nodes(100'000); }},
        Spoiled{"memory_per_node_bytes",
                [](M& m) { m.mutable_components(0)->set_memory_per_node_bytes(INT64_MAX); }},
        Spoiled{"named_per_node[0].name: empty",
                [](M& m) { m.mutable_components(0)->add_named_per_node()->set_amount(1); }},
        Spoiled{"named_per_node[1].name: twice",
                [](M& m) {
                  for (int i = 0; i < 2; ++i) {
                    auto* named = m.mutable_components(0)->add_named_per_node();
                    named->set_name("gpu");
                    named->set_amount(1);
                  }
                }},
        Spoiled{"named_per_node: 100000 entries",
                [](M& m) {
                  for (int i = 0; i < 100'000; ++i) m.mutable_components(0)->add_named_per_node();
                }},
        Spoiled{"time_limit_ns", [](M& m) { m.set_time_limit_ns(-1); }},
        Spoiled{"kill_grace_ns", [](M& m) { m.set_kill_grace_ns(INT64_MAX); }},
        Spoiled{"not_before_ns", [](M& m) { m.set_not_before_ns(INT64_MIN); }},
        Spoiled{"image.kind", [](M& m) { m.mutable_image()->set_kind(3); }},
        Spoiled{"dependencies[0]: kind", [](M& m) { m.add_dependencies()->set_kind(6); }},
        Spoiled{"dependencies[0]: delay_ns",
                [](M& m) { m.add_dependencies()->set_delay_ns(-1); }}));

TEST(ConvertState, PhaseWithoutWhatItNeedsIsCorrupt) {
  const auto spec = std::make_shared<const JobSpec>();
  const auto error_of_phase = [&](std::uint32_t phase) {
    wire::JobState message;
    message.set_phase(phase);
    return wire::from_wire(message, spec).error().message();
  };
  EXPECT_EQ(error_of_phase(1), "allocation: missing");
  EXPECT_EQ(error_of_phase(5), "outcome: missing");
  EXPECT_EQ(error_of_phase(6), "phase: unknown value 6");
}

TEST(ConvertEvent, WithoutSubjectOrKindIsCorrupt) {
  wire::Event message;
  EXPECT_EQ(wire::from_wire(message).error().message(), "event: of no known subject");
  message.mutable_job();
  EXPECT_EQ(wire::from_wire(message).error().message(), "job event: of no known kind");
  message.mutable_node();
  EXPECT_EQ(wire::from_wire(message).error().message(), "node event: of no known kind");
}

TEST(ConvertOutcome, CodesOutsideOfWhatAProgramCanEndWithAreCorrupt) {
  wire::Outcome message;
  message.set_exit_code(256);
  EXPECT_FALSE(wire::from_wire(message));
  message.set_exit_code(0);
  message.set_signal(-9);
  EXPECT_FALSE(wire::from_wire(message));
}

TEST(DecodeSpec, OfOtherBytesIsCorrupt) {
  EXPECT_EQ(wire::decode_spec("\xff\xff\xff").error(),
            Error(ErrorKind::Corrupt, "job spec: not a message"));
  EXPECT_EQ(wire::decode_spec("").error().message(), "job spec: components: none");
}

}  // namespace
}  // namespace gangway
