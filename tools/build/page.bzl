"""Pages about services, from the descriptors and comments of their protos.

`capbroker_service` makes one for each service, `<name>_doc`; `checked_in_page` puts one where readers of the
source tree find it, and keeps it true.
"""

load(":image.bzl", "ImageInfo", "TOOL", "record_command", "source_path")

def _service_page_impl(ctx):
    arguments = ctx.actions.args()
    arguments.add(ctx.attr.page)
    arguments.add(ctx.outputs.out)
    for image in ctx.attr.images:
        arguments.add(image[ImageInfo].image)
        arguments.add_all(image[ImageInfo].direct)
    ctx.actions.run(
        executable = ctx.executable._tool,
        arguments = [arguments],
        inputs = [image[ImageInfo].image for image in ctx.attr.images],
        outputs = [ctx.outputs.out],
        mnemonic = "CapbrokerPage",
        progress_message = "Writing %s" % ctx.label,
    )
    return [DefaultInfo(files = depset([ctx.outputs.out]))]

service_page = rule(
    doc = "A page of Markdown about the services of some protos.",
    implementation = _service_page_impl,
    attrs = {
        "images": attr.label_list(doc = "proto_image targets.", providers = [ImageInfo], mandatory = True),
        "out": attr.output(doc = "The page.", mandatory = True),
        "page": attr.string(
            doc = "\"service\": what a caller wants to know; \"authority\": one table of what bounds every request field.",
            values = ["service", "authority"],
            default = "service",
        ),
        "_tool": attr.label(default = Label("//tools/pages"), executable = True, cfg = TOOL),
    },
)

def _page_test_impl(ctx):
    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    ctx.actions.write(script, """#!/bin/sh
diff -u '{checked_in}' '{page}' && exit 0
echo "{checked_in} is out of date: {command}"
exit 1
""".format(
        checked_in = ctx.file.checked_in.short_path,
        page = ctx.file.page.short_path,
        command = record_command(ctx.label.relative(ctx.attr.record)),
    ), is_executable = True)
    return [DefaultInfo(
        executable = script,
        runfiles = ctx.runfiles(files = [ctx.file.checked_in, ctx.file.page]),
    )]

_page_test = rule(
    doc = "Fails when a page in the source tree is not the one that its protos give.",
    implementation = _page_test_impl,
    test = True,
    attrs = {
        "checked_in": attr.label(allow_single_file = True, mandatory = True),
        "page": attr.label(allow_single_file = True, mandatory = True),
        "record": attr.string(mandatory = True),
    },
)

def _record_page_impl(ctx):
    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    ctx.actions.write(script, "#!/bin/sh\nexec cp '%s' \"%s\"\n" % (
        ctx.file.page.short_path,
        source_path(ctx, ctx.attr.checked_in),
    ), is_executable = True)
    return [DefaultInfo(executable = script, runfiles = ctx.runfiles(files = [ctx.file.page]))]

_record_page = rule(
    doc = "Puts a page into the source tree.",
    implementation = _record_page_impl,
    executable = True,
    attrs = {
        "checked_in": attr.string(mandatory = True),
        "page": attr.label(allow_single_file = True, mandatory = True),
    },
)

def checked_in_page(name, page, images, checked_in):
    """A page that readers find in the source tree: `<name>_test` fails when it is out of date.

    Args:
      name: the stem of the targets' names; `bazel run` of `<name>_record` writes the page.
      page: as of service_page.
      images: as of service_page.
      checked_in: the file of the package.
    """
    service_page(
        name = name + "_page",
        images = images,
        out = name + ".generated.md",
        page = page,
    )
    _record_page(
        name = name + "_record",
        checked_in = checked_in,
        page = ":%s.generated.md" % name,
    )
    _page_test(
        name = name + "_test",
        size = "small",
        checked_in = checked_in,
        page = ":%s.generated.md" % name,
        record = ":%s_record" % name,
    )
