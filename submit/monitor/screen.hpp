// Screen: the model of the monitor. Facts and keys go in, wishes come out, and draw.hpp makes cells
// of it.
//
// Pure: what a wish needs is done by the owner (monitor.hpp), who tells what came of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "submit/monitor/canvas.hpp"
#include "submit/monitor/key.hpp"
#include "submit/monitor/output_text.hpp"
#include "submit/monitor/picture.hpp"
#include "submit/monitor/queue_lines.hpp"

namespace gangway::monitor {

// ---- wishes ------------------------------------------------------------------------------------

struct Quit {};
// To be done to jobs and whole workflows.
struct Act {
  enum class What { Cancel, Hold, Release };
  What what = What::Cancel;
  std::vector<JobKey> jobs;
  std::vector<std::uint64_t> workflows;
};
struct Explain {  // why it waits
  JobKey job;
};
struct OpenOutput {
  JobKey job;
  bool errors = false;
};
struct CloseOutput {};
struct AskWorkflows {  // how their jobs need each other
  std::vector<std::uint64_t> ids;
};
struct AskAll {};  // lists, once more
struct Redraw {};  // the terminal was disturbed
using Wish =
    std::variant<Quit, Act, Explain, OpenOutput, CloseOutput, AskWorkflows, AskAll, Redraw>;
using Wishes = std::vector<Wish>;

// ---- what is shown -----------------------------------------------------------------------------

enum class View { Queue, Nodes, Details, Output, Help };

struct LinkState {
  bool live = false;
  std::string trouble;            // of one that is not
  std::optional<BootTime> since;  // when it was lost
  std::uint32_t times_lost = 0;
};

// A line at the bottom that takes the keys.
struct Prompt {
  enum class What { Search, Filter, Confirm, Sort, User };
  What what = What::Search;
  std::string text;                  // typed so far
  std::string before;                // of the filter, for Escape
  Act act;                           // of Confirm
  std::vector<std::string> choices;  // of Sort and User
  std::size_t chosen = 0;
};

class Screen {
 public:
  explicit Screen(submit::JobFilter filter = {}) : picture_(std::move(filter)) {}

  // ---- facts
  template <typename Message>  // Jobs, Nodes, Workflows, News
  void tell(const Message& message) {
    picture_.put(message);
    make_stale();
  }
  [[nodiscard]] std::set<JobKey> take_doubtful() { return picture_.take_doubtful(); }
  void forget_all();  // it will all be told anew
  void on_cluster(std::string name) { cluster_ = std::move(name); }
  void on_size(Size size);
  // By the scheduler's clock; the owner knows how far ours is from it.
  void on_time(Time now, BootTime boot);
  void on_link(LinkState link) { link_ = std::move(link); }
  void say(std::string message, bool is_bad = false);
  void on_explained(JobKey job, std::vector<std::string> lines);
  void on_output(JobKey job, std::string_view bytes);
  void on_output_state(JobKey job, std::string state);  // "has ended", why there is none

  // ---- keys
  [[nodiscard]] Wishes on_key(Key key);

  // ---- to be drawn
  // Puts the lines in order after what was told; to be called before it is drawn. Many news may
  // come between two pictures.
  void settle();
  [[nodiscard]] View view() const { return view_; }
  [[nodiscard]] const Picture& picture() const { return picture_; }
  [[nodiscard]] const QueueChoices& choices() const { return choices_; }
  [[nodiscard]] const std::vector<QueueLine>& lines() const { return lines_; }
  [[nodiscard]] std::size_t selected() const { return selected_; }
  [[nodiscard]] std::size_t top() const { return top_; }
  [[nodiscard]] bool is_tagged(JobKey key) const { return tagged_.contains(key); }
  [[nodiscard]] std::size_t tagged() const { return tagged_.size(); }
  [[nodiscard]] std::size_t selected_node() const { return selected_node_; }
  [[nodiscard]] bool node_grid() const { return node_grid_; }
  [[nodiscard]] std::size_t scroll() const { return scroll_; }
  [[nodiscard]] bool follows_output() const { return follows_output_; }
  [[nodiscard]] const OutputText& output() const { return output_; }
  [[nodiscard]] const std::string& output_state() const { return output_state_; }
  [[nodiscard]] bool of_errors() const { return of_errors_; }
  [[nodiscard]] std::optional<JobKey> shown_job() const { return shown_job_; }
  [[nodiscard]] const std::vector<std::string>& explained() const { return explained_; }
  [[nodiscard]] const std::optional<Prompt>& prompt() const { return prompt_; }
  [[nodiscard]] const LinkState& link() const { return link_; }
  [[nodiscard]] const std::string& message() const { return message_; }
  [[nodiscard]] bool message_is_bad() const { return message_is_bad_; }
  [[nodiscard]] const std::string& cluster() const { return cluster_; }
  [[nodiscard]] Size size() const { return size_; }
  [[nodiscard]] Time now() const { return now_; }
  [[nodiscard]] BootTime boot() const { return boot_; }
  // Lines of the view's body, and of it how many fit.
  [[nodiscard]] std::size_t body_rows() const;

 private:
  Wishes on_queue_key(Key key);
  Wishes on_nodes_key(Key key);
  Wishes on_text_key(Key key);  // details, output, help
  Wishes on_prompt_key(Key key);
  Wishes on_list_prompt_key(Key key);
  Wishes on_text_prompt_key(Key key);
  Wishes on_job_key(Key key);  // what is done to the job, wherever it is shown
  Wishes open(View view);
  void move_to(std::size_t line);
  void make_stale();
  void refresh_lines();
  bool find_next(bool from_next);
  void ask_confirmation(Act act);
  [[nodiscard]] Act targets(Act::What what) const;
  [[nodiscard]] const QueueLine* selected_line() const;
  Wishes want_trees();

  Picture picture_;
  std::string cluster_;
  View view_ = View::Queue;
  View before_help_ = View::Queue;
  QueueChoices choices_;
  std::vector<QueueLine> lines_;
  bool stale_ = true;
  std::size_t selected_ = 0;
  std::size_t top_ = 0;
  // What is selected, whatever line it moves to.
  std::optional<JobKey> selected_key_;
  std::uint64_t selected_workflow_ = 0;
  std::set<JobKey> tagged_;
  std::size_t selected_node_ = 0;
  bool node_grid_ = false;
  std::optional<JobKey> shown_job_;
  std::size_t scroll_ = 0;  // lines above the first one shown
  bool follows_output_ = true;
  bool of_errors_ = false;
  OutputText output_;
  std::string output_state_;
  std::vector<std::string> explained_;
  std::string searched_;
  std::optional<Prompt> prompt_;
  LinkState link_;
  std::string message_;
  bool message_is_bad_ = false;
  Size size_;
  Time now_;
  BootTime boot_;
};

// The node list takes a line for each node as long as they fit, else a grid of small cells.
struct NodeGrid {
  int columns = 1;  // cells side by side
  int cell_width = 1;
};
[[nodiscard]] NodeGrid grid_of(const Picture& picture, Size size);
[[nodiscard]] bool shows_grid(const Screen& screen);
// How many lines the text of this view has (details, output, help).
[[nodiscard]] std::size_t text_lines(const Screen& screen);

}  // namespace gangway::monitor
