// Debian's programs, as they are, reach the hosts that were granted. None of them knows of this
// project, and no file about names is granted to them.
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/unique_fd.h"
#include "gtest/gtest.h"
#include "tests/connections/connected_fixture.h"
#include "tests/interposition/certificates.h"

namespace capbroker::testing {
namespace {

// A file that a test has written.
std::string Write(const std::string& name, const std::string& content) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/", getpid(), name);
  std::ofstream(path) << content;
  char real[PATH_MAX];
  return realpath(path.c_str(), real) == nullptr ? path : real;
}

// The same over TLS, by Python's library.
class TlsServer {
 public:
  TlsServer(const net::LocalServer& server, const std::string& certificate,
            const std::string& key) {
    process_ = fork();
    if (process_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int socket = dup(server.socket().get());  // without close-on-exec
    const std::string code = absl::StrCat(
        "import socket, ssl\n"
        "context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
        "context.load_cert_chain('",
        certificate, "', '", key,
        "')\n"
        "listener = socket.socket(fileno=",
        socket,
        ")\n"
        "while True:\n"
        "  connection = context.wrap_socket(listener.accept()[0], server_side=True)\n"
        "  connection.recv(4096)\n"
        "  connection.send(b'HTTP/1.1 200 OK\\r\\nContent-Length: 7\\r\\n\\r\\nsecret\\n')\n");
    execl("/usr/bin/python3", "python3", "-I", "-c", code.c_str(), nullptr);
    _exit(1);
  }
  ~TlsServer() {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }

 private:
  pid_t process_;
};

// What a git repository answers that is nothing but files.
constexpr char kRefs[] = "0123456789012345678901234567890123456789\trefs/heads/main\n";

// Answers every request with "hello", in a process of its own.
class WebServer {
 public:
  explicit WebServer(const net::LocalServer& server) {
    process_ = fork();
    if (process_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
      const UniqueFd connection = server.Accept();
      if (!connection.valid()) continue;
      // The end is the client's to make, as it is with connections that are kept alive.
      std::string request;
      char byte;
      while (recv(connection.get(), &byte, 1, 0) == 1) {
        request.push_back(byte);
        if (!absl::EndsWith(request, "\r\n\r\n")) continue;
        const std::string body = absl::StrContains(request, "info/refs") ? kRefs : "hello\n";
        net::Send(connection, absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", body.size(),
                                           "\r\n\r\n", body));
        request.clear();
      }
    }
  }
  ~WebServer() {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }

 private:
  pid_t process_;
};

class ConnectedProgramTest : public ConnectedTest {
 protected:
  std::string Url(const std::string& host) const {
    return absl::StrCat("http://", host, ":", server_.port(), "/");
  }
  ProgramOutcome Python(const std::string& code) {
    // It looks for files beside itself, and insists on an errno that it knows.
    refusal_ = Refusal::kAccess;
    return RunProgram(
        "/usr/bin/python3", {"-I", "-S", "-c", code},
        {FileGrant::ReadTree("/usr/lib/python3.11"), FileGrant::ReadTree("/usr/bin")});
  }
  std::string Peer(const std::string& host) const {
    return absl::StrCat("('", host, "', ", server_.port(), ")");
  }

