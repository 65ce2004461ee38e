"""`capbroker_proto`: protos to C++ messages, with Debian's protoc.

    capbroker_proto(
        name = "greeter_proto",
        srcs = ["greeter.proto"],
        deps = ["@capbroker//proto:limit_options"],
    )

    cc_library(
        name = "greeter",
        deps = [":greeter_proto"],    # #include "path/from/the/root/greeter.pb.h"
    )

A file is imported, and its header included, by its path from the root of its repository;
`strip_import_prefix` cuts the path, as it does in Bazel's own `proto_library`. A proto may import what its
target names in `deps` and Google's well-known types, nothing else.

The rule stands on its own instead of on `proto_library`, because the latter wants protobuf's sources or a
download of them.
"""

load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")

ProtoFilesInfo = provider(
    doc = "The proto files of a target, for rules that run protoc over them.",
    fields = {
        "direct": "list of struct(file, import_path): the target's own files",
        "transitive": "depset of struct(file, import_path): these and all that they import",
        "importable": "list of import paths: what the direct dependents may import",
    },
)

# Part of protobuf itself: protoc finds them beside its own installation.
_WELL_KNOWN = ["google/protobuf/%s.proto" % stem for stem in [
    "any",
    "api",
    "compiler/plugin",
    "descriptor",
    "duration",
    "empty",
    "field_mask",
    "source_context",
    "struct",
    "timestamp",
    "type",
    "wrappers",
]]

def _import_flag(proto):
    return "-I%s=%s" % (proto.import_path, proto.file.path)

def _import_prefix(ctx):
    """The folder, relative to the repository's root, that import paths start below; ends in "/" or is empty."""
    prefix = ctx.attr.strip_import_prefix
    if prefix.startswith("/"):
        prefix = prefix[1:]
    elif prefix:
        prefix = ctx.label.package + "/" + prefix
    else:
        prefix = ctx.label.package
    prefix = prefix.strip("/")
    return prefix + "/" if prefix else ""

def _import_path(ctx, file):
    path = file.short_path
    if path.startswith("../"):
        # "../repository/path": a file of another repository than the one that is built.
        path = path.split("/", 2)[2]
    prefix = _import_prefix(ctx)
    if not path.startswith(prefix):
        fail("%s is not below strip_import_prefix, which is \"%s\"" % (path, prefix), "srcs")
    return path[len(prefix):]

def _stem(import_path):
    return import_path[:-len(".proto")]

def generate(ctx, protos, files, importable, suffixes, plugin = None, plugin_name = "cpp"):
    """Runs protoc with one generator.

    The results are put below a folder of the target's own, at their import paths, so that the folder is an
    include root and no two targets write the same file.

    Args:
      ctx: the rule's context, with the attribute `_protoc`.
      protos: list of struct(file, import_path), the files to generate from.
      files: depset of struct(file, import_path), all that these import, and themselves.
      importable: the import paths that they may name.
      suffixes: what replaces ".proto" in the names of the results, such as ".pb.h".
      plugin: the executable of a protoc plugin (an attribute's `files_to_run`); None for messages.
      plugin_name: its name.

    Returns:
      struct(files, root): the list of generated files and the include root.
    """
    outputs = []
    folder = "_cc/" + ctx.label.name
    for proto in protos:
        for suffix in suffixes:
            outputs.append(ctx.actions.declare_file("%s/%s%s" % (folder, _stem(proto.import_path), suffix)))
    root = "/".join([
        part
        for part in [ctx.bin_dir.path, ctx.label.workspace_root, ctx.label.package, folder]
        if part
    ])

    arguments = ctx.actions.args()
    arguments.add_all(files, map_each = _import_flag)
    arguments.add_joined(
        "--direct_dependencies",
        depset(importable + [proto.import_path for proto in protos] + _WELL_KNOWN),
        join_with = ":",
    )
    arguments.add("--direct_dependencies_violation_msg", "%%s is imported, but %s has no dependency on its target" % ctx.label)
    arguments.add("--%s_out=%s" % (plugin_name, root))
    tools = []
    if plugin:
        arguments.add(plugin.executable, format = "--plugin=protoc-gen-%s=%%s" % plugin_name)
        tools.append(plugin)
    arguments.add_all([proto.import_path for proto in protos])

    ctx.actions.run(
        executable = ctx.executable._protoc,
        arguments = [arguments],
        inputs = depset([proto.file for proto in files.to_list()]),
        tools = tools,
        outputs = outputs,
        mnemonic = "CapbrokerProtoc",
        progress_message = "Generating %s from %s" % (plugin_name, ctx.label),
    )
    return struct(files = outputs, root = root)

