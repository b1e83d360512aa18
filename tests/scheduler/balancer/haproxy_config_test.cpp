// The text of HAProxy's configuration. That HAProxy takes it is balancer_haproxy_test's matter.
#include "scheduler/balancer/haproxy_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gangway::balancer {
namespace {

using testing::HasSubstr;

TEST(HaproxyConfig, AListenerLeadsToItsPoolAndADrainedServerHasNoWeight) {
  Table table;
  table.listeners[{"0.0.0.0", 80}] = {.http = false, .pool = "tcp.7.web.80"};
  table.pools["tcp.7.web.80"].servers = {{"r3_a_1", {"10.0.0.2", 8080, false}},
                                         {"r4_b_1", {"::1", 8080, true}}};
  const std::string text = render_haproxy(table, {.user = "haproxy"});
  EXPECT_THAT(text, HasSubstr("  user haproxy\n  group haproxy\n"));
  EXPECT_THAT(text, HasSubstr("\nfrontend 0.0.0.0_80\n  mode tcp\n  bind 0.0.0.0:80\n"
                              "  default_backend tcp.7.web.80\n"));
  EXPECT_THAT(text,
              HasSubstr("\nbackend tcp.7.web.80\n  mode tcp\n"
                        "  server r3_a_1 10.0.0.2:8080 check inter 2s fall 2 rise 1\n"
                        "  server r4_b_1 [::1]:8080 check inter 2s fall 2 rise 1 weight 0\n"));
}

TEST(HaproxyConfig, RulesAreByHostAndByWholeComponentsOfThePath) {
  Table table;
  table.listeners[{"10.0.0.1", 443}] = {.http = true,
                                        .pool = "",
                                        .rules = {{"a.org", "/api", true, "p1"},
                                                  {"a.org", "/api/", false, "p2"},
                                                  {"*.a.org", "/", false, "p3"},
                                                  {"", "/", false, "p4"}},
                                        .certificates = {"/c/x.pem"}};
  const std::string text = render_haproxy(table, {});
  const std::string host = "{ req.hdr(host),field(1,:),lower -m str -- a.org }";
  EXPECT_THAT(text, HasSubstr("  bind 10.0.0.1:443 ssl alpn h2,http/1.1 crt /c/x.pem\n"));
  EXPECT_THAT(text, HasSubstr("  use_backend p1 if " + host +
                              " { path -m str -- /api }\n"
                              "  use_backend p2 if " +
                              host +
                              " { path -m str -- /api }\n"
                              "  use_backend p2 if " +
                              host +
                              " { path -m beg -- /api/ }\n"
                              "  use_backend p3 if { req.hdr(host),field(1,:),lower -m reg "
                              "-- ^[^.]+\\.a\\.org$ }\n"
                              "  use_backend p4\n"));
}

}  // namespace
}  // namespace gangway::balancer
