#include "submit/job_values.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <ctime>

#include "queues/base/text.hpp"

namespace gangway::submit {

namespace {

Error invalid(std::string message) { return Error(ErrorKind::Invalid, std::move(message)); }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::optional<Time> local_time(std::tm broken_down) {
  broken_down.tm_isdst = -1;
  const std::time_t at = std::mktime(&broken_down);
  if (at == static_cast<std::time_t>(-1)) return std::nullopt;
  return Time{static_cast<std::int64_t>(at) * 1'000'000'000};
}

// "16:30", "16:30:05" into `out`.
bool parse_clock(std::string_view text, std::tm& out) {
  const std::vector<std::string_view> parts = split(text, ':');
  if (parts.size() < 2 || parts.size() > 3) return false;
  const auto hour = parse_count(parts[0], 0, 23);
  const auto minute = parse_count(parts[1], 0, 59);
  const auto second = parts.size() == 3 ? parse_count(parts[2], 0, 59) : 0;
  if (!hour || !minute || !second) return false;
  out.tm_hour = static_cast<int>(*hour);
  out.tm_min = static_cast<int>(*minute);
  out.tm_sec = static_cast<int>(*second);
  return true;
}

// Requires: a month from 1 to 12.
std::int64_t days_in(std::int64_t year, std::int64_t month) {
  constexpr std::int64_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && is_leap ? 29 : kDays[month - 1];
}

// "2026-11-24" into `out`.
bool parse_date(std::string_view text, std::tm& out) {
  const std::vector<std::string_view> parts = split(text, '-');
  if (parts.size() != 3) return false;
  const auto year = parse_count(parts[0], 1970, 9999);
  const auto month = parse_count(parts[1], 1, 12);
  if (!year || !month) return false;
  const auto day = parse_count(parts[2], 1, days_in(*year, *month));
  if (!day) return false;
  out.tm_year = static_cast<int>(*year) - 1900;
  out.tm_mon = static_cast<int>(*month) - 1;
  out.tm_mday = static_cast<int>(*day);
  return true;
}

// The "90", "2hours" after "now+".
std::optional<Duration> parse_delay(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto count = parse_count(text.substr(0, digits), 0, 1'000'000'000);
  if (!count) return std::nullopt;
  const std::string unit = lower(text.substr(digits));
  struct Unit {
    std::string_view name;
    std::int64_t seconds;
  };
  constexpr Unit kUnits[] = {
      {"seconds", 1}, {"minutes", 60}, {"hours", 3600}, {"days", 86400}, {"weeks", 604800}};
  if (unit.empty()) return seconds(*count);
  for (const Unit& u : kUnits) {
    if (u.name.starts_with(unit)) return seconds(*count * u.seconds);
  }
  return std::nullopt;
}

struct SignalName {
  std::string_view name;
  int number;
};
constexpr SignalName kSignals[] = {
    {"HUP", SIGHUP},   {"INT", SIGINT},       {"QUIT", SIGQUIT}, {"ABRT", SIGABRT},
    {"KILL", SIGKILL}, {"USR1", SIGUSR1},     {"USR2", SIGUSR2}, {"PIPE", SIGPIPE},
    {"ALRM", SIGALRM}, {"TERM", SIGTERM},     {"CHLD", SIGCHLD}, {"CONT", SIGCONT},
    {"STOP", SIGSTOP}, {"TSTP", SIGTSTP},     {"TTIN", SIGTTIN}, {"TTOU", SIGTTOU},
    {"URG", SIGURG},   {"XCPU", SIGXCPU},     {"XFSZ", SIGXFSZ}, {"WINCH", SIGWINCH},
    {"IO", SIGIO},     {"PWR", SIGPWR},       {"SYS", SIGSYS},   {"SEGV", SIGSEGV},
    {"BUS", SIGBUS},   {"FPE", SIGFPE},       {"ILL", SIGILL},   {"TRAP", SIGTRAP},
    {"PROF", SIGPROF}, {"VTALRM", SIGVTALRM},
};

}  // namespace

std::optional<std::int64_t> parse_count(std::string_view text,
                                        std::int64_t low,
                                        std::int64_t high) {
  std::int64_t factor = 1;
  if (text.size() > 1) {
    const char last = text.back();
    constexpr std::string_view kUnits = "kKmMgGtTpP";
    if (const std::size_t unit = kUnits.find(last); unit != kUnits.npos) {
      factor = std::int64_t{1} << (10 * (unit / 2 + 1));
    }
    if (factor > 1) text.remove_suffix(1);
  }
  const std::optional<std::int64_t> number = parse_integer<std::int64_t>(text);
  std::int64_t count = 0;
  if (!number || __builtin_mul_overflow(*number, factor, &count)) return std::nullopt;
  if (count < low || count > high) return std::nullopt;
  return count;
}

Result<NamedAmounts> parse_named(std::string_view text) {
  NamedAmounts amounts;
  if (lower(text) == "none") return amounts;
  for (std::string_view item : split(text, ',')) {
    // Slurm also knows "gres/gpu:2" and "gres:gpu:2".
    if (item.starts_with("gres/") || item.starts_with("gres:")) item.remove_prefix(5);
    const std::vector<std::string_view> parts = split(item, ':');
    const bool named = !parts.empty() && !parts[0].empty();
    if (!named || parts.size() > 3) {
      return invalid(cat("\"", item,
                         "\" is not a resource; it is written NAME, NAME:COUNT or "
                         "NAME:TYPE:COUNT"));
    }
    std::int64_t count = 1;
    std::string_view type;
    const bool second_is_type =
        parts.size() == 3 || (parts.size() == 2 && parts[1].find_first_not_of("0123456789") == 0);
    if (second_is_type) type = parts[1];
    if (parts.size() == 3 || (parts.size() == 2 && type.empty())) {
      const auto given = parse_count(parts.back(), 0, std::int64_t{1} << 44);
      if (!given) return invalid(cat("\"", parts.back(), "\" in \"", item, "\" is not a count"));
      count = *given;
    }
    if (count < 1) continue;
    amounts.emplace_back(type.empty() ? std::string(parts[0]) : cat(parts[0], ':', type), count);
  }
  return amounts;
}

std::optional<NamedAmounts> parse_gpu_counts(std::string_view text) {
  if (text.empty()) return std::nullopt;
  NamedAmounts counts;
  for (const std::string_view item : split(text, ',')) {
    const std::size_t colon = item.rfind(':');
    const bool typed = colon != std::string_view::npos;
    const auto count = parse_count(typed ? item.substr(colon + 1) : item, 0, 1'000'000);
    if (!count || (typed && colon == 0)) return std::nullopt;
    counts.emplace_back(typed ? cat("gpu:", item.substr(0, colon)) : "gpu", *count);
  }
  return counts;
}

Result<DependencyList> parse_dependencies(std::string_view text) {
  DependencyList list;
  list.any = text.find('?') != std::string_view::npos;
  if (list.any && text.find(',') != std::string_view::npos) {
    return invalid("\",\" (all must hold) and \"?\" (one is enough) exclude each other");
  }
  std::vector<Dependency>& found = list.all;
  for (const std::string_view item : split(text, list.any ? '?' : ',')) {
    const std::vector<std::string_view> parts = split(item, ':');
    const std::string kind = parts.empty() ? std::string() : lower(parts[0]);
    if (kind == "singleton" && parts.size() > 1) {
      return invalid(cat("\"", item,
                         "\": singleton takes no job; it waits for all of the same name "
                         "and user"));
    }
    if (kind == "singleton") {
      found.push_back({.kind = DependencyKind::Singleton, .on = {}, .delay = {}});
      continue;
    }
    constexpr std::array kKinds = {DependencyKind::After, DependencyKind::AfterAny,
                                   DependencyKind::AfterOk, DependencyKind::AfterNotOk,
                                   DependencyKind::AfterCorr};
    const auto match =
        std::ranges::find_if(kKinds, [&](DependencyKind k) { return lower(to_string(k)) == kind; });
    if (match == kKinds.end()) {
      if (kind == "afterburstbuffer" || kind == "expand") {
        return Error(ErrorKind::Unsupported, cat("\"", kind, "\" is not supported"));
      }
      const std::string near =
          nearest(kind, {"after", "afterany", "afterok", "afternotok", "aftercorr", "singleton"});
      return invalid(cat("\"", kind, "\" is not a kind of dependency",
                         near.empty() ? std::string("; there are after, afterany, afterok, "
                                                    "afternotok, aftercorr and singleton")
                                      : cat("; did you mean ", near, "?")));
    }
    if (parts.size() < 2) return invalid(cat("\"", item, "\" names no job; write ", kind, ":42"));
    for (std::size_t i = 1; i < parts.size(); ++i) {
      std::string_view id = parts[i];
      Duration delay{};
      const std::size_t plus = id.find('+');
      if (plus != std::string_view::npos && *match == DependencyKind::After) {
        const auto minutes_after = parse_count(id.substr(plus + 1), 0, 100'000'000);
        if (!minutes_after) return invalid(cat("\"", id, "\" has no minutes after its \"+\""));
        delay = minutes(*minutes_after);
        id = id.substr(0, plus);
      }
      const std::optional<JobKey> key = parse_job_key(id);
      if (!key) {
        return invalid(cat("\"", id, "\" is not a job id; they are numbers such as 42"));
      }
      found.push_back({.kind = *match, .on = key->job, .delay = delay, .index = key->index});
    }
  }
  if (found.empty()) return invalid("it names no job; write for example afterok:42");
  return list;
}

Result<MailSpec> parse_mail_types(std::string_view text, std::vector<std::string>& ignored) {
  MailSpec mail;
  for (const std::string_view word : split(text, ',')) {
    const std::string type = lower(trim(word));
    if (type == "none") {
      mail = {};
    } else if (type == "all") {
      mail.begin = mail.end = mail.fail = mail.requeue = mail.invalid_depend = true;
    } else if (type == "begin") {
      mail.begin = true;
    } else if (type == "end") {
      mail.end = true;
    } else if (type == "fail") {
      mail.fail = true;
    } else if (type == "requeue") {
      mail.requeue = true;
    } else if (type == "invalid_depend") {
      mail.invalid_depend = true;
    } else if (type == "array_tasks") {
      mail.per_element = true;
    } else if (type == "stage_out" || type.starts_with("time_limit")) {
      ignored.emplace_back(word);
    } else {
      const std::string near = nearest(type, {"begin", "end", "fail", "requeue", "all", "none"});
      return invalid(cat("\"", word, "\" is no occasion",
                         near.empty() ? std::string("; there are BEGIN, END, FAIL, REQUEUE, "
                                                    "INVALID_DEPEND, ARRAY_TASKS, ALL and NONE")
                                      : cat("; did you mean ", near, "?")));
    }
  }
  return mail;
}

std::optional<Time> parse_begin(std::string_view text, Time now) {
  if (text.starts_with("now")) {
    const std::string_view rest = text.substr(3);
    if (rest.empty()) return now;
    if (rest[0] != '+') return std::nullopt;
    const std::optional<Duration> delay = parse_delay(rest.substr(1));
    if (!delay) return std::nullopt;
    return now + *delay;
  }
  std::tm today{};
  const std::time_t now_s = now.ns / 1'000'000'000;
  if (::localtime_r(&now_s, &today) == nullptr) return std::nullopt;
  std::tm at = today;
  at.tm_hour = at.tm_min = at.tm_sec = 0;
  bool date_given = false;
  if (text == "today") return now;
  if (text == "tomorrow") {
    ++at.tm_mday;
    date_given = true;
  } else if (text == "midnight") {
    // the next one, below
  } else if (text == "noon") {
    at.tm_hour = 12;
  } else if (const std::size_t t = text.find('T'); text.find('-') != std::string_view::npos) {
    if (!parse_date(text.substr(0, t), at)) return std::nullopt;
    if (t != std::string_view::npos && !parse_clock(text.substr(t + 1), at)) return std::nullopt;
    date_given = true;
  } else if (!parse_clock(text, at)) {
    return std::nullopt;
  }
  std::optional<Time> start = local_time(at);
  if (start && !date_given && *start < now) {
    ++at.tm_mday;
    start = local_time(at);
  }
  return start;
}

std::optional<Time> parse_past(std::string_view text, Time now) {
  if (text.starts_with("now-")) {
    const std::optional<Duration> before = parse_delay(text.substr(4));
    return before ? std::optional(now - *before) : std::nullopt;
  }
  if (text == "now") return now;
  const bool of_day = text == "today" || text == "yesterday" || text == "midnight";
  const std::optional<Time> next = parse_begin(of_day ? "midnight" : text, now);
  if (!next) return std::nullopt;
  if (text == "yesterday") return *next - hours(48);
  const bool is_date = text.find('-') != std::string_view::npos;
  return is_date || *next <= now ? *next : *next - hours(24);
}

Result<std::vector<BindSpec>> parse_binds(std::string_view text) {
  std::vector<BindSpec> binds;
  for (const std::string_view item : split(text, ',')) {
    const std::vector<std::string_view> parts = split(item, ':');
    if (parts.empty() || parts[0].empty() || parts.size() > 3 ||
        (parts.size() == 3 && parts[2] != "ro" && parts[2] != "rw")) {
      return invalid(cat("\"", item,
                         "\" is not a bind; it is written SOURCE, SOURCE:DESTINATION or "
                         "SOURCE:DESTINATION:ro"));
    }
    BindSpec bind;
    bind.source = parts[0];
    bind.destination = parts.size() > 1 ? parts[1] : parts[0];
    bind.read_only = parts.size() == 3 && parts[2] == "ro";
    if (parts.size() > 1 && !bind.destination.starts_with('/')) {
      return invalid(cat("the destination \"", bind.destination, "\" must begin with /"));
    }
    binds.push_back(std::move(bind));
  }
  return binds;
}

std::optional<int> parse_signal(std::string_view text) {
  if (const auto number = parse_integer<int>(text)) {
    return *number > 0 && *number <= 64 ? number : std::nullopt;
  }
  std::string name = lower(text);
  for (char& c : name) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (const SignalName& signal : kSignals) {
    if (signal.name == name) return signal.number;
  }
  return std::nullopt;
}

bool is_signal_request(std::string_view text) {
  if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    for (const char c : text.substr(0, colon)) {
      if (c != 'R' && c != 'B') return false;
    }
    text.remove_prefix(colon + 1);
  }
  const std::size_t at = text.find('@');
  if (at != std::string_view::npos && !parse_count(text.substr(at + 1), 0, 65535)) return false;
  return parse_signal(text.substr(0, at)).has_value();
}

std::optional<Duration> parse_window(std::string_view text) {
  const bool bare = text.find_first_not_of("0123456789") == std::string_view::npos;
  return parse_time_limit(bare && !text.empty() ? cat(text, "s") : std::string(text));
}

std::optional<Duration> parse_job_limit(std::string_view text) {
  const std::string word = lower(text);
  if (word == "unlimited" || word == "infinite" || word == "0") return Duration{};
  return parse_time_limit(text);
}

std::optional<Time> parse_pbs_date(std::string_view text, Time now) {
  std::tm at{};
  const std::time_t now_s = now.ns / 1'000'000'000;
  if (::localtime_r(&now_s, &at) == nullptr) return std::nullopt;
  const std::size_t dot = text.find('.');
  std::string_view digits = text.substr(0, dot);
  const std::string_view seconds_part = dot == text.npos ? "00" : text.substr(dot + 1);
  const auto pair = [](std::string_view two, std::int64_t low, std::int64_t high) {
    const bool right = two.size() == 2 && two.find_first_not_of("0123456789") == two.npos;
    return right ? parse_count(two, low, high) : std::nullopt;
  };
  // From behind: minutes, hours, day, month, year of the century, century.
  std::vector<std::string_view> pairs;
  for (; digits.size() >= 2; digits.remove_suffix(2)) {
    pairs.push_back(digits.substr(digits.size() - 2));
  }
  if (!digits.empty() || pairs.size() < 2 || pairs.size() > 6) return std::nullopt;
  const auto second = pair(seconds_part, 0, 59);
  const auto minute = pair(pairs[0], 0, 59);
  const auto hour = pair(pairs[1], 0, 23);
  if (!second || !minute || !hour) return std::nullopt;
  at.tm_sec = static_cast<int>(*second);
  at.tm_min = static_cast<int>(*minute);
  at.tm_hour = static_cast<int>(*hour);
  std::int64_t year = at.tm_year + 1900;
  if (pairs.size() > 4) {
    const auto of_century = pair(pairs[4], 0, 99);
    const auto century = pairs.size() > 5 ? pair(pairs[5], 19, 99) : year / 100;
    if (!of_century || !century) return std::nullopt;
    year = *century * 100 + *of_century;
  }
  at.tm_year = static_cast<int>(year - 1900);
  if (pairs.size() > 3) {
    const auto month = pair(pairs[3], 1, 12);
    if (!month) return std::nullopt;
    at.tm_mon = static_cast<int>(*month - 1);
  }
  if (pairs.size() > 2) {
    const auto day = pair(pairs[2], 1, 31);
    if (!day) return std::nullopt;
    at.tm_mday = static_cast<int>(*day);
  }
  std::optional<Time> start = local_time(at);
  if (start && *start < now && pairs.size() < 5) {
    ++(pairs.size() == 2 ? at.tm_mday : pairs.size() == 3 ? at.tm_mon : at.tm_year);
    start = local_time(at);
  }
  const bool exists = pairs.size() < 4 || at.tm_mday <= days_in(at.tm_year + 1900, at.tm_mon + 1);
  return exists ? start : std::nullopt;
}

std::optional<bool> parse_yes_no(std::string_view text) {
  const std::string word = lower(text);
  if (word == "yes" || word == "y" || word == "true" || word == "1" || word.empty()) return true;
  if (word == "no" || word == "n" || word == "false" || word == "0") return false;
  return std::nullopt;
}

}  // namespace gangway::submit
