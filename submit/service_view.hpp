// Services as people see them: a table of all, and all of one.
#pragma once

#include <string>
#include <vector>

#include "queues/base/result.hpp"
#include "queues/base/time.hpp"
#include "queues/wire/gangway.pb.h"
#include "submit/client.hpp"
#include "submit/render.hpp"

namespace gangway::submit {

// Without names all that are these users'; without users everybody's. `now`: the scheduler's time.
struct ServiceList {
  std::vector<wire::ServiceView> services;
  Time now;
};
[[nodiscard]] Result<ServiceList> list_services(Client& client,
                                                const std::vector<std::string>& names,
                                                const std::vector<std::string>& users);

[[nodiscard]] std::string render_services(const ServiceList& list, const TableStyle& style);
// A service with its replicas, endpoints and revisions.
[[nodiscard]] std::string render_service(const wire::ServiceView& service, Time now);
[[nodiscard]] std::string render_services_json(const ServiceList& list);

}  // namespace gangway::submit
