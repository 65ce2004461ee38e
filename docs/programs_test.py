#!/usr/bin/python3
"""Runs the commands of programs.md and compares what they print.

A section starts in an empty directory. "```textproto NAME" is written to a file; in "```console" each line
that begins with "$ " is given to sh, and the lines up to the next one are its output. $PWD stands for
the directory, $PORT for that of a web server, and $FREE for one at which nobody listens.
"""
import http.server
import os
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

PAGE, CAPBROKER, ON_HOST = (os.path.abspath(path) for path in sys.argv[1:4])


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


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


def run_command(command, directory, ports, prefix, **identity):
    """What it prints."""
    for name, port in ports.items():
        command = command.replace(name, port)
    done = subprocess.run(
        [*prefix, "/bin/sh", "-c", command], cwd=directory, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=50, text=True,
        env={"PATH": os.path.join(directory, ".bin") + ":/usr/bin:/bin", "LC_ALL": "C.UTF-8"}, **identity)
    got = done.stdout.replace(directory, "$PWD")
    for name, port in ports.items():
        got = got.replace(port, name)
    return got


def run_section(title, blocks, directory, port, prefix=(), differs=(), **identity):
    """The differences, as text. What `differs` on a host ends a section, for later commands build on it."""
    ports = {"$PORT": port, "$FREE": free_port()}
    for kind, body in blocks:
        if kind != "console":
            with open(os.path.join(directory, kind.split()[1]), "w") as policy:
                policy.write(body)
            continue
        for command, expected in commands(body):
            got = run_command(command, directory, ports, prefix, **identity)
            for which, instead in differs:
                if re.search(which, command):
                    if re.search(instead, got):
                        return []
                    return [f"{title}: $ {command}\n  expected: {instead}\n  got:      {got!r}"]
            if got != expected:
                return [f"{title}: $ {command}\n  expected: {expected!r}\n  got:      {got!r}"]
    return []


class Places:
    """A directory for each section, which is gone afterwards."""

    def __init__(self, owner):
        self.owner = owner

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="programs-", dir="/tmp")
        os.mkdir(os.path.join(self.path, ".bin"))
        shutil.copy(CAPBROKER, os.path.join(self.path, ".bin", "capbroker"))
        shutil.copy(ON_HOST, os.path.join(self.path, ".bin", "on_host"))
        if self.owner:
            os.chown(self.path, self.owner, self.owner)
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path)


# What the page's table of hosts says: commands, and what they print there.
PROCESSES = (r"--grant exec:|git\.policy", r"^capbroker: start worker: processes need a pid namespace\n")
CONNECTIONS = (r"--grant (connect|dns|listen):",
               r"^capbroker: start worker: connections need pidfd_getfd, which this host forbids\n")
LEARNS = (r"--learn server", r"PermissionError")
NOTHING = (r"capbroker run", r"^capbroker: start worker: a supervisor needs (landlock|violation reports)\n")
DOCKER = (PROCESSES, CONNECTIONS, LEARNS)
HOSTS = {
    "root-without-user-namespaces": (),
    "user-without-user-namespaces": (PROCESSES,),
    "root-in-docker": DOCKER,
    "user-in-docker": DOCKER,
    "user-without-landlock": (NOTHING,),
    "root-without-reports": (NOTHING,),
}
CANNOT_BE_HAD = 77


def can_become(user):
    """No: the sandbox of a build has one user."""
    try:
        return subprocess.run(["/bin/true"], user=user, group=user, extra_groups=[]).returncode == 0
    except (OSError, subprocess.SubprocessError):
        return False


def run_page(everything, name, nobody, port, **options):
    faults = []
    for title, blocks in everything:
        with Places(nobody) as directory:
            if "prefix" in options:
                options["prefix"] = [os.path.join(directory, ".bin", "on_host"), name]
            faults += [f"{name}: {fault}" for fault in run_section(title, blocks, directory, port, **options)]
    return faults


def main():
    with open(PAGE) as page:
        everything = list(sections(page.read()))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Letter)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = str(server.server_port)
    nobody = pwd.getpwnam("nobody").pw_uid
    faults = run_page(everything, "here", None, port)
    if can_become(nobody):
        faults += run_page(everything, "nobody", nobody, port, user=nobody, group=nobody, extra_groups=[])
        for host, differs in HOSTS.items():
            if subprocess.run([ON_HOST, host, "/bin/true"]).returncode == CANNOT_BE_HAD:
                print(f"{host}: cannot be had here")
                continue
            owner = nobody if host.startswith("user-") else None
            faults += run_page(everything, host, owner, port, prefix=(), differs=differs)
    print("\n".join(faults))
    print(f"{len(everything)} sections, {len(faults)} commands differ")
    sys.exit(1 if faults or len(everything) < 8 else 0)


main()
