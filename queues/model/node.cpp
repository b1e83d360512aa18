#include "queues/model/node.hpp"

namespace gangway {

std::string_view to_string(Contact contact) {
  switch (contact) {
    case Contact::Unknown:
      return "unknown";
    case Contact::Reached:
      return "reached";
    case Contact::Suspect:
      return "suspect";
    case Contact::Lost:
      return "lost";
  }
  return "unknown";
}

}  // namespace gangway