  const WebServer web_{server_};
};

TEST_F(ConnectedProgramTest, GetentFindsGrantedNames) {
  for (const char* database : {"ahosts", "ahostsv4", "hosts"}) {  // also gethostbyname()
    const ProgramOutcome found = RunProgram("/usr/bin/getent", {database, "web.test"});
    EXPECT_EQ(found.exit_code, 0) << database << found.errors;
    EXPECT_TRUE(absl::StartsWith(found.output, "127.0.0.1 ")) << found.output;
    Grant(Local({"web.test"}, {server_.port_text()}));
  }
  const ProgramOutcome refused = RunProgram("/usr/bin/getent", {"ahosts", "other.test"});
  EXPECT_EQ(refused.exit_code, 2) << refused.output << refused.errors;
}

TEST_F(ConnectedProgramTest, CurlGetsAPage) {
  const ProgramOutcome page = RunProgram("/usr/bin/curl", {"-sS", Url("web.test")});
  EXPECT_EQ(page.output, "hello\n") << page.errors;
  EXPECT_EQ(page.exit_code, 0) << page.errors;
}

TEST_F(ConnectedProgramTest, CurlGetsASecretPage) {
  const CertificateAuthority authority;
  const Certificate certificate = authority.Issue("web.test");
  const std::string authority_file = Write("authority.pem", authority.certificate());
  const net::LocalServer server;
  const TlsServer tls(server, Write("certificate.pem", certificate.certificate),
                      Write("key.pem", certificate.key));
  Grant(Local({"web.test"}, {server.port_text()}));
  const ProgramOutcome page = RunProgram(
      "/usr/bin/curl",
      {"-sS", "--cacert", authority_file, absl::StrCat("https://web.test:", server.port(), "/")},
      {FileGrant::ReadFile(authority_file)});
  EXPECT_EQ(page.output, "secret\n") << page.errors;
  EXPECT_EQ(page.exit_code, 0) << page.errors;
}

TEST_F(ConnectedProgramTest, CurlHearsOfARefusal) {
  const ProgramOutcome name = RunProgram("/usr/bin/curl", {"-sS", Url("other.test")});
  EXPECT_EQ(name.exit_code, 6) << name.errors;  // cannot resolve
  Grant(Local({"web.test"}, {server_.port_text()}));
  const ProgramOutcome address = RunProgram("/usr/bin/curl", {"-sS", Url("127.0.0.2")});
  EXPECT_EQ(address.exit_code, 7) << address.errors;  // cannot connect
}

TEST_F(ConnectedProgramTest, PythonConnectsAndWaits) {
  const ProgramOutcome page = Python(
      absl::StrCat("import socket\n"
                   "s = socket.create_connection(",
                   Peer("web.test"),
                   ", timeout=20)\n"
                   "s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')\n"
                   "print(s.makefile('rb').readline().decode().strip(), s.getpeername()[0])\n"));
  EXPECT_EQ(page.output, "HTTP/1.1 200 OK 127.0.0.1\n") << page.errors;
  EXPECT_EQ(page.exit_code, 0) << page.errors;
}

// As event loops do it, with a pair of sockets to wake themselves.
TEST_F(ConnectedProgramTest, PythonConnectsWithoutWaiting) {
  const ProgramOutcome page =
      Python(absl::StrCat("import select, socket\n"
                          "wake, waker = socket.socketpair()\n"
                          "wake.setblocking(False)\n"
                          "address = socket.getaddrinfo",
                          Peer("web.test"),
                          "[0][4]\n"
                          "s = socket.socket()\n"
                          "s.setblocking(False)\n"
                          "print(s.connect_ex(address) in (0, 115))\n"
                          "select.select([wake], [s], [])\n"
                          "print(s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))\n"
                          "s.send(b'GET / HTTP/1.0\\r\\n\\r\\n')\n"
                          "waker.send(b'x')\n"
                          "print(wake.recv(9))\n"
                          "select.select([s], [], [])\n"
                          "print(s.recv(15).decode())\n"));
  EXPECT_EQ(page.output, "True\n0\nb'x'\nHTTP/1.1 200 OK\n") << page.errors;
  EXPECT_EQ(page.exit_code, 0) << page.errors;
}

TEST_F(ConnectedProgramTest, PythonHearsOfARefusal) {
  const ProgramOutcome refused =
      Python(absl::StrCat("import socket\n"
                          "for peer in (",
                          Peer("other.test"), ", ", Peer("127.0.0.2"),
                          "):\n"
                          "  try:\n"
                          "    socket.create_connection(peer)\n"
                          "    print('connected')\n"
                          "  except OSError as error:\n"
                          "    print(error.errno)\n"));
  EXPECT_EQ(refused.output, "-2\n13\n") << refused.errors;  // EAI_NONAME, EACCES
}

// With processes, which the connections outlive or not.
class ConnectedProcessesTest : public ConnectedProgramTest {
 protected:
  void SetUp() override {
    ConnectedProgramTest::SetUp();
    if (!runner_.sandbox().in_force().Has(sandbox::Layer::kPidNamespace)) {
      GTEST_SKIP() << "processes need a pid namespace";
    }
    processes_ = true;
  }
};

TEST_F(ConnectedProcessesTest, ShellRunsMoreProgramsThanThereAreLeases) {
  const ProgramOutcome pages = RunProgram(
      "/usr/bin/sh",
      {"-c", absl::StrCat("for i in 1 2 3 4 5 6 7 8; do for j in 1 2 3 4 5 6 7 8 9; do curl -sS ",
                          Url("web.test"), " || exit 1; done; done | uniq -c")},
      {FileGrant::RunTree("/usr/bin")});
  EXPECT_EQ(pages.output, "     72 hello\n") << pages.errors;
  EXPECT_EQ(pages.exit_code, 0) << pages.errors;
}

// A child that has called nothing yet holds its parent's connection.
TEST_F(ConnectedProcessesTest, ChildGoesOnWithTheConnectionOfItsParent) {
  refusal_ = Refusal::kAccess;
  const ProgramOutcome page =
      RunProgram("/usr/bin/python3",
                 {"-I", "-S", "-c",
                  absl::StrCat("import os, socket, time\n"
                               "s = socket.create_connection(",
                               Peer("web.test"),
                               ")\n"
                               "if os.fork() == 0:\n"
                               "  time.sleep(0.3)\n"
                               "  s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')\n"
                               "  print(s.recv(15).decode(), flush=True)\n"
                               "  os._exit(0)\n"
                               "s.close()\n"
                               "os.wait()\n")},
                 {FileGrant::ReadTree("/usr/lib/python3.11"), FileGrant::RunTree("/usr/bin")});
  EXPECT_EQ(page.output, "HTTP/1.1 200 OK\n") << page.errors;
}

TEST_F(ConnectedProcessesTest, GitListsARepository) {
  refusal_ = Refusal::kAbsent;
  const ProgramOutcome refs =
      RunProgram("/usr/bin/git", {"ls-remote", absl::StrCat(Url("web.test"), "repository")},
                 {FileGrant::RunTree("/usr/bin"), FileGrant::RunTree("/usr/lib/git-core"),
                  FileGrant::WriteFile("/dev/null")});
  EXPECT_EQ(refs.output, kRefs) << refs.errors;
  EXPECT_EQ(refs.exit_code, 0) << refs.errors;
}

}  // namespace
}  // namespace capbroker::testing