def describe(ctx, protos, output):
    """Writes a serialised FileDescriptorSet of proto files, all that they import, and their comments.

    Args:
      ctx: the rule's context, with the attribute `_protoc`.
      protos: list of ProtoFilesInfo.
      output: the file to write.

    Returns:
      The import paths of the files that are the targets' own.
    """
    files = depset(transitive = [proto.transitive for proto in protos])
    direct = []
    for proto in protos:
        direct += [file.import_path for file in proto.direct]
    arguments = ctx.actions.args()
    arguments.add_all(files, map_each = _import_flag)
    arguments.add_all(["--include_imports", "--include_source_info"])
    arguments.add(output, format = "--descriptor_set_out=%s")
    arguments.add_all(direct)
    ctx.actions.run(
        executable = ctx.executable._protoc,
        arguments = [arguments],
        inputs = [file.file for file in files.to_list()],
        outputs = [output],
        mnemonic = "CapbrokerDescribe",
        progress_message = "Describing %s" % ctx.label,
    )
    return direct

def compile_generated(ctx, generated, deps):
    """Compiles generated files into a library, without warnings: nobody can act on them.

    Args:
      ctx: the rule's context, with `fragments = ["cpp"]` and the C++ toolchain.
      generated: list of what `generate` returned.
      deps: targets with CcInfo that the files include.

    Returns:
      The library's CcInfo and its DefaultInfo, in a list.
    """
    toolchain = find_cpp_toolchain(ctx)
    features = cc_common.configure_features(
        ctx = ctx,
        cc_toolchain = toolchain,
        requested_features = ctx.features,
        unsupported_features = ctx.disabled_features,
    )
    files = []
    for part in generated:
        files += part.files
    headers = [file for file in files if file.extension == "h"]
    sources = [file for file in files if file.extension == "cc"]
    infos = [dep[CcInfo] for dep in deps]

    compilation, objects = cc_common.compile(
        actions = ctx.actions,
        feature_configuration = features,
        cc_toolchain = toolchain,
        name = ctx.label.name,
        srcs = sources,
        public_hdrs = headers,
        system_includes = depset([part.root for part in generated]).to_list(),
        user_compile_flags = ["-w"],
        compilation_contexts = [info.compilation_context for info in infos],
    )
    linking, outputs = cc_common.create_linking_context_from_compilation_outputs(
        actions = ctx.actions,
        feature_configuration = features,
        cc_toolchain = toolchain,
        name = ctx.label.name,
        compilation_outputs = objects,
        linking_contexts = [info.linking_context for info in infos],
        disallow_dynamic_library = True,
    )
    library = outputs.library_to_link if outputs else None
    archives = []
    if library:
        archives = [archive for archive in [library.static_library, library.pic_static_library] if archive]
    return [
        CcInfo(compilation_context = compilation, linking_context = linking),
        DefaultInfo(files = depset(archives)),
        OutputGroupInfo(generated = depset(files)),
    ]

def _capbroker_proto_impl(ctx):
    direct = [struct(file = file, import_path = _import_path(ctx, file)) for file in ctx.files.srcs]
    transitive = depset(direct, transitive = [dep[ProtoFilesInfo].transitive for dep in ctx.attr.deps])
    importable = []
    for dep in ctx.attr.deps:
        importable += dep[ProtoFilesInfo].importable

    generated = generate(ctx, direct, transitive, importable, [".pb.h", ".pb.cc"])
    return compile_generated(ctx, [generated], ctx.attr.deps + [ctx.attr._protobuf]) + [
        ProtoFilesInfo(
            direct = direct,
            transitive = transitive,
            importable = [proto.import_path for proto in direct],
        ),
    ]

# What `generate` and `compile_generated` need of a rule.
GENERATING_ATTRIBUTES = {
    "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:current_cc_toolchain"),
    "_protoc": attr.label(default = "@system//:protoc", executable = True, cfg = "exec"),
}

capbroker_proto = rule(
    doc = "A C++ library of the messages of some proto files, and the files for others to import.",
    implementation = _capbroker_proto_impl,
    attrs = dict(
        GENERATING_ATTRIBUTES,
        srcs = attr.label_list(
            doc = "The proto files.",
            allow_files = [".proto"],
            mandatory = True,
        ),
        deps = attr.label_list(
            doc = "The capbroker_proto targets whose files these import.",
            providers = [CcInfo, ProtoFilesInfo],
        ),
        strip_import_prefix = attr.string(
            doc = "What to cut off the files' paths: from the repository's root if it starts with \"/\", " +
                  "from the package otherwise.",
            default = "/",
        ),
        _protobuf = attr.label(default = "@system//:protobuf", providers = [CcInfo]),
    ),
    provides = [CcInfo, ProtoFilesInfo],
    fragments = ["cpp"],
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
    incompatible_use_toolchain_transition = True,
)
