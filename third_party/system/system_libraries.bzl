"""Debian's libraries and programs as targets of one repository, `@system`.

`@system//:absl_status` and its like are `cc_library` targets that carry the linker's flags and nothing
else: the headers are in /usr/include, where the compiler looks anyway. The flags come from pkg-config
and are put between --as-needed, so that a program needs at run time what it uses.

Libraries are the shared ones that Debian maintains: programs are small and quick to link, and a security
fix needs no new build. An optimised program (`-c opt`) has gRPC, Protocol Buffers and Abseil linked into
it: a process that is forked from it has a tenth of the mappings to copy, which is half of the time that a
worker or a service process takes to start. TLS and zlib, in which bytes of strangers are parsed, stay shared.
`--define=capbroker_libraries=shared` shares all of them in optimised programs, too, as one must that loads
libraries which use Protocol Buffers themselves.

A missing package fails the build with one line that names it.
"""

# Target name: (Debian package, pkg-config modules). One target for one header or family of headers, so
# that a BUILD file says what its code includes.
_PKG_CONFIG_LIBRARIES = {
    "absl_algorithm": ("libabsl-dev", ["absl_algorithm", "absl_algorithm_container"]),
    "absl_any_invocable": ("libabsl-dev", ["absl_any_invocable"]),
    "absl_base": ("libabsl-dev", ["absl_base"]),
    "absl_bind_front": ("libabsl-dev", ["absl_bind_front"]),
    "absl_btree": ("libabsl-dev", ["absl_btree"]),
    "absl_cleanup": ("libabsl-dev", ["absl_cleanup"]),
    "absl_cord": ("libabsl-dev", ["absl_cord"]),
    "absl_core_headers": ("libabsl-dev", ["absl_core_headers"]),
    "absl_failure_signal_handler": ("libabsl-dev", ["absl_failure_signal_handler"]),
    "absl_fixed_array": ("libabsl-dev", ["absl_fixed_array"]),
    "absl_flags": ("libabsl-dev", ["absl_flags"]),
    "absl_flags_parse": ("libabsl-dev", ["absl_flags_parse", "absl_flags_usage"]),
    "absl_flat_hash_map": ("libabsl-dev", ["absl_flat_hash_map"]),
    "absl_flat_hash_set": ("libabsl-dev", ["absl_flat_hash_set"]),
    "absl_function_ref": ("libabsl-dev", ["absl_function_ref"]),
    "absl_functional": ("libabsl-dev", ["absl_any_invocable", "absl_bind_front", "absl_function_ref"]),
    "absl_hash": ("libabsl-dev", ["absl_hash"]),
    "absl_inlined_vector": ("libabsl-dev", ["absl_inlined_vector"]),
    "absl_int128": ("libabsl-dev", ["absl_int128"]),
    "absl_memory": ("libabsl-dev", ["absl_memory"]),
    "absl_node_hash_map": ("libabsl-dev", ["absl_node_hash_map", "absl_node_hash_set"]),
    "absl_optional": ("libabsl-dev", ["absl_optional"]),
    "absl_random": ("libabsl-dev", ["absl_random_random"]),
    "absl_span": ("libabsl-dev", ["absl_span"]),
    "absl_stacktrace": ("libabsl-dev", ["absl_stacktrace"]),
    "absl_status": ("libabsl-dev", ["absl_status"]),
    "absl_statusor": ("libabsl-dev", ["absl_statusor"]),
    "absl_str_format": ("libabsl-dev", ["absl_str_format"]),
    "absl_strings": ("libabsl-dev", ["absl_strings"]),
    "absl_symbolize": ("libabsl-dev", ["absl_symbolize"]),
    "absl_synchronization": ("libabsl-dev", ["absl_synchronization"]),
    "absl_time": ("libabsl-dev", ["absl_time"]),
    "absl_type_traits": ("libabsl-dev", ["absl_type_traits"]),
    "absl_types": ("libabsl-dev", ["absl_any", "absl_optional", "absl_span", "absl_variant"]),
    "absl_utility": ("libabsl-dev", ["absl_utility"]),
    "absl_variant": ("libabsl-dev", ["absl_variant"]),
    "benchmark": ("libbenchmark-dev", ["benchmark"]),
    "cares": ("libc-ares-dev", ["libcares"]),
    "crypto": ("libssl-dev", ["libcrypto"]),
    "gmock": ("libgmock-dev", ["gmock"]),
    "grpc++": ("libgrpc++-dev", ["grpc++"]),
    "gtest": ("libgtest-dev", ["gtest"]),
    "gtest_main": ("libgmock-dev", ["gmock_main"]),
    "protobuf": ("libprotobuf-dev", ["protobuf"]),
}

# The same for libraries that have no pkg-config file: (Debian package, a header of it, linker flags).
_PLAIN_LIBRARIES = {
    "protoc_lib": ("libprotoc-dev", "google/protobuf/compiler/plugin.h", ["-lprotoc", "-lprotobuf"]),
}

# Target name: Debian package.
_PROGRAMS = {
    "grpc_cpp_plugin": "protobuf-compiler-grpc",
    "protoc": "protobuf-compiler",
}

