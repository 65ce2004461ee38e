"""The external repositories of a workspace that contains or uses capbroker.

A workspace that uses capbroker says:

    local_repository(name = "capbroker", path = "...")
    load("@capbroker//third_party:repositories.bzl", "capbroker_dependencies")
    capbroker_dependencies()

Nothing here is downloaded: the libraries are Debian's packages, and the rules that Bazel itself asks
for are the copies that Debian installs beside it.
"""

load(":stubs.bzl", "STUBS", "stub_repository")
load("//third_party/system:system_libraries.bzl", "system_libraries")

# What Bazel 4 loads on its own account, and where Debian's packages put it.
_INSTALLED = {
    "bazel_skylib": "/usr/share/bazel/tools/skylib",
    "platforms": "/usr/share/bazel/tools/platforms",
    "rules_java": "/usr/share/bazel/rules/java",
    "rules_proto": "/usr/share/bazel/rules/proto",
}

def capbroker_dependencies():
    """Declares every repository that capbroker needs and that the workspace has not declared before."""
    for name, path in _INSTALLED.items():
        if not native.existing_rule(name):
            native.local_repository(name = name, path = path)
    for name, files in STUBS.items():
        if not native.existing_rule(name):
            stub_repository(name = name, files = files)
    if not native.existing_rule("system"):
        system_libraries(name = "system")
    if not native.existing_rule("peers"):
        system_libraries(name = "peers", peers = True)
