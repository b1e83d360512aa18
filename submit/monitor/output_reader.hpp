// OutputReader: the live output of one job, read beside other things. Nothing blocks but opening.
// Of a job that has ended the end of its file is read.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "submit/job_row.hpp"
#include "submit/step_link.hpp"

namespace gangway::monitor {

// What it tells. States are for people: "waits for the job to start", "the job has ended".
struct OutputListener {
  std::function<void(std::string_view bytes)> on_bytes;
  std::function<void(std::string state)> on_state;
};

class OutputReader {
 public:
  OutputReader(
      std::string program, std::string socket, JobKey job, bool errors, OutputListener listener);

  [[nodiscard]] JobKey job() const { return job_; }
  // Requires: not begun.
  void begin(const submit::JobRow* row);
  [[nodiscard]] int fd() const { return link_ ? link_->fd() : -1; }
  [[nodiscard]] bool wants_to_write() const { return link_ && link_->wants_to_write(); }
  // The descriptor is ready.
  void go_on(const submit::JobRow* row);

 private:
  void hear(const wire::FromStep& message);
  void fail(const Error& error, const submit::JobRow* row);
  void read_file(const submit::JobRow& row);

  std::string program_;
  std::string socket_;
  JobKey job_;
  bool errors_;
  OutputListener listener_;
  std::unique_ptr<submit::StepLink> link_;
  bool asked_ = false;
  bool heard_ = false;
};

}  // namespace gangway::monitor
