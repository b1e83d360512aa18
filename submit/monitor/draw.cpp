#include "submit/monitor/draw.hpp"

#include <algorithm>
#include <initializer_list>

#include "queues/base/text.hpp"
#include "queues/base/units.hpp"

namespace gangway::monitor {

namespace {

using submit::JobRow;
using submit::NodeRow;

constexpr Style kHeading{.ink = Ink::Plain, .bold = false, .reverse = true};
constexpr Style kBold{.ink = Ink::Plain, .bold = true};
constexpr int kFirstBodyRow = 4;

Ink ink_of(submit::Colour colour) {
  switch (colour) {
    case submit::Colour::Good:
      return Ink::Good;
    case submit::Colour::Bad:
      return Ink::Bad;
    case submit::Colour::Busy:
      return Ink::Busy;
    case submit::Colour::Dim:
      return Ink::Dim;
    case submit::Colour::None:
      break;
  }
  return Ink::Plain;
}

// A share of something in tenths, 0 only if it is empty and 9 or more only if it is nearly full.
int tenths(std::int64_t used, std::int64_t of) {
  if (of <= 0 || used <= 0) return 0;
  return static_cast<int>(std::clamp<std::int64_t>(used * 10 / of, 1, 10));
}
Ink heat(int level) {
  return level == 0 ? Ink::Heat0 : level < 4 ? Ink::Heat1 : level < 8 ? Ink::Heat2 : Ink::Heat3;
}
std::string digit(int level) { return level >= 10 ? "#" : level == 0 ? "." : cat(level); }

// "Cores[||||||        12/16]"
void draw_bar(Canvas& canvas,
              int row,
              int column,
              int width,
              std::string_view name,
              std::int64_t used,
              std::int64_t of,
              const std::string& text) {
  int at = canvas.put(row, column, name, {.ink = Ink::Accent});
  at = canvas.put(row, at, "[", kBold);
  const int end = column + width - 1;
  const int room = end - at;
  if (room <= 0) return;
  const std::int64_t bars = of > 0 ? std::clamp<std::int64_t>(used * room / of, 0, room) : 0;
  const Ink ink = heat(tenths(used, of));
  canvas.put(row, at, std::string(static_cast<std::size_t>(bars), '|'), {.ink = ink}, end);
  canvas.put_right(row, end, text, kBold);
  canvas.put(row, end, "]", kBold);
}

bool is_usable(const NodeRow& node) {
  return node.state == "idle" || node.state == "mixed" || node.state == "allocated";
}

void draw_summary(const Screen& screen, Canvas& canvas) {
  const int columns = canvas.size().columns;
  std::int64_t running = 0;
  std::int64_t waiting = 0;
  std::int64_t ended = 0;
  for (const auto& [key, job] : screen.picture().jobs()) {
    const std::int64_t count =
        job.row.array ? static_cast<std::int64_t>(job.row.array->waiting_count()) : 1;
    (job.row.finished          ? ended
     : job.row.letters == "PD" ? waiting
                               : running) += job.row.finished ? 1 : count;
  }
  std::int64_t usable = 0;
  Resources used;
  Resources capacity;
  for (const auto& [name, node] : screen.picture().nodes()) {
    usable += is_usable(node) ? 1 : 0;
    used = used + node.used;
    capacity = capacity + node.capacity;
  }
  int at = canvas.put(0, 0, "gangway ", {.ink = Ink::Accent, .bold = true});
  if (!screen.cluster().empty() && screen.cluster() != "gangway") {
    at = canvas.put(0, at, cat(screen.cluster(), " "), kBold);
  }
  at = canvas.put(0, at, "  jobs: ");
  at = canvas.put(0, at, cat(running), {.ink = Ink::Busy, .bold = true});
  at = canvas.put(0, at, " running, ");
  at = canvas.put(0, at, cat(waiting), kBold);
  at = canvas.put(0, at, " waiting, ");
  at = canvas.put(0, at, cat(ended), {.ink = Ink::Dim});
  at = canvas.put(0, at, " ended   nodes: ");
  const std::size_t nodes = screen.picture().nodes().size();
  canvas.put(0, at, cat(usable, "/", nodes), kBold);
  const int half = columns / 2;
  draw_bar(canvas, 1, 0, half - 1, "Cores ", used.cores, capacity.cores,
           cat(used.cores, "/", capacity.cores));
  draw_bar(canvas, 1, half, columns - half, "Memory ", used.memory.value, capacity.memory.value,
           cat(render_bytes(used.memory), "/", render_bytes(capacity.memory)));

  // How it stands with the scheduler, and what narrows the list.
  const LinkState& link = screen.link();
  if (link.live) {
    at = canvas.put(2, 0, "live", {.ink = Ink::Good});
    if (link.times_lost > 0) at = canvas.put(2, at, cat(", back again"), {.ink = Ink::Dim});
  } else {
    const Duration away = link.since ? screen.boot() - *link.since : Duration{};
    at = canvas.put(2, 0, cat("scheduler away for ", away.ns / 1'000'000'000, " s"),
                    {.ink = Ink::Bad, .bold = true});
    at = canvas.put(2, at, cat(", trying again; what is shown is from before. ", link.trouble),
                    {.ink = Ink::Bad});
    return;
  }
  const QueueChoices& choices = screen.choices();
  std::string how = cat("   sorted by ", name_of(choices.by), choices.reversed ? " reversed" : "");
  if (choices.tree) how += ", as trees";
  if (!choices.filter.empty()) how += cat(", filter: ", choices.filter);
  if (!choices.user.empty()) how += cat(", user: ", choices.user);
  if (choices.ended) how += ", ended ones too";
  if (screen.tagged() > 0) how += cat(", ", screen.tagged(), " tagged");
  if (screen.picture().is_cut() || screen.picture().left_out() > 0) how += ", more are not shown";
  canvas.put(2, at, how, {.ink = Ink::Dim});
}

// ---- queue -------------------------------------------------------------------------------------

struct QueueColumns {
  int id, queue, name, user, state, time, limit, nodes, cores, place;  // where they begin
};

// On 80 columns all of them; names and places get what is more.
QueueColumns columns_for(int width) {
  const int more = std::max(0, width - 80);
  QueueColumns c{};
  c.id = 0;
  c.queue = 12 + std::min(more / 8, 8);
  c.name = c.queue + 9 + std::min(more / 8, 8);
  c.user = c.name + 14 + std::min(more / 4, 26);
  c.state = c.user + 9 + std::min(more / 8, 6);
  c.time = c.state + 3;
  c.limit = c.time + 11;
  c.nodes = c.limit;
  c.cores = c.nodes + 5;
  c.place = c.cores + 5;
  return c;
}

void draw_queue_heading(const Screen& screen, Canvas& canvas) {
  const int columns = canvas.size().columns;
  const QueueColumns c = columns_for(columns);
  canvas.fill(3, 0, columns, kHeading);
  const SortBy by = screen.choices().by;
  const auto put = [&](int at, std::string_view text, SortBy column) {
    Style style = kHeading;
    if (column == by) style.bold = true;
    canvas.put(3, at, text, style);
  };
  canvas.put_right(3, c.queue - 1, "JOBID", {.bold = by == SortBy::Id, .reverse = true});
  put(c.queue, "QUEUE", SortBy::Queue);
  put(c.name, "NAME", SortBy::Name);
  put(c.user, "USER", SortBy::User);
  put(c.state, "ST", SortBy::State);
  canvas.put_right(3, c.nodes - 1, "TIME", {.bold = by == SortBy::Time, .reverse = true});
  canvas.put_right(3, c.cores - 1, "NOD", {.bold = by == SortBy::Nodes, .reverse = true});
  canvas.put_right(3, c.place - 1, "CORE", {.bold = by == SortBy::Cores, .reverse = true});
  canvas.put(3, c.place, by == SortBy::Priority ? "PRIORITY" : "NODES/REASON", kHeading);
}

void draw_workflow_line(
    const Screen& screen, std::uint64_t id, Canvas& canvas, int row, Style style) {
  const auto known = screen.picture().workflows().find(id);
  std::string text = to_string(WorkflowId{id});
  if (known != screen.picture().workflows().end()) {
    std::size_t done = 0;
    for (const auto& member : known->second.members) {
      const WatchedJob* const job = screen.picture().find(JobKey{JobId{member.job}});
      if (job != nullptr && job->row.letters == "CD") ++done;
    }
    text += cat(" ", known->second.name, " (", known->second.user, "): ", done, " of ",
                known->second.members.size(), " completed");
  }
  style.bold = true;
  canvas.put(row, 1, text, style);
}

void draw_job_line(
    const Screen& screen, const QueueLine& line, Canvas& canvas, int row, Style style) {
  const QueueColumns c = columns_for(canvas.size().columns);
  const JobRow& job = line.job->row;
  const auto plain = [&](Ink ink) {
    Style s = style;
    if (!s.reverse) s.ink = ink;
    return s;
  };
  constexpr std::size_t kMostOfId = 12;
  std::string id = submit::id_of(job, kMostOfId);
  if (columns_of(id) > c.queue - 2)
    id = cat(id.substr(0, static_cast<std::size_t>(c.queue - 3)), "+");
  canvas.put(row, 0, screen.is_tagged(job.key) ? "*" : " ", plain(Ink::Accent));
  canvas.put_right(row, c.queue - 1, id, style);
  canvas.put(row, c.queue, job.queue, style, c.name - 1);
  std::string name = job.member.empty() || line.depth == 0 ? job.name : job.member;
  if (line.depth > 0) name = cat(std::string(2 * (line.depth - 1), ' '), "`-", name);
  canvas.put(row, c.name, name, style, c.user - 1);
  canvas.put(row, c.user, job.user, style, c.state - 1);
  canvas.put(row, c.state, job.letters, plain(ink_of(submit::colour_of(job))), c.time);
  canvas.put_right(row, c.nodes - 1, render_duration(line.job->elapsed(screen.now())), style);
  canvas.put_right(row, c.cores - 1, cat(job.nodes), style);
  canvas.put_right(row, c.place - 1, cat(job.cores), style);
  std::string place = submit::place_or_reason(job);
  if (screen.choices().by == SortBy::Priority && job.letters == "PD") place = cat(job.priority);
  canvas.put(row, c.place, place, plain(job.letters == "PD" ? Ink::Dim : Ink::Plain));
}

void draw_queue(const Screen& screen, Canvas& canvas) {
  draw_queue_heading(screen, canvas);
  const auto& lines = screen.lines();
  const int columns = canvas.size().columns;
  for (std::size_t i = 0; i < screen.body_rows() && screen.top() + i < lines.size(); ++i) {
    const std::size_t at = screen.top() + i;
    const int row = kFirstBodyRow + static_cast<int>(i);
    const bool selected = at == screen.selected();
    const Style style{.ink = Ink::Plain, .bold = false, .reverse = selected};
    if (selected) canvas.fill(row, 0, columns, style);
    if (lines[at].job == nullptr) {
      draw_workflow_line(screen, lines[at].workflow, canvas, row, style);
    } else {
      draw_job_line(screen, lines[at], canvas, row, style);
    }
  }
  if (lines.empty()) {
    canvas.put(kFirstBodyRow, 1, "no jobs", {.ink = Ink::Dim});
  }
}

// ---- nodes -------------------------------------------------------------------------------------

Ink ink_of_node(const NodeRow& node) {
  if (node.state == "idle") return Ink::Good;
  return is_usable(node) ? Ink::Busy : Ink::Bad;
}

// A cell: the name, then how full cores and memory are; a node that takes no jobs is marked.
void draw_node_cell(
    const NodeRow& node, Canvas& canvas, int row, int column, int width, bool selected) {
  const int end = column + width - 1;
  canvas.put(row, column, node.name, {.ink = Ink::Plain, .reverse = selected}, end - 3);
  if (!is_usable(node)) {
    canvas.put(row, end - 2, node.state == "lost" || node.state == "unknown" ? "xx" : "--",
               {.ink = Ink::Bad, .bold = true});
    return;
  }
  const int cores = tenths(node.used.cores, node.capacity.cores);
  const int memory = tenths(node.used.memory.value, node.capacity.memory.value);
  canvas.put(row, end - 2, digit(cores), {.ink = heat(cores), .reverse = cores > 0});
  canvas.put(row, end - 1, digit(memory), {.ink = heat(memory), .reverse = memory > 0});
}

void draw_node_line(const NodeRow& node, Canvas& canvas, int row, bool selected) {
  const int columns = canvas.size().columns;
  canvas.put(row, 0, node.name, {.ink = Ink::Plain, .reverse = selected}, 13);
  canvas.put(row, 14, node.state, {.ink = ink_of_node(node)}, 24);
  const int width = std::max((columns - 25 - 12) / 2, 10);
  draw_bar(canvas, row, 25, width, "", node.used.cores, node.capacity.cores,
           cat(node.used.cores, "/", node.capacity.cores));
  draw_bar(canvas, row, 25 + width + 1, width, "", node.used.memory.value,
           node.capacity.memory.value,
           cat(render_bytes(node.used.memory), "/", render_bytes(node.capacity.memory)));
  const std::size_t jobs = node.jobs.size();
  canvas.put(row, 25 + 2 * width + 2, cat(jobs, jobs == 1 ? " job" : " jobs"));
}

void draw_nodes(const Screen& screen, Canvas& canvas) {
  const int columns = canvas.size().columns;
  canvas.fill(3, 0, columns, kHeading);
  const auto& nodes = screen.picture().nodes();
  const bool grid = shows_grid(screen);
  const int width = std::max((columns - 25 - 12) / 2, 10);
  if (grid) {
    canvas.put(3, 0, "NODE, CORES AND MEMORY USED IN TENTHS (# FULL, -- DRAINED, xx LOST)",
               kHeading);
  } else {
    canvas.put(3, 0, "NODE", kHeading);
    canvas.put(3, 14, "STATE", kHeading);
    canvas.put(3, 25, "CORES", kHeading);
    canvas.put(3, 25 + width + 1, "MEMORY", kHeading);
    canvas.put(3, 25 + 2 * width + 2, "JOBS", kHeading);
  }
  if (nodes.empty()) {
    canvas.put(kFirstBodyRow, 1, "no nodes", {.ink = Ink::Dim});
    return;
  }
  // The last line of the body tells of the selected one.
  const std::size_t rows = std::max<std::size_t>(screen.body_rows(), 2) - 1;
  const NodeGrid shape = grid ? grid_of(screen.picture(), screen.size()) : NodeGrid{1, columns};
  const auto across = static_cast<std::size_t>(shape.columns);
  const std::size_t selected = screen.selected_node();
  const std::size_t row_of_selected = selected / across;
  const std::size_t first_row = row_of_selected >= rows ? row_of_selected + 1 - rows : 0;
  std::size_t i = 0;
  const NodeRow* chosen = nullptr;
  for (const auto& [name, node] : nodes) {
    const std::size_t row = i / across;
    const bool is_selected = i == selected;
    if (is_selected) chosen = &node;
    const auto column = static_cast<int>(i % across);
    ++i;
    if (row < first_row || row >= first_row + rows) continue;
    const int at = kFirstBodyRow + static_cast<int>(row - first_row);
    if (grid) {
      draw_node_cell(node, canvas, at, column * shape.cell_width, shape.cell_width, is_selected);
    } else {
      draw_node_line(node, canvas, at, is_selected);
    }
  }
  if (chosen == nullptr) return;
  std::string text = cat(chosen->name, ": ", chosen->state);
  if (!chosen->reason.empty()) text += cat(" (", chosen->reason, ")");
  text += cat(", cores ", chosen->used.cores, "/", chosen->capacity.cores, ", memory ",
              render_bytes(chosen->used.memory), "/", render_bytes(chosen->capacity.memory));
  for (const auto& [resource, amount] : chosen->capacity.named) {
    text += cat(", ", resource, " ", chosen->used.amount_of(resource), "/", amount);
  }
  text += chosen->jobs.empty() ? ", no jobs" : cat(", jobs ", join(chosen->jobs, ","));
  canvas.put(kFirstBodyRow + static_cast<int>(rows), 0, text, kBold);
}

// ---- texts -------------------------------------------------------------------------------------

void draw_text(const Screen& screen,
               const std::string& title,
               const auto& lines,
               std::size_t top,
               Canvas& canvas) {
  canvas.fill(3, 0, canvas.size().columns, kHeading);
  canvas.put(3, 0, title, kHeading);
  for (std::size_t i = 0; i < screen.body_rows() && top + i < lines.size(); ++i) {
    canvas.put(kFirstBodyRow + static_cast<int>(i), 0, lines[top + i]);
  }
}

void draw_output(const Screen& screen, Canvas& canvas) {
  const auto& lines = screen.output().lines();
  const std::size_t rows = screen.body_rows();
  const std::size_t count = text_lines(screen);
  const std::size_t last_top = count > rows ? count - rows : 0;
  const std::size_t top = screen.follows_output() ? last_top : std::min(screen.scroll(), last_top);
  std::string title = cat(screen.of_errors() ? "ERRORS" : "OUTPUT", " OF JOB ",
                          screen.shown_job() ? to_string(*screen.shown_job()) : std::string());
  if (!screen.output_state().empty()) title += cat("   ", screen.output_state());
  title += screen.follows_output() ? "   (followed)" : "   (End: follow)";
  draw_text(screen, title, lines, top, canvas);
}

// ---- the bottom --------------------------------------------------------------------------------

struct KeyHint {
  std::string_view key;
  std::string_view what;
};

void draw_keys(Canvas& canvas, std::initializer_list<KeyHint> hints) {
  const int row = canvas.size().rows - 1;
  int at = 0;
  for (const KeyHint& hint : hints) {
    at = canvas.put(row, at, hint.key, kBold);
    at = canvas.put(row, at, hint.what, {.ink = Ink::Accent, .reverse = true});
  }
  canvas.fill(row, at, canvas.size().columns, {.ink = Ink::Accent, .reverse = true});
}

void draw_bottom(const Screen& screen, Canvas& canvas) {
  switch (screen.view()) {
    case View::Queue:
      draw_keys(canvas, {{"F1", "Help "},
                         {"F2", "Nodes"},
                         {"F3", "Search"},
                         {"F4", "Filter"},
                         {"F5", "Tree "},
                         {"F6", "Sort "},
                         {"F7", "Hold "},
                         {"F8", "Releas"},
                         {"F9", "Cancel"},
                         {"F10", "Quit"}});
      break;
    case View::Nodes:
      draw_keys(canvas, {{"F1", "Help "},
                         {"F2", "Queue"},
                         {"Enter", "Its jobs"},
                         {"m", "Grid or list"},
                         {"F10", "Quit"}});
      break;
    case View::Details:
    case View::Output:
      draw_keys(canvas, {{"Esc", "Back "},
                         {"Enter", "Details"},
                         {"o", "Output"},
                         {"e", "Errors"},
                         {"F7", "Hold "},
                         {"F8", "Release"},
                         {"F9", "Cancel"},
                         {"F10", "Quit"}});
      break;
    case View::Help:
      draw_keys(canvas, {{"Esc", "Back "}, {"F10", "Quit"}});
      break;
  }
  const int row = canvas.size().rows - 2;
  if (const std::optional<Prompt>& prompt = screen.prompt()) {
    switch (prompt->what) {
      case Prompt::What::Confirm:
        canvas.put(row, 0, prompt->text, {.ink = Ink::Bad, .bold = true});
        return;
      case Prompt::What::Search:
      case Prompt::What::Filter: {
        const bool search = prompt->what == Prompt::What::Search;
        const int at = canvas.put(row, 0, search ? "Search: " : "Filter: ", kBold);
        const int behind = canvas.put(row, at, prompt->text);
        canvas.put(row, behind, "_", {.ink = Ink::Accent});
        if (!screen.message().empty()) {
          canvas.put(row, behind + 3, screen.message(), {.ink = Ink::Bad});
        }
        return;
      }
      case Prompt::What::Sort:
      case Prompt::What::User: {
        int at =
            canvas.put(row, 0, prompt->what == Prompt::What::Sort ? "Sort by: " : "Show: ", kBold);
        // As many as fit around the chosen one.
        std::size_t first = 0;
        const auto width_to = [&](std::size_t from) {
          int width = at;
          for (std::size_t i = from; i <= prompt->chosen; ++i) {
            width += columns_of(prompt->choices[i]) + 1;
          }
          return width;
        };
        while (first < prompt->chosen && width_to(first) > canvas.size().columns) ++first;
        for (std::size_t i = first; i < prompt->choices.size(); ++i) {
          at = canvas.put(row, at, prompt->choices[i], {.reverse = i == prompt->chosen}) + 1;
        }
        return;
      }
    }
  }
  canvas.put(row, 0, screen.message(),
             {.ink = screen.message_is_bad() ? Ink::Bad : Ink::Accent, .bold = true});
}

}  // namespace

NodeGrid grid_of(const Picture& picture, Size size) {
  int longest = 4;
  for (const auto& [name, node] : picture.nodes()) {
    longest = std::max(longest, std::min(columns_of(name), 16));
  }
  NodeGrid grid;
  grid.cell_width = longest + 5;
  grid.columns = std::max(size.columns / grid.cell_width, 1);
  return grid;
}

bool shows_grid(const Screen& screen) {
  return screen.node_grid() || screen.picture().nodes().size() + 1 > screen.body_rows();
}

std::size_t text_lines(const Screen& screen) {
  switch (screen.view()) {
    case View::Details:
      return details_of(screen).size();
    case View::Help:
      return help_lines().size();
    case View::Output: {
      const auto& lines = screen.output().lines();
      return lines.size() - (lines.back().empty() ? 1 : 0);
    }
    case View::Queue:
    case View::Nodes:
      break;
  }
  return 0;
}

Canvas draw(const Screen& screen) {
  Canvas canvas(screen.size());
  draw_summary(screen, canvas);
  switch (screen.view()) {
    case View::Queue:
      draw_queue(screen, canvas);
      break;
    case View::Nodes:
      draw_nodes(screen, canvas);
      break;
    case View::Details: {
      const std::vector<std::string> lines = details_of(screen);
      draw_text(screen,
                cat("JOB ", screen.shown_job() ? to_string(*screen.shown_job()) : std::string()),
                lines, screen.scroll(), canvas);
      break;
    }
    case View::Output:
      draw_output(screen, canvas);
      break;
    case View::Help:
      draw_text(screen, "KEYS", help_lines(), screen.scroll(), canvas);
      break;
  }
  draw_bottom(screen, canvas);
  return canvas;
}

}  // namespace gangway::monitor
