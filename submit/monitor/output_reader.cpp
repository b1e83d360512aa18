#include "submit/monitor/output_reader.hpp"

#include <limits>

#include "queues/base/text.hpp"
#include "submit/output_file.hpp"

namespace gangway::monitor {

namespace {
constexpr std::int64_t kLinesAtFirst = 1'000;
constexpr std::int64_t kBytesOfFile = 256 << 10;
}  // namespace

OutputReader::OutputReader(
    std::string program, std::string socket, JobKey job, bool errors, OutputListener listener)
    : program_(std::move(program)),
      socket_(std::move(socket)),
      job_(job),
      errors_(errors),
      listener_(std::move(listener)) {}

void OutputReader::begin(const submit::JobRow* row) {
  if (row != nullptr && row->finished) return read_file(*row);
  if (row != nullptr && row->array) {
    return listener_.on_state("an array writes by its elements: choose one");
  }
  Result<std::unique_ptr<submit::StepLink>> link = submit::begin_tunnel(program_, socket_, job_);
  if (!link) return listener_.on_state(link.error().message());
  link_ = *std::move(link);
  listener_.on_state("waits for the job to run");
}

void OutputReader::go_on(const submit::JobRow* row) {
  if (!link_) return;
  const Result<bool> alive = link_->read_some();
  // What has come is heard even if the other side has gone.
  while (link_) {
    Result<std::optional<wire::FromStep>> message = link_->next();
    if (!message) return fail(message.error(), row);
    if (!*message) break;
    hear(**message);
  }
  if (!link_) return;
  if (!alive) return fail(alive.error(), row);
  if (!*alive) return fail(Error(ErrorKind::Unavailable, "the connection was closed"), row);
  if (link_->is_open() && !asked_) {
    asked_ = true;
    wire::ToStep first;
    first.mutable_follow()->set_stream(errors_ ? 2 : 1);
    first.mutable_follow()->set_follow(true);
    first.mutable_follow()->set_lines(kLinesAtFirst);
    link_->send(first);
    listener_.on_state("");
  }
  if (const Result<void> written = link_->write_some(); !written) fail(written.error(), row);
}

void OutputReader::hear(const wire::FromStep& message) {
  if (message.has_output()) {
    heard_ = true;
    listener_.on_bytes(message.output().data());
    wire::ToStep taken;
    taken.mutable_consumed()->set_node(message.output().node());
    taken.mutable_consumed()->set_bytes(message.output().data().size());
    link_->send(taken);
  } else if (message.has_ended()) {
    listener_.on_state("the job has ended");
    link_.reset();
  } else if (message.has_failure()) {
    listener_.on_state(message.failure().message());
    link_.reset();
  }
}

void OutputReader::fail(const Error& error, const submit::JobRow* row) {
  link_.reset();
  const bool is_over = row != nullptr && row->finished;
  if (is_over && !heard_) return read_file(*row);
  listener_.on_state(is_over ? std::string("the job has ended") : error.message());
}

void OutputReader::read_file(const submit::JobRow& row) {
  if (errors_) {
    return listener_.on_state(
        "the job has ended; its errors are in the file it was submitted with");
  }
  const std::string path = submit::output_file_of(row, 0);
  constexpr std::int64_t kEveryLine = std::numeric_limits<std::int64_t>::max();
  const Result<submit::FileEnd> end = submit::read_end(path, kEveryLine, kBytesOfFile);
  if (!end) return listener_.on_state(cat("the job has ended; ", end.error().message()));
  listener_.on_bytes(end->text);
  listener_.on_state(end->is_cut ? "the job has ended; the end of its file" : "the job has ended");
}

}  // namespace gangway::monitor
