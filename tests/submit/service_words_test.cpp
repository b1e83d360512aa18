// What files of services become: command lines of jobs and of builds, and lines for people.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "submit/batch_job.hpp"
#include "submit/job_options.hpp"
#include "submit/service_build.hpp"
#include "submit/service_text.hpp"

namespace gangway::submit {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(BatchJob, CompletionsAreAnArrayAndTheCommandIsTheEntryPoint) {
  BatchTemplate job;
  job.name = "pi";
  job.completions = 4;
  job.parallelism = 2;
  job.retries = 3;
  job.replica.image = "perl";
  job.replica.entrypoint = {{"perl", "-e"}};
  job.replica.arguments = {"print 1"};
  job.replica.cpu_millis = 1500;
  job.replica.memory = mebibytes(64);
  job.replica.env = {{"A", "b=c"}};
  job.replica.mounts = {{"/data", "/d", true}};
  const auto words = batch_words(job);
  ASSERT_TRUE(words) << words.error().message();
  EXPECT_THAT(words->options,
              ElementsAre("--job-name=pi", "--image=perl", "--export=NONE", "--array=0-3%2",
                          "--retries=3:10s", "--cpus-per-task=2", "--mem=65536K", "--env=A=b=c",
                          "--bind=/data:/d:ro", "--entrypoint=perl"));
  EXPECT_THAT(words->command, ElementsAre("-e", "print 1"));
  // They are options that there are.
  const auto parsed = parse_options(job_option_names(), words->options, Operands::Anywhere);
  EXPECT_TRUE(parsed) << parsed.error().message();
}

TEST(BatchJob, ProbesAndPathsThatCannotBeMountedAreRefused) {
  BatchTemplate job;
  job.name = "a";
  job.replica.readiness = Probe{};
  EXPECT_THAT(batch_words(job).error().message(), HasSubstr("Job a: a job that runs to its end"));
  job.replica.readiness.reset();
  job.replica.mounts = {{"/a:b", "/c", false}};
  EXPECT_THAT(batch_words(job).error().message(), HasSubstr("/a:b"));
}

TEST(ServiceBuild, AnImageIsBuiltUnderItsNameOrTheServices) {
  ServiceSpec spec;
  spec.name = "web";
  spec.replica.build = ReplicaTemplate::Build{"/d/web", "Dockerfile", "builder", {{"A", "1"}}};
  EXPECT_THAT(build_words(spec),
              ElementsAre("build", "-q", "-t", "web", "-f", "/d/web/Dockerfile", "--target",
                          "builder", "--build-arg", "A=1", "/d/web"));
  spec.replica.image = "shop/web:2";
  EXPECT_EQ(build_words(spec)[3], "shop/web:2");
}

TEST(ServiceText, EachThingOfAFileIsALine) {
  ServiceFile file;
  ServiceSpec spec;
  spec.name = "web";
  spec.replicas = 3;
  spec.replica.image = "web:1";
  spec.replica.ports = {{"", 8080, "TCP"}};
  file.services = {spec};
  file.endpoints = {{"web", {}, {}, Endpoint::Reach::LoadBalancer, {{"", 80, "8080", 0}}}};
  file.ingress = {{"a.org", "/x", true, "web", "80", "cert"}};
  EXPECT_EQ(describe(file),
            "service web: 3 replicas of web:1, port 8080\n"
            "endpoint web: port 80 to 8080, from outside\n"
            "ingress a.org/x alone to web port 80, TLS by cert\n");
}

}  // namespace
}  // namespace gangway::submit
