#include "submit/monitor/screen.hpp"

#include <algorithm>

#include "queues/base/text.hpp"

namespace gangway::monitor {

namespace {

using Code = Key::Code;

bool is_letter(Key key, std::string_view letters) {
  return key.code == Code::Letter && key.letter != 0 &&
         letters.find(key.letter) != std::string_view::npos;
}
bool is_function(Key key, int number) {
  return key.code == Code::Function && key.function == number;
}
bool is_back(Key key) { return key.code == Code::Escape || is_letter(key, "q"); }

// Where a step among `count` things leads.
std::optional<std::size_t> moved(Key key, std::size_t at, std::size_t count, std::size_t page) {
  if (count == 0) return std::nullopt;
  const std::size_t last = count - 1;
  switch (key.code) {
    case Code::Up:
      return at == 0 ? 0 : at - 1;
    case Code::Down:
      return std::min(at + 1, last);
    case Code::PageUp:
      return at > page ? at - page : 0;
    case Code::PageDown:
      return std::min(at + page, last);
    case Code::Home:
      return 0;
    case Code::End:
      return last;
    default:
      return std::nullopt;
  }
}

}  // namespace

std::size_t Screen::body_rows() const {
  // Three lines of summary and one of headings; at the bottom the message or prompt, and the keys.
  constexpr int kOther = 6;
  return static_cast<std::size_t>(std::max(size_.rows - kOther, 1));
}

void Screen::forget_all() {
  picture_.clear();
  make_stale();
}

void Screen::on_size(Size size) {
  size_ = size;
  make_stale();
}

void Screen::on_time(Time now, BootTime boot) {
  now_ = now;
  boot_ = boot;
  make_stale();
}

void Screen::say(std::string message, bool is_bad) {
  message_ = std::move(message);
  message_is_bad_ = is_bad;
}

void Screen::on_explained(JobKey job, std::vector<std::string> lines) {
  if (shown_job_ == job) explained_ = std::move(lines);
}

void Screen::on_output(JobKey job, std::string_view bytes) {
  if (shown_job_ != job || view_ != View::Output) return;
  output_.add(bytes);
}

void Screen::on_output_state(JobKey job, std::string state) {
  if (shown_job_ == job) output_state_ = std::move(state);
}

// ---- lines -------------------------------------------------------------------------------------

// They point into the picture, which may have changed.
void Screen::make_stale() {
  lines_.clear();
  stale_ = true;
}

void Screen::settle() {
  if (stale_) refresh_lines();
}

void Screen::refresh_lines() {
  stale_ = false;
  lines_ = lines_of(picture_, choices_, now_);
  std::erase_if(tagged_, [&](JobKey key) { return picture_.find(key) == nullptr; });
  const auto is_selected = [&](const QueueLine& line) {
    return line.job != nullptr ? selected_key_ == line.job->row.key
                               : selected_workflow_ != 0 && line.workflow == selected_workflow_;
  };
  const auto found = std::find_if(lines_.begin(), lines_.end(), is_selected);
  // What has gone leaves its place to the next.
  move_to(found != lines_.end() ? static_cast<std::size_t>(found - lines_.begin()) : selected_);
  selected_node_ = std::min(selected_node_, std::max<std::size_t>(picture_.nodes().size(), 1) - 1);
}

void Screen::move_to(std::size_t line) {
  selected_ = lines_.empty() ? 0 : std::min(line, lines_.size() - 1);
  selected_key_.reset();
  selected_workflow_ = 0;
  if (const QueueLine* const now = selected_line()) {
    if (now->job != nullptr) {
      selected_key_ = now->job->row.key;
    } else {
      selected_workflow_ = now->workflow;
    }
  }
  const std::size_t rows = body_rows();
  if (selected_ < top_) top_ = selected_;
  if (selected_ >= top_ + rows) top_ = selected_ + 1 - rows;
  top_ = std::min(top_, lines_.size() > rows ? lines_.size() - rows : 0);
}

const QueueLine* Screen::selected_line() const {
  return selected_ < lines_.size() ? &lines_[selected_] : nullptr;
}

Wishes Screen::want_trees() {
  std::vector<std::uint64_t> ids = picture_.unknown_workflows();
  constexpr std::size_t kMostAtOnce = 100;
  if (ids.size() > kMostAtOnce) ids.resize(kMostAtOnce);
  if (ids.empty()) return {};
  return {AskWorkflows{std::move(ids)}};
}

bool Screen::find_next(bool from_next) {
  if (searched_.empty()) return true;
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    const std::size_t at = (selected_ + i + (from_next ? 1 : 0)) % lines_.size();
    const QueueLine& line = lines_[at];
    const bool hit = line.job != nullptr
                         ? matches(line.job->row, searched_)
                         : contains(to_string(WorkflowId{line.workflow}), searched_);
    if (!hit) continue;
    move_to(at);
    return true;
  }
  return false;
}

