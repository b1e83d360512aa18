#include "scheduler/mailer.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include "queues/base/log.hpp"
#include "queues/base/text.hpp"

namespace gangway::scheduler {

namespace {

constexpr std::size_t kMaxMailBytes = 16 << 10;
constexpr unsigned kMaxSendSeconds = 60;

// In a child of the helper: the mail is its standard input.
[[noreturn]] void run_program(const std::string& program, const char* mail, std::size_t size) {
  int ends[2];
  if (::pipe(ends) != 0) ::_exit(71);
  // A mail is shorter than a pipe is long, so this does not wait for the reader.
  if (::write(ends[1], mail, size) != static_cast<ssize_t>(size)) ::_exit(71);
  ::dup2(ends[0], STDIN_FILENO);
  ::close(ends[0]);
  ::close(ends[1]);
  ::alarm(kMaxSendSeconds);  // survives the exec
  ::execl(program.c_str(), program.c_str(), "-i", "-t", static_cast<char*>(nullptr));
  ::_exit(127);
}

[[noreturn]] void serve(int socket, const std::string& program) {
  std::array<char, kMaxMailBytes> mail{};
  for (;;) {
    const ssize_t got = ::recv(socket, mail.data(), mail.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) ::_exit(0);
    const pid_t child = ::fork();
    if (child == 0) run_program(program, mail.data(), static_cast<std::size_t>(got));
    int status = 0;
    while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (child < 0 || status != 0) {
      log_warning("mail_not_sent", {{"program", program}, {"status", cat(status)}});
    }
  }
}

std::string one_line(std::string_view text) {
  std::string out;
  for (const char c : text) out += (c == '\n' || c == '\r' || c == '\0') ? ' ' : c;
  return out;
}

}  // namespace

std::string render_mail(const effect::SendMail& mail) {
  std::string text = cat("To: ", one_line(mail.to), "\nSubject: ", one_line(mail.subject),
                         "\nAuto-Submitted: auto-generated\n"
                         "Content-Type: text/plain; charset=utf-8\n\n",
                         mail.body);
  if (text.size() > kMaxMailBytes) text.resize(kMaxMailBytes);
  return text;
}

Result<Mailer> Mailer::start(const std::string& program) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    return errno_error("make a socket for mails", errno);
  }
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return errno_error("start the process for mails", errno);
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    ::prctl(PR_SET_NAME, "jschedd-mail");
    if (::getppid() != parent) ::_exit(0);
    const int socket = ::fcntl(theirs.get(), F_DUPFD_CLOEXEC, 3);
    ours = Fd();
    serve(socket, program);
  }
  return Mailer(std::move(ours));
}

void Mailer::send(const effect::SendMail& mail) {
  const std::string text = render_mail(mail);
  const ssize_t sent = ::send(socket_.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0) log_warning("mail_dropped", {{"to", mail.to}, {"why", cat(errno)}});
}

}  // namespace gangway::scheduler
