"""Bazel's rules for the folders of tests."""

load("@rules_python//python:defs.bzl", "py_library", "py_test")

def pytest_tests(folder = "", deps = [], helper_deps = [], data = []):
    """The tests of a folder, one py_test a file, and two libraries: of what they share, and of the test files.

    Args:
        folder: Below tests; "" is tests itself, without its folders.
        deps: What the test files import.
        helper_deps: What conftest.py and the helpers import.
        data: Files that the tests read, and programs that they start.
    """
    prefix = folder + "/" if folder else ""
    below = prefix + "**/" if folder else ""
    tests = native.glob([below + "test_*.py"], allow_empty = True)
    fixtures = native.glob([below + "*"], exclude = ["**/*.py", "BUILD", "*.bzl"], allow_empty = True)
    py_library(
        name = prefix + "helpers",
        srcs = native.glob([below + "*.py"], exclude = tests + ["bazel_main.py"]),
        data = ["//configs"] + fixtures,
        deps = helper_deps,
    )
    py_library(
        name = prefix + "sources",
        srcs = tests,
        data = data,
        deps = deps + [":helpers"] + ([":%shelpers" % prefix] if folder else []),
    )
    for test in tests:
        py_test(
            name = test[:-len(".py")],
            srcs = ["bazel_main.py"],
            args = ["$(rootpath %s)" % test],
            data = [test],
            main = "bazel_main.py",
            deps = [":" + prefix + "sources", "@pypi//pytest", "@pypi//pytest_timeout"],
        )
    native.test_suite(name = prefix + "tests", tests = [test[:-len(".py")] for test in tests])