Act Screen::targets(Act::What what) const {
  Act act{.what = what, .jobs = {}, .workflows = {}};
  if (view_ != View::Queue) {
    if (shown_job_) act.jobs.push_back(*shown_job_);
    return act;
  }
  act.jobs.assign(tagged_.begin(), tagged_.end());
  if (!act.jobs.empty()) return act;
  if (const QueueLine* const line = selected_line()) {
    if (line->job != nullptr) {
      act.jobs.push_back(line->job->row.key);
    } else {
      act.workflows.push_back(line->workflow);
    }
  }
  return act;
}

void Screen::ask_confirmation(Act act) {
  if (act.jobs.empty() && act.workflows.empty()) return say("no job is selected");
  std::string what;
  if (!act.workflows.empty()) {
    what = cat("all of workflow ", to_string(WorkflowId{act.workflows.front()}));
  } else if (act.jobs.size() == 1) {
    const WatchedJob* const job = picture_.find(act.jobs.front());
    const std::string id =
        job == nullptr ? to_string(act.jobs.front()) : submit::id_of(job->row, 20);
    what = cat("job ", id, job == nullptr ? std::string() : cat(" (", job->row.name, ")"));
  } else {
    what = cat("the ", act.jobs.size(), " tagged jobs");
  }
  prompt_ = Prompt{.what = Prompt::What::Confirm,
                   .text = cat("cancel ", what, "? y: yes, n: no"),
                   .act = std::move(act)};
}

// ---- keys --------------------------------------------------------------------------------------

Wishes Screen::on_key(Key key) {
  settle();
  message_.clear();
  message_is_bad_ = false;
  if (prompt_) return on_prompt_key(key);
  if (is_function(key, 10)) return {Quit{}};
  if (key.code == Code::Letter && key.letter == ('L' & 0x1f)) return {Redraw{}};
  if (view_ != View::Help && (is_function(key, 1) || is_letter(key, "?h"))) {
    before_help_ = view_;
    return open(View::Help);
  }
  switch (view_) {
    case View::Queue:
      return on_queue_key(key);
    case View::Nodes:
      return on_nodes_key(key);
    case View::Details:
    case View::Output:
    case View::Help:
      return on_text_key(key);
  }
  return {};
}

Wishes Screen::open(View view) {
  Wishes wishes;
  if (view_ == View::Output && view != View::Help) wishes.emplace_back(CloseOutput{});
  view_ = view;
  scroll_ = 0;
  return wishes;
}

Wishes Screen::on_job_key(Key key) {
  if (is_function(key, 9) || is_letter(key, "k")) {
    ask_confirmation(targets(Act::What::Cancel));
    return {};
  }
  const bool hold = is_function(key, 7) || is_letter(key, "H");
  if (hold || is_function(key, 8) || is_letter(key, "R")) {
    Act act = targets(hold ? Act::What::Hold : Act::What::Release);
    if (act.jobs.empty() && act.workflows.empty()) return {};
    return {std::move(act)};
  }
  const QueueLine* const line = selected_line();
  std::optional<JobKey> job = shown_job_;
  if (view_ == View::Queue) {
    job =
        line != nullptr && line->job != nullptr ? std::optional(line->job->row.key) : std::nullopt;
  }
  const bool errors = is_letter(key, "e") && view_ != View::Queue;
  if (is_letter(key, "ol") || errors) {
    if (!job) {
      say("no job is selected");
      return {};
    }
    Wishes wishes = open(View::Output);
    shown_job_ = job;
    output_ = OutputText();
    output_state_.clear();
    of_errors_ = errors;
    follows_output_ = true;
    wishes.emplace_back(OpenOutput{*job, errors});
    return wishes;
  }
  if (key.code == Code::Enter || is_letter(key, "wi")) {
    if (!job) return {};
    Wishes wishes = open(View::Details);
    shown_job_ = job;
    explained_.clear();
    wishes.emplace_back(Explain{*job});
    return wishes;
  }
  return {};
}

