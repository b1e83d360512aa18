#include "containers/build/dockerfile_plan.hpp"

#include <algorithm>
#include <set>

#include "queues/base/text.hpp"

namespace gangway::containers::build {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

Error at(const Dockerfile& file, int line, const Error& error) {
  return error.with_context(cat(file.name, ":", line));
}

void add_needed(const Dockerfile& file,
                const StagePlan& plan,
                std::size_t stage,
                std::set<std::size_t>& needed) {
  if (!needed.insert(stage).second) return;
  if (plan.bases[stage].kind == StageBase::Kind::Stage) {
    add_needed(file, plan, plan.bases[stage].stage, needed);
  }
  const auto add_from = [&](const std::string& from) {
    if (from.empty()) return;
    const std::size_t other = find_stage(file, from, stage);
    if (other != std::string::npos) add_needed(file, plan, other, needed);
  };
  for (const Instruction& instruction : file.stages[stage].instructions) {
    if (const auto* copy = std::get_if<Copy>(&instruction.action)) add_from(copy->from);
    if (const auto* run = std::get_if<Run>(&instruction.action)) {
      for (const RunMount& mount : run->mounts) add_from(mount.from);
    }
  }
}

}  // namespace

std::size_t find_stage(const Dockerfile& file, std::string_view name, std::size_t before) {
  const std::string wanted = lower(name);
  const std::size_t end = std::min(before, file.stages.size());
  for (std::size_t i = 0; i < end; ++i) {
    if (!wanted.empty() && file.stages[i].name == wanted) return i;
  }
  const auto number = parse_integer<std::size_t>(name);
  return number && *number < end ? *number : std::string::npos;
}

bool is_proxy_variable(std::string_view name) {
  static const std::set<std::string, std::less<>> kNames = {"http_proxy", "https_proxy",
                                                            "ftp_proxy", "no_proxy", "all_proxy"};
  return kNames.contains(lower(name));
}

Result<StagePlan> plan_stages(const Dockerfile& file,
                              const std::string& target,
                              const Variables& build_args,
                              const Variables& platform) {
  StagePlan plan;
  plan.globals = platform;
  std::set<std::string, std::less<>> known;
  for (const Instruction& instruction : file.global_args) {
    for (const auto& [name, value] : std::get<Arg>(instruction.action).values) {
      known.insert(name);
      if (const auto given = build_args.find(name); given != build_args.end()) {
        plan.globals[name] = given->second;
      } else if (value) {
        const Result<std::string> expanded = expand_word(*value, plan.globals, file.escape);
        if (!expanded) return at(file, instruction.line, expanded.error());
        plan.globals[name] = *expanded;
      }
    }
  }
  for (std::size_t i = 0; i < file.stages.size(); ++i) {
    const Stage& stage = file.stages[i];
    const Result<std::string> base = expand_word(stage.base, plan.globals, file.escape);
    if (!base) return at(file, stage.line, base.error());
    if (base->empty()) {
      return at(file, stage.line,
                Error(ErrorKind::Invalid, cat("FROM ", stage.base, ": no image is left of it")));
    }
    StageBase found;
    // Stages are found by name here, not by number.
    const std::size_t other = find_stage(file, *base, i);
    if (other != std::string::npos && !parse_integer<std::size_t>(*base)) {
      found = {StageBase::Kind::Stage, other, ""};
    } else if (*base != "scratch") {
      found = {StageBase::Kind::Image, 0, *base};
    }
    plan.bases.push_back(std::move(found));
    for (const Instruction& instruction : stage.instructions) {
      const auto* arg = std::get_if<Arg>(&instruction.action);
      if (arg == nullptr) continue;
      for (const auto& [name, unused] : arg->values) known.insert(name);
    }
  }
  for (const auto& [name, unused] : build_args) {
    if (!known.contains(name) && !is_proxy_variable(name)) plan.unknown_args.push_back(name);
  }
  std::size_t last = file.stages.size() - 1;
  if (!target.empty()) {
    last = find_stage(file, target, file.stages.size());
    if (last == std::string::npos) {
      std::vector<std::string> names;
      for (const Stage& stage : file.stages) {
        if (!stage.name.empty()) names.push_back(stage.name);
      }
      return Error(ErrorKind::NotFound,
                   cat(file.name, ": has no stage ", target,
                       names.empty() ? "" : cat(" (it has ", join(names, ", "), ")")));
    }
  }
  std::set<std::size_t> needed;
  add_needed(file, plan, last, needed);
  // A stage only needs earlier ones, so this is an order; the target is the latest of them.
  plan.needed.assign(needed.begin(), needed.end());
  return plan;
}

}  // namespace gangway::containers::build
