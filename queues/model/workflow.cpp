#include "queues/model/workflow.hpp"

namespace gangway {

std::string_view to_string(NeedOutcome outcome) {
  switch (outcome) {
    case NeedOutcome::Success:
      return "success";
    case NeedOutcome::Failure:
      return "failure";
    case NeedOutcome::Any:
      return "any";
    case NeedOutcome::Each:
      return "each";
  }
  return "any";
}

}  // namespace gangway
