// What users are written about their jobs, in the words of Slurm's mails.
#include "queues/base/text.hpp"
#include "scheduler/controller_impl.hpp"

namespace gangway::scheduler {

void Controller::Impl::mail(const Job& job, MailAbout about) {
  const MailSpec& wish = job.spec->mail;
  if (!wish.any()) return;
  // Of an array either the whole is told of or each element.
  if (job.is_element() && !wish.per_element) {
    const Job& array = state.get_job({job.key.job});
    const auto running = running_elements.find(job.key.job);
    const bool is_first =
        array.array->ended() == 0 && running != running_elements.end() && running->second == 1;
    if (about == MailAbout::Begin && is_first) mail(array, about);
    return;
  }
  if (job.array && wish.per_element) return;
  std::string what;
  switch (about) {
    case MailAbout::Begin:
      if (!wish.begin) return;
      what = cat("Began, Queued time ", render_duration(now.wall - job.submitted));
      break;
    case MailAbout::End: {
      const Outcome& outcome = *job.outcome();
      if (!wish.end && (outcome.is_success() || !wish.fail)) return;
      const Duration ran = job.started && job.ended ? *job.ended - *job.started : Duration{};
      what = cat(outcome.is_success() ? "Ended" : "Failed", ", Run time ", render_duration(ran),
                 ", ", to_string(outcome.kind), ", ExitCode ", outcome.exit_code);
      break;
    }
    case MailAbout::Requeue:
      if (!wish.requeue) return;
      what = "Requeued";
      break;
    case MailAbout::InvalidDependency:
      if (!wish.invalid_depend) return;
      what = "Dependency can never be satisfied";
      break;
  }
  const std::string subject =
      cat("Gangway Job_id=", to_string(job.key), " Name=", job.spec->name, " ", what);
  std::string body = cat(subject, "\n");
  if (job.outcome() != nullptr && !job.outcome()->detail.empty()) {
    body += cat(job.outcome()->detail, "\n");
  }
  turn.effects.emplace_back(
      effect::SendMail{wish.user.empty() ? job.owner.user : wish.user, subject, std::move(body)});
}

}  // namespace gangway::scheduler
