#include "submit/workflow_submission.hpp"

#include <map>

#include "queues/base/check.hpp"
#include "queues/base/text.hpp"
#include "queues/wire/convert.hpp"

namespace gangway::submit {

namespace {

// Gives each value the number (from 1) of the first job that has it.
class FirstUses {
 public:
  // 0 if `value` is new here, and then remembered as job `number`'s.
  std::uint32_t find_or_add(std::string value, std::uint32_t number) {
    const auto [entry, added] = first_.try_emplace(std::move(value), number);
    return added ? 0 : entry->second;
  }

 private:
  std::map<std::string, std::uint32_t, std::less<>> first_;
};

std::string joined(const std::vector<std::string>& env) {
  std::string text;
  for (const std::string& entry : env) text.append(entry).push_back('\0');
  return text;
}

wire::Submit& begin_part(std::vector<wire::Request>& parts,
                         const std::string& key,
                         bool test_only) {
  wire::Submit& part = *parts.emplace_back().mutable_submit();
  part.set_key(key);
  part.set_test_only(test_only);
  return part;
}

}  // namespace

std::vector<wire::Request> make_parts(const WorkflowFile& file,
                                      const std::string& key,
                                      bool test_only) {
  CHECK(file.errors.empty());
  std::vector<wire::Request> parts;
  wire::Submit* part = &begin_part(parts, key, test_only);
  part->mutable_workflow()->set_name(file.name);
  wire::limits_to_wire(file.limits, part->mutable_workflow()->mutable_limits());
  FirstUses environments;
  FirstUses scripts;
  std::size_t bytes = 0;
  std::uint32_t number = 0;
  for (const WorkflowJob& job : file.jobs) {
    ++number;
    wire::NewJob message;
    wire::to_wire(job.spec, message.mutable_spec());
    message.set_env_of(environments.find_or_add(joined(job.spec.env), number));
    if (message.env_of() != 0) message.mutable_spec()->clear_env();
    if (!job.spec.script.empty()) {
      message.set_script_of(scripts.find_or_add(job.spec.script, number));
      if (message.script_of() != 0) message.mutable_spec()->clear_script();
    }
    message.set_member(job.name);
    message.set_category(job.category);
    message.set_is_final(job.is_final);
    for (const Need& need : job.needs) {
      wire::Need& n = *message.add_needs();
      n.set_member(need.member);
      n.set_outcome(static_cast<std::uint32_t>(need.outcome));
    }
    message.set_line(static_cast<std::uint32_t>(job.line));
    const std::size_t size = message.ByteSizeLong();
    const bool full = static_cast<std::size_t>(part->jobs_size()) >= kMaxJobsPerPart ||
                      bytes + size > kMaxBytesPerPart;
    if (full && part->jobs_size() > 0) {
      part->set_more(true);
      part = &begin_part(parts, key, test_only);
      bytes = 0;
    }
    bytes += size;
    *part->add_jobs() = std::move(message);
  }
  return parts;
}

}  // namespace gangway::submit