Wishes Screen::on_queue_key(Key key) {
  if (is_letter(key, "q")) return {Quit{}};
  if (const auto to = moved(key, selected_, lines_.size(), body_rows())) {
    move_to(*to);
    return {};
  }
  const auto sort_by = [&](SortBy by) {
    choices_.by = by;
    refresh_lines();
    return Wishes{};
  };
  if (is_function(key, 2) || key.code == Code::Tab || is_letter(key, "n")) return open(View::Nodes);
  if (is_function(key, 3) || is_letter(key, "/")) {
    prompt_ = Prompt{.what = Prompt::What::Search};
    return {};
  }
  if (is_function(key, 4) || is_letter(key, "\\f")) {
    prompt_ =
        Prompt{.what = Prompt::What::Filter, .text = choices_.filter, .before = choices_.filter};
    return {};
  }
  if (is_function(key, 5) || is_letter(key, "t")) {
    choices_.tree = !choices_.tree;
    refresh_lines();
    return choices_.tree ? want_trees() : Wishes{};
  }
  if (is_function(key, 6) || is_letter(key, "<>.,")) {
    prompt_ = Prompt{.what = Prompt::What::Sort};
    for (const SortBy by : kSortBys) {
      if (by == choices_.by) prompt_->chosen = prompt_->choices.size();
      prompt_->choices.emplace_back(name_of(by));
    }
    return {};
  }
  if (is_letter(key, "u")) {
    std::set<std::string> users;
    for (const auto& [id, job] : picture_.jobs()) users.insert(job.row.user);
    prompt_ = Prompt{.what = Prompt::What::User, .choices = {"all users"}};
    prompt_->choices.insert(prompt_->choices.end(), users.begin(), users.end());
    return {};
  }
  if (is_letter(key, "P")) return sort_by(SortBy::Priority);
  if (is_letter(key, "T")) return sort_by(SortBy::Time);
  if (is_letter(key, "N")) return sort_by(SortBy::Id);
  if (is_letter(key, "S")) return sort_by(SortBy::State);
  if (is_letter(key, "I")) {
    choices_.reversed = !choices_.reversed;
    refresh_lines();
    return {};
  }
  if (is_letter(key, "e")) {
    choices_.ended = !choices_.ended;
    refresh_lines();
    return {};
  }
  if (is_letter(key, " ")) {
    if (selected_key_ && !tagged_.erase(*selected_key_)) tagged_.insert(*selected_key_);
    move_to(selected_ + 1);
    return {};
  }
  if (is_letter(key, "U")) {
    tagged_.clear();
    return {};
  }
  if (is_letter(key, "r")) return {AskAll{}};
  if (key.code == Code::Escape) {  // one after the other, the last narrowing first
    if (!choices_.filter.empty()) {
      choices_.filter.clear();
    } else {
      choices_.user.clear();
    }
    refresh_lines();
    return {};
  }
  return on_job_key(key);
}

