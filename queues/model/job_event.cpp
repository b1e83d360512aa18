#include "queues/model/job_event.hpp"

#include "queues/base/overloaded.hpp"

namespace gangway {

std::string_view event_name(const JobEvent& event) {
  using std::string_view;
  return std::visit(
      overloaded{
          [](const job_event::Submitted&) -> string_view { return "Submitted"; },
          [](const job_event::Eligible&) -> string_view { return "Eligible"; },
          [](const job_event::ReasonChanged&) -> string_view { return "ReasonChanged"; },
          [](const job_event::Held&) -> string_view { return "Held"; },
          [](const job_event::Released&) -> string_view { return "Released"; },
          [](const job_event::Allocated&) -> string_view { return "Allocated"; },
          [](const job_event::Launched&) -> string_view { return "Launched"; },
          [](const job_event::Suspended&) -> string_view { return "Suspended"; },
          [](const job_event::Resumed&) -> string_view { return "Resumed"; },
          [](const job_event::Ended&) -> string_view { return "Ended"; },
          [](const job_event::Cleaned&) -> string_view { return "Cleaned"; },
          [](const job_event::CancelledWaiting&) -> string_view { return "CancelledWaiting"; },
          [](const job_event::Split&) -> string_view { return "Split"; },
          [](const job_event::Dropped&) -> string_view { return "Dropped"; },
          [](const job_event::ArrayEnded&) -> string_view { return "ArrayEnded"; },
          [](const job_event::Altered&) -> string_view { return "Altered"; },
      },
      event);
}

std::string_view event_name(const AccountEvent& event) {
  using std::string_view;
  return std::visit(overloaded{
                        [](const account_event::Set&) -> string_view { return "Set"; },
                        [](const account_event::Removed&) -> string_view { return "Removed"; },
                        [](const account_event::Charged&) -> string_view { return "Charged"; },
                    },
                    event);
}

std::string_view event_name(const ServiceEvent& event) {
  using std::string_view;
  return std::visit(
      overloaded{
          [](const service_event::Applied&) -> string_view { return "Applied"; },
          [](const service_event::EndpointsSet&) -> string_view { return "EndpointsSet"; },
          [](const service_event::Scaled&) -> string_view { return "Scaled"; },
          [](const service_event::Wanted&) -> string_view { return "Wanted"; },
          [](const service_event::Started&) -> string_view { return "Started"; },
          [](const service_event::Phased&) -> string_view { return "Phased"; },
          [](const service_event::Forgotten&) -> string_view { return "Forgotten"; },
          [](const service_event::Progressed&) -> string_view { return "Progressed"; },
          [](const service_event::Deleted&) -> string_view { return "Deleted"; },
          [](const service_event::Removed&) -> string_view { return "Removed"; },
      },
      event);
}

}  // namespace gangway
