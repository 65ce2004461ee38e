"""`capbroker_service`: the C++ interfaces of the services in some proto files.

    capbroker_proto(
        name = "word_counter_proto",
        srcs = ["word_counter.proto"],
        deps = ["@capbroker//proto:authority"],
    )

    capbroker_service(
        name = "word_counter",
        proto = ":word_counter_proto",
    )

For every proto file of `proto`, in a library for each side, so that a worker links nothing that serves:

    :word_counter_grpc       word_counter.grpc.pb.h     gRPC's own: WordCounter::StubInterface, ::Service
    :word_counter_client     word_counter.capbroker.h   the client: unary calls on the lane, others on the wire
    :word_counter_dispatch   word_counter.dispatch.h    the dispatch table, with the checks in front
    :word_counter_fake       word_counter.fake.h        a stub made of functions, for tests of callers
    :word_counter_proxy      word_counter.proxy.h       the service, served by calling a channel of it, for
                                                        Interpose<WordCounter, ...> of services/interpose.h

and `:word_counter`, which is the first three. Beside them:

    :word_counter_doc                  word_counter_doc.md: what a caller wants to know, from the proto
    :word_counter_compatibility_test   with `recorded`: fails when the proto takes something from those who use
    :word_counter_record               its recorded version, which `bazel run` of the last one writes
    :word_counter_fuzz                 a test: hostile bytes against the checks in front of the service. As a
                                       fuzzer: `bazel run :word_counter_fuzz -- --seconds=600`; with libFuzzer:
                                       `bazel build --config=libfuzzer :word_counter_fuzz`
"""

load(":image.bzl", "compatibility_targets", "proto_image")
load(":page.bzl", "service_page")
load(":proto.bzl", "GENERATING_ATTRIBUTES", "ProtoFilesInfo", "compile_generated", "generate")

# The protoc plugin, built from this repository with the compiler that runs the build.
_PLUGIN = Label("//tools/protoc-gen-capbroker")

# What is generated for each side, and what it includes.
_PARTS = {
    "grpc": struct(suffixes = [".grpc.pb.h", ".grpc.pb.cc"], plugin = "grpc", runtime = None),
    "client": struct(suffixes = [".capbroker.h", ".capbroker.cc"], plugin = "capbroker", runtime = Label("//transport:stub")),
    "dispatch": struct(suffixes = [".dispatch.h", ".dispatch.cc"], plugin = "capbroker", runtime = Label("//serving:generated_dispatch")),
    "fake": struct(suffixes = [".fake.h"], plugin = "capbroker", runtime = None),
    "proxy": struct(suffixes = [".proxy.h"], plugin = "capbroker", runtime = Label("//serving/interposition:proxy")),
}

# Parts that another part's files include.
_INCLUDED = {
    "proxy": ["grpc", "client", "dispatch"],
}

def _generated_service_impl(ctx):
    proto = ctx.attr.proto[ProtoFilesInfo]
    part = _PARTS[ctx.attr.part]
    plugin = ctx.attr._grpc_cpp_plugin if part.plugin == "grpc" else ctx.attr._plugin
    generated = generate(
        ctx,
        proto.direct,
        proto.transitive,
        [file.import_path for file in proto.transitive.to_list()],
        part.suffixes,
        plugin = plugin[DefaultInfo].files_to_run,
        plugin_name = part.plugin,
    )
    return compile_generated(ctx, [generated], [ctx.attr.proto, ctx.attr._grpc] + ctx.attr.deps)

_generated_service = rule(
    doc = "One side's library of the services in the files of a capbroker_proto target.",
    implementation = _generated_service_impl,
    attrs = dict(
        GENERATING_ATTRIBUTES,
        proto = attr.label(
            doc = "The capbroker_proto target.",
            providers = [CcInfo, ProtoFilesInfo],
            mandatory = True,
        ),
        part = attr.string(
            doc = "Which side.",
            values = _PARTS.keys(),
            mandatory = True,
        ),
        deps = attr.label_list(
            doc = "What the generated files include.",
            providers = [CcInfo],
        ),
        _grpc = attr.label(default = "@system//:grpc++", providers = [CcInfo]),
        _grpc_cpp_plugin = attr.label(default = "@system//:grpc_cpp_plugin", executable = True, cfg = "exec"),
        _plugin = attr.label(default = _PLUGIN, executable = True, cfg = "exec"),
    ),
    provides = [CcInfo],
    fragments = ["cpp"],
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
    incompatible_use_toolchain_transition = True,
)

def _generated_fuzz_impl(ctx):
    proto = ctx.attr.proto[ProtoFilesInfo]
    generated = generate(
        ctx,
        proto.direct,
        proto.transitive,
        [file.import_path for file in proto.transitive.to_list()],
        [".fuzz.cc"],
        plugin = ctx.attr._plugin[DefaultInfo].files_to_run,
        plugin_name = "capbroker",
    )
    return [DefaultInfo(files = depset(generated.files))]

_generated_fuzz = rule(
    doc = "The sources that make the services in the files of a capbroker_proto target known to tools/fuzz.",
    implementation = _generated_fuzz_impl,
    attrs = {
        "proto": attr.label(doc = "The capbroker_proto target.", providers = [ProtoFilesInfo], mandatory = True),
        "_plugin": attr.label(default = _PLUGIN, executable = True, cfg = "exec"),
        "_protoc": attr.label(default = "@system//:protoc", executable = True, cfg = "exec"),
    },
)

def capbroker_service(name, proto, recorded = None, fuzz = True, fuzz_tags = [], visibility = None, testonly = False):
    """Declares the libraries of the services in the files of `proto`, their page and their tests.

    Args:
      name: the stem of the targets' names.
      proto: a capbroker_proto target.
      recorded: the version of the proto that users rely on: a file of the package in the text form of
        FileDescriptorSet, checked in and written by `bazel run` of `<name>_record`. Without one nothing is
        held to be compatible.
      fuzz: whether it has a fuzzer. Of a proto whose services the schema refuses it fails.
      fuzz_tags: of the fuzzer's test.
      visibility: of the libraries and the page.
      testonly: of the libraries and the page.
    """
    for part in _PARTS:
        included = _INCLUDED.get(part, [] if part == "grpc" else ["grpc"])
        runtime = [str(_PARTS[part].runtime)] if _PARTS[part].runtime else []
        _generated_service(
            name = "%s_%s" % (name, part),
            proto = proto,
            part = part,
            deps = [":%s_%s" % (name, other) for other in included] + runtime,
            testonly = testonly,
            visibility = visibility,
        )
    native.cc_library(
        name = name,
        testonly = testonly,
        visibility = visibility,
        deps = [":%s_%s" % (name, part) for part in ["grpc", "client", "dispatch"]],
    )
    proto_image(
        name = name + "_image",
        protos = [proto],
        testonly = testonly,
        visibility = visibility,
    )
    service_page(
        name = name + "_doc",
        images = [":%s_image" % name],
        out = name + "_doc.md",
        testonly = testonly,
        visibility = visibility,
    )
    if recorded:
        compatibility_targets(name, ":%s_image" % name, recorded)
    if fuzz:
        _generated_fuzz(
            name = name + "_fuzz_sources",
            proto = proto,
            testonly = True,
            visibility = visibility,
        )
        native.cc_test(
            name = name + "_fuzz",
            size = "small",
            srcs = [":%s_fuzz_sources" % name],
            tags = fuzz_tags,
            deps = [
                ":%s_dispatch" % name,
                str(Label("//tools/fuzz:main")),
                str(Label("//tools/fuzz:service_fuzz")),
            ],
        )
