"""What Bazel 4 would download is written here: its own rules, by name.

`bazel-bootstrap` has its rules inside, but asks the network for the
repositories that used to be their homes. WORKSPACE puts these in their place,
so a machine without a network builds and tests as well. Newer Bazels read
MODULE.bazel in place of WORKSPACE, and take the real ones.
"""

def _written_repository_impl(repository):
    repository.file("WORKSPACE", "")
    for path, content in repository.attr.files.items():
        repository.file(path, content)

_written_repository = repository_rule(
    implementation = _written_repository_impl,
    attrs = {"files": attr.string_dict(mandatory = True)},
    doc = "A repository of a few files, by path.",
)

def _native_rules(language, rules):
    lines = ["%s = native.%s" % (rule, rule) for rule in rules]
    _written_repository(
        name = "rules_" + language,
        files = {
            language + "/BUILD": "",
            language + "/defs.bzl": "\n".join(lines) + "\n",
        },
    )

def offline_repositories():
    """The repositories that Bazel 4 reads before it builds `//...`."""
    _native_rules("python", ["py_library", "py_test"])

    # Bazel's own BUILD files load these, but nothing here is made of them.
    _native_rules("cc", [
        "cc_binary",
        "cc_library",
        "cc_test",
        "cc_toolchain",
        "cc_toolchain_suite",
    ])
    _native_rules("java", ["java_import", "java_runtime", "java_toolchain"])

    # `bazel coverage` would run it; `bazel test` only looks where it is.
    _written_repository(
        name = "remote_coverage_tools",
        files = {"BUILD": """
filegroup(
    name = "coverage_report_generator",
    visibility = ["//visibility:public"],
)
"""},
    )