Wishes Screen::on_nodes_key(Key key) {
  const bool back = is_back(key) || key.code == Code::Tab || is_function(key, 2);
  if (back || is_letter(key, "n")) return open(View::Queue);
  if (is_letter(key, "m")) {
    node_grid_ = !node_grid_;
    return {};
  }
  const std::size_t count = picture_.nodes().size();
  if (count == 0) return {};
  const bool grid = shows_grid(*this);
  const std::size_t across = grid ? static_cast<std::size_t>(grid_of(picture_, size_).columns) : 1;
  const std::size_t last = count - 1;
  std::size_t& at = selected_node_;
  switch (key.code) {
    case Code::Left:
      at = at == 0 ? 0 : at - 1;
      break;
    case Code::Right:
      at = std::min(at + 1, last);
      break;
    case Code::Up:
      at = at >= across ? at - across : at;
      break;
    case Code::Down:
      at = at + across <= last ? at + across : at;
      break;
    case Code::Enter:
      // The jobs that run there.
      choices_.filter = std::next(picture_.nodes().begin(), static_cast<std::ptrdiff_t>(at))->first;
      refresh_lines();
      return open(View::Queue);
    default:
      if (const auto to = moved(key, at, count, across * body_rows())) at = *to;
      break;
  }
  return {};
}

Wishes Screen::on_text_key(Key key) {
  if (view_ == View::Help) {
    if (is_back(key) || is_function(key, 1) || is_letter(key, "?h") || key.code == Code::Enter) {
      view_ = before_help_;
      scroll_ = 0;
      return {};
    }
  } else if (is_back(key)) {
    return open(View::Queue);
  }
  const std::size_t rows = body_rows();
  const std::size_t lines = text_lines(*this);
  const std::size_t last_top = lines > rows ? lines - rows : 0;
  if (view_ == View::Output && follows_output_) scroll_ = last_top;
  if (const auto to = moved(key, std::min(scroll_, last_top), last_top + 1, rows)) {
    scroll_ = *to;
    follows_output_ = scroll_ == last_top;
    return {};
  }
  if (view_ == View::Help) return {};
  if (view_ == View::Output && is_letter(key, "F")) {
    follows_output_ = !follows_output_;
    return {};
  }
  return on_job_key(key);
}

Wishes Screen::on_prompt_key(Key key) {
  switch (prompt_->what) {
    case Prompt::What::Confirm: {
      const bool yes = is_letter(key, "yY");
      const Act act = std::move(prompt_->act);
      prompt_.reset();
      if (!yes) {
        say("nothing was cancelled");
        return {};
      }
      tagged_.clear();
      return {act};
    }
    case Prompt::What::Sort:
    case Prompt::What::User:
      return on_list_prompt_key(key);
    case Prompt::What::Search:
    case Prompt::What::Filter:
      return on_text_prompt_key(key);
  }
  return {};
}

Wishes Screen::on_list_prompt_key(Key key) {
  Key step = key;
  if (key.code == Code::Left) step.code = Code::Up;
  if (key.code == Code::Right) step.code = Code::Down;
  if (const auto to = moved(step, prompt_->chosen, prompt_->choices.size(), 5)) {
    prompt_->chosen = *to;
    return {};
  }
  if (is_back(key)) {
    prompt_.reset();
    return {};
  }
  if (key.code != Code::Enter) return {};
  if (prompt_->what == Prompt::What::Sort) {
    choices_.by = kSortBys[prompt_->chosen];
  } else {
    choices_.user = prompt_->chosen == 0 ? std::string() : prompt_->choices[prompt_->chosen];
  }
  prompt_.reset();
  refresh_lines();
  return {};
}

Wishes Screen::on_text_prompt_key(Key key) {
  const bool filters = prompt_->what == Prompt::What::Filter;
  std::string& text = prompt_->text;
  bool changed = false;
  if (key.code == Code::Letter && key.letter >= ' ' && key.letter < 0x7f && text.size() < 60) {
    text.push_back(key.letter);
    changed = true;
  } else if (key.code == Code::Backspace) {
    if (!text.empty()) text.pop_back();
    changed = true;
  } else if (!filters && (is_function(key, 3) || key.code == Code::Down)) {
    if (!find_next(true)) say(cat("nothing matches ", text), true);
  } else if (key.code == Code::Enter || key.code == Code::Escape) {
    if (filters && key.code == Code::Escape) {
      choices_.filter = prompt_->before;
      refresh_lines();
    }
    prompt_.reset();
    return {};
  }
  if (!changed) return {};
  if (filters) {
    choices_.filter = text;
    refresh_lines();
  } else {
    searched_ = text;
    if (!find_next(false)) say(cat("nothing matches ", text), true);
  }
  return {};
}

}  // namespace gangway::monitor
