"""Protos by their descriptors, and held to what was recorded of them.

`capbroker_service` does this for its own proto; other protos may have it by themselves:

    capbroker_compatibility(
        name = "greeter",
        protos = [":greeter_proto"],
        recorded = "greeter.image.textproto",
    )

gives `:greeter_compatibility_test`, which fails when the proto takes something from the users of the recorded
version (tools/compatibility/compatibility.h says what), and `bazel run //...:greeter_record`, which records
the present one, also for the first time.
"""

load(":proto.bzl", "ProtoFilesInfo", "describe")

ImageInfo = provider(
    doc = "A described set of proto files.",
    fields = {
        "image": "the file: a serialised FileDescriptorSet with imports and comments",
        "direct": "list of import paths: the files that are meant",
    },
)

# The tools are built like the code that they are built from, and not a second time for the machine that
# builds: it is the machine that the tests run on.
TOOL = "target"

def _image_impl(ctx):
    output = ctx.actions.declare_file(ctx.label.name + ".binpb")
    direct = describe(ctx, [proto[ProtoFilesInfo] for proto in ctx.attr.protos], output)
    return [DefaultInfo(files = depset([output])), ImageInfo(image = output, direct = direct)]

proto_image = rule(
    doc = "The descriptors of some protos.",
    implementation = _image_impl,
    attrs = {
        "protos": attr.label_list(doc = "capbroker_proto targets.", providers = [ProtoFilesInfo], mandatory = True),
        "_protoc": attr.label(default = "@system//:protoc", executable = True, cfg = "exec"),
    },
)

def _script(ctx, action, path, command):
    """A shell script that runs the compatibility tool from the runfiles' folder."""
    image = ctx.attr.image[ImageInfo]
    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    arguments = [action, "'%s'" % image.image.short_path, "'%s'" % command, '"%s"' % path]
    arguments += ["'%s'" % file for file in image.direct]
    ctx.actions.write(
        script,
        "#!/bin/sh\nexec '%s' %s\n" % (ctx.executable._tool.short_path, " ".join(arguments)),
        is_executable = True,
    )
    return script, [ctx.executable._tool, image.image]

def source_path(ctx, file):
    """For a shell: where `bazel run` finds a file of the package in the source tree."""
    parts = ["${BUILD_WORKSPACE_DIRECTORY:?to be run by bazel run}", ctx.label.package, file]
    return "/".join([part for part in parts if part])

def record_command(label):
    return "bazel run //%s:%s" % (label.package, label.name)

def _compatibility_test_impl(ctx):
    recorded = ctx.file.recorded
    command = record_command(ctx.label.relative(ctx.attr.record))
    script, files = _script(ctx, "check", recorded.short_path, command)
    return [DefaultInfo(executable = script, runfiles = ctx.runfiles(files = files + [recorded]))]

_TOOL_ATTRIBUTES = {
    "image": attr.label(doc = "The proto_image target.", providers = [ImageInfo], mandatory = True),
    "_tool": attr.label(default = Label("//tools/compatibility"), executable = True, cfg = TOOL),
}

_compatibility_test = rule(
    doc = "Fails when a proto takes something from the users of its recorded version.",
    implementation = _compatibility_test_impl,
    test = True,
    attrs = dict(
        _TOOL_ATTRIBUTES,
        record = attr.string(doc = "The target that records, for the message.", mandatory = True),
        recorded = attr.label(doc = "The recorded image.", allow_single_file = True, mandatory = True),
    ),
)

def _record_impl(ctx):
    script, files = _script(ctx, "record", source_path(ctx, ctx.attr.recorded), record_command(ctx.label))
    return [DefaultInfo(executable = script, runfiles = ctx.runfiles(files = files))]

_record = rule(
    doc = "Records the present version of a proto in the source tree.",
    implementation = _record_impl,
    executable = True,
    attrs = dict(
        _TOOL_ATTRIBUTES,
        recorded = attr.string(doc = "The file to write, from the package's folder.", mandatory = True),
    ),
)

def compatibility_targets(name, image, recorded):
    """`<name>_compatibility_test` and `<name>_record` for a proto_image target.

    Args:
      name: the stem of the targets' names.
      image: the proto_image target.
      recorded: the recorded image: a file of the package, checked in. `bazel run` of `<name>_record` writes it.
    """
    _record(
        name = name + "_record",
        image = image,
        recorded = recorded,
        testonly = True,  # so that services of tests have it too
    )
    _compatibility_test(
        name = name + "_compatibility_test",
        size = "small",
        image = image,
        record = ":%s_record" % name,
        recorded = recorded,
    )

def capbroker_compatibility(name, protos, recorded):
    """Holds protos to their recorded version.

    Args:
      name: the stem of the targets' names.
      protos: capbroker_proto targets.
      recorded: the recorded image, as in compatibility_targets.
    """
    proto_image(
        name = name + "_image",
        protos = protos,
    )
    compatibility_targets(name, ":%s_image" % name, recorded)