# What //bench/peers alone needs, in a repository of its own, which is not looked at otherwise.
_PEER_LIBRARIES = {
    "capnp_rpc": ("libcapnp-dev", ["capnp-rpc"]),
    "systemd": ("libsystemd-dev", ["libsystemd"]),
}
_PEER_PROGRAMS = {
    "capnp": "capnproto",
    "capnpc-c++": "capnproto",
}

# Libraries whose headers include another library's.
_DEPS = {
    "gmock": ["gtest"],
    "grpc++": ["protobuf"],
    "gtest_main": ["gmock"],
    "protoc_lib": ["protobuf"],
}

# An optimised program looks its libraries' functions up when it starts. Otherwise each process that is forked
# from it does so again, and writes what it finds into a page of its own.
_LOOKED_UP_AT_START = ["-Wl,-z,now"]

# What an optimised program has in it; with an underscore at the end, all that begin so.
_LINKED_IN = ["absl_", "address_sorting", "cares", "gpr", "grpc", "grpc++", "protobuf", "protoc", "re2", "upb"]

_CC_LIBRARY = """
cc_library(
    name = "{name}",
    linkopts = select({{
        ":optimized": {optimized},
        ":optimized_and_shared": {shared},
        "//conditions:default": {shared},
    }}),
    deps = {deps},
)
"""

_CONFIG_SETTINGS = """
config_setting(
    name = "optimized",
    values = {"compilation_mode": "opt"},
)

config_setting(
    name = "optimized_and_shared",
    define_values = {"capbroker_libraries": "shared"},
    values = {"compilation_mode": "opt"},
)
"""

_PROGRAM = """
sh_binary(
    name = "{name}",
    srcs = ["bin/{name}"],
)
"""

def _missing(package, what):
    fail("capbroker needs the Debian package %s (%s not found): run ./bazelw, or `apt-get install %s`" %
         (package, what, package))

def _pkg_config(repository_ctx, pkg_config, package, modules):
    result = repository_ctx.execute([pkg_config, "--libs"] + modules)
    if result.return_code != 0:
        _missing(package, "pkg-config module " + " ".join(modules))

    # Only the libraries: --as-needed, which some modules ask for piecewise, is put around all of them.
    flags = []
    for flag in result.stdout.split(" "):
        flag = flag.strip()
        if flag.startswith("-l") and flag not in flags:
            flags.append(flag)
    return flags

def _as_needed(flags):
    return ["-Wl,--push-state,--as-needed"] + flags + ["-Wl,--pop-state"] if flags else []

def _linked_in(flag):
    for name in _LINKED_IN:
        if flag == "-l" + name or (name.endswith("_") and flag.startswith("-l" + name)):
            return True
    return False

def _optimized(flags):
    archives = [flag for flag in flags if _linked_in(flag)]
    if not archives:
        return _as_needed(flags)

    # A group: pkg-config's order is that of dependencies between modules, each of them once.
    return ["-Wl,--push-state,-Bstatic,--start-group"] + archives + ["-Wl,--end-group,--pop-state"] + \
           _as_needed([flag for flag in flags if not _linked_in(flag)])

def _declare_library(name, flags):
    return _CC_LIBRARY.format(
        name = name,
        shared = repr(_as_needed(flags)),
        optimized = repr(_LOOKED_UP_AT_START + _optimized(flags)),
        deps = repr([":" + dep for dep in _DEPS.get(name, [])]),
    )

def _declare(repository_ctx, pkg_config_libraries, plain_libraries, programs):
    pkg_config = repository_ctx.which("pkg-config")
    if not pkg_config:
        _missing("pkg-config", "pkg-config")

    build = [
        "# Debian's libraries and programs; see third_party/system/system_libraries.bzl of capbroker.",
        "package(default_visibility = [\"//visibility:public\"])",
        _CONFIG_SETTINGS,
    ]
    for name, (package, modules) in pkg_config_libraries.items():
        build.append(_declare_library(name, _pkg_config(repository_ctx, pkg_config, package, modules)))
    for name, (package, header, flags) in plain_libraries.items():
        if not repository_ctx.path("/usr/include/" + header).exists:
            _missing(package, header)
        build.append(_declare_library(name, flags))
    for name, package in programs.items():
        program = repository_ctx.which(name)
        if not program:
            _missing(package, name)
        repository_ctx.symlink(program, "bin/" + name)
        build.append(_PROGRAM.format(name = name))

    repository_ctx.file("BUILD.bazel", "\n".join(build), executable = False)

def _system_libraries_impl(repository_ctx):
    if repository_ctx.attr.peers:
        _declare(repository_ctx, _PEER_LIBRARIES, {}, _PEER_PROGRAMS)
    else:
        _declare(repository_ctx, _PKG_CONFIG_LIBRARIES, _PLAIN_LIBRARIES, _PROGRAMS)

system_libraries = repository_rule(
    doc = "Declares Debian's libraries and programs as targets.",
    implementation = _system_libraries_impl,
    attrs = {"peers": attr.bool(doc = "Those of the benchmark's peers, in the place of all others.")},
    configure = True,
    environ = ["PATH", "PKG_CONFIG_PATH"],
    # Looked at again whenever a Bazel server starts: packages come and go behind Bazel's back.
    local = True,
)
