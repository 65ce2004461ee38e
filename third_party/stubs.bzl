"""Stand-ins for two repositories that Bazel 4 insists on loading.

Debian has no form of them that loads under its Bazel. Of `rules_cc` only the names matter: Bazel's own
rules are behind each. Of `remote_coverage_tools` only the labels matter: they are asked for by every
test and used by `bazel coverage` alone, which is not supported here.
"""

_RULES_CC_NAMES = [
    "cc_binary",
    "cc_import",
    "cc_library",
    "cc_libc_top_alias",
    "cc_proto_library",
    "cc_test",
    "cc_toolchain",
    "cc_toolchain_suite",
    "fdo_prefetch_hints",
    "fdo_profile",
    "objc_import",
    "objc_library",
]

def _rule_or_none(name):
    return "%s = getattr(native, \"%s\", None)" % (name, name)

STUBS = {
    "remote_coverage_tools": {
        "BUILD.bazel": "\n".join([
            "package(default_visibility = [\"//visibility:public\"])",
            "filegroup(name = \"coverage_report_generator\")",
            "filegroup(name = \"lcov_merger\")",
            "",
        ]),
    },
    "rules_cc": {
        "BUILD.bazel": "",
        "cc/BUILD.bazel": "exports_files([\"defs.bzl\"])\n",
        "cc/defs.bzl": "\n".join([_rule_or_none(name) for name in _RULES_CC_NAMES]) + "\n",
    },
}

def _stub_repository_impl(repository_ctx):
    repository_ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % repository_ctx.name, executable = False)
    for path, content in repository_ctx.attr.files.items():
        repository_ctx.file(path, content, executable = False)

stub_repository = repository_rule(
    doc = "A repository whose whole content stands in its declaration.",
    implementation = _stub_repository_impl,
    attrs = {"files": attr.string_dict(doc = "Path to content.", mandatory = True)},
)
