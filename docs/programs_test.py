#!/usr/bin/python3
"""Runs the commands of programs.md and compares what they print.

A section starts in an empty directory. "```textproto NAME" is written to a file; in "```console" each line
that begins with "$ " is given to sh, and the lines up to the next one are its output. $PWD stands for
the directory, and $PORT for that of a web server.
"""
import http.server
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import threading

PAGE, CAPBROKER = (os.path.abspath(path) for path in sys.argv[1:3])


def sections(text):
    """(title, [(kind, body)]) of each heading with blocks."""
    for part in re.split(r"^## ", text, flags=re.M)[1:]:
        title = part.split("\n", 1)[0]
        blocks = re.findall(r"^```(console|textproto \S+)\n(.*?)^```$", part, flags=re.M | re.S)
        if blocks:
            yield title, blocks


def commands(body):
    """(command, expected output) in order."""
    for part in re.split(r"^\$ ", body, flags=re.M)[1:]:
        command, _, expected = part.partition("\n")
        yield command, expected


class Letter(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/letter" else 404)
        self.end_headers()
        if self.path == "/letter":
            self.wfile.write(b"hello\n")

    def log_message(self, *arguments):
        pass


def run_section(title, blocks, directory, user, port):
    """The differences, as text."""
    faults = []
    for kind, body in blocks:
        if kind != "console":
            with open(os.path.join(directory, kind.split()[1]), "w") as policy:
                policy.write(body)
            continue
        for command, expected in commands(body):
            done = subprocess.run(
                ["/bin/sh", "-c", command.replace("$PORT", port)], cwd=directory, user=user, group=user and user,
                extra_groups=[] if user else None, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=50, text=True,
                env={"PATH": os.path.join(directory, ".bin") + ":/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
            got = done.stdout.replace(directory, "$PWD").replace(port, "$PORT")
            if got != expected:
                faults.append(f"{title}: $ {command}\n  expected: {expected!r}\n  got:      {got!r}")
    return faults


def users():
    """Whoever runs the test, and an ordinary user if that one can become it."""
    nobody = pwd.getpwnam("nobody").pw_uid
    try:
        subprocess.run(["/bin/true"], user=nobody, group=nobody, extra_groups=[], check=True)
    except (OSError, subprocess.SubprocessError):
        return [None]  # the sandbox of a build has one user
    return [None, nobody]


def main():
    with open(PAGE) as page:
        everything = list(sections(page.read()))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Letter)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = str(server.server_port)
    faults, ran = [], 0
    for user in users():
        for title, blocks in everything:
            directory = tempfile.mkdtemp(prefix="programs-", dir="/tmp")
            try:
                os.mkdir(os.path.join(directory, ".bin"))
                shutil.copy(CAPBROKER, os.path.join(directory, ".bin", "capbroker"))
                if user:
                    os.chown(directory, user, user)
                faults += [("as nobody: " if user else "") + fault
                           for fault in run_section(title, blocks, directory, user, port)]
                ran += 1
            finally:
                shutil.rmtree(directory)
    print("\n".join(faults))
    print(f"{ran} sections, {len(faults)} commands differ")
    sys.exit(1 if faults or ran < 8 else 0)


main()
