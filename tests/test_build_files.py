"""BUILD files against the sources: each file once, each import a dependency; and Bazel's own view of the graph.

Bazel of Debian, 4.2.3, cannot run a py_test without fetching rules. But it can load all packages and walk the graph, with a rules_python
and distributions that a test makes up.
"""

import ast
import collections
import pathlib
import re
import shutil
import subprocess
import sys

from packaging import requirements
import pytest

from tests import programs
from tests import test_imports
from tests.tools import loading

ROOT = pathlib.Path(__file__).parents[1]
RUNNER = '//tests:bazel_main.py'
FOLDERS = ('tf_proxyless', 'android_benchmark', 'tools', 'tests', 'docs')
BUILD_FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob('BUILD'))


# Rules with the attributes of those of rules_python, which build nothing.
STAND_IN = '''
_FILES = attr.label_list(allow_files = True)
_LIBRARY = {"srcs": _FILES, "data": _FILES, "deps": attr.label_list()}
_PROGRAM = dict(_LIBRARY, main = attr.label(allow_single_file = True))

def _nothing(ctx):
    return []

py_library = rule(implementation = _nothing, attrs = _LIBRARY)
py_binary = rule(implementation = _nothing, attrs = _PROGRAM)
py_test = rule(implementation = _nothing, attrs = _PROGRAM, test = True)
'''


def rules(path):
  """(rule, arguments) of a BUILD file, which is a subset of Python."""
  for node in ast.parse(path.read_text(encoding='utf-8')).body:
    call = node.value
    if isinstance(call, ast.Call) and call.func.id.startswith('py_'):
      yield call.func.id, {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}


def all_rules():
  """(label, rule, arguments, folder) of everything."""
  for path in BUILD_FILES:
    package = path.parent.relative_to(ROOT).as_posix()
    for rule, arguments in rules(path):
      yield f'//{package}:{arguments["name"]}', rule, arguments, path.parent


def full(label):
  """A label of ours with its target's name."""
  return label if ':' in label or label.startswith('@') else f'{label}:{label.rpartition("/")[2]}'


def sources(arguments, folder):
  return [(folder / source).relative_to(ROOT).as_posix() for source in arguments['srcs'] if source != RUNNER]


def module_of(source):
  parts = pathlib.PurePosixPath(source).with_suffix('').parts
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


OWNERS = {module_of(source): label for label, _, arguments, folder in all_rules() for source in sources(arguments, folder)}


def test_every_source_is_listed_once():
  listed = collections.Counter(source for _, _, arguments, folder in all_rules() for source in sources(arguments, folder))
  there = [path.relative_to(ROOT).as_posix() for folder in FOLDERS for path in (ROOT / folder).rglob('*.py')]
  assert sorted(listed.elements()) == sorted(there)


def test_one_library_a_package_and_one_test_a_file():
  libraries = collections.Counter(folder for _, rule, _, folder in all_rules() if rule == 'py_library')
  assert libraries.pop(ROOT / 'tf_proxyless') == 2  # shared modules and zoo: one alone would be a circle
  assert set(libraries.values()) == {1}
  for _, rule, arguments, _ in all_rules():
    if rule == 'py_test':
      assert arguments['srcs'] == [f'{arguments["name"]}.py', RUNNER]
      assert arguments['args'] == [f'$(rootpath {arguments["name"]}.py)']


@pytest.mark.parametrize('label', [label for label, *_ in all_rules()])
def test_dependencies_are_the_imports(label):
  (rule, arguments, folder), = [found for name, *found in all_rules() if name == label]
  ours, others = set(), set()
  for source in sources(arguments, folder):
    for name in test_imports.imported(ast.walk(test_imports.parse(ROOT / source))):
      module = name if name in OWNERS else name.rpartition('.')[0]
      if module in OWNERS:
        ours.add(OWNERS[module])
      elif name.split('.')[0] not in sys.stdlib_module_names:
        others.add(name.split('.')[0])
  given = set(map(full, arguments.get('deps', [])))
  wanted = ours - {label}
  if rule == 'py_test':
    others |= {'pytest', 'pytest_timeout'}
    wanted |= {OWNERS[module] for module in OWNERS if module.endswith('.conftest')
               and label.removeprefix('//').replace('/', '.').startswith(module.removesuffix('conftest').rstrip('.'))}
  assert {dependency for dependency in given if not dependency.startswith('@')} == wanted
  other_names = {'PIL': 'pillow', 'absl': 'absl_py', 'sklearn': 'scikit_learn', 'yaml': 'pyyaml'}
  assert given - wanted == {f'@pypi//{other_names.get(name, name.lower())}' for name in others - {'torch'}}


def test_the_tool_finds_nothing_to_write():
  with loading.loaded('write_build_files') as tool:
    for path, content in tool.build_files(ROOT).items():
      assert (ROOT / path).read_text(encoding='utf-8') == content, f'{path}: run tools/write_build_files.py'


def test_check_names_what_does_not_fit(tmp_path):
  package = tmp_path / 'tools'
  package.mkdir()
  (package / 'new.py').write_text('import numpy\n', encoding='utf-8')
  command = [sys.executable, str(ROOT / 'tools' / 'write_build_files.py'), f'--root={tmp_path}']

  def run(*more):
    return subprocess.run([*command, *more], capture_output=True, text=True, timeout=60, cwd=ROOT)

  assert run('--check').returncode == 1
  assert run().stdout == 'tools/BUILD\n'
  assert '"@pypi//numpy"' in (package / 'BUILD').read_text(encoding='utf-8')
  assert run('--check').returncode == 0
  (package / 'new.py').unlink()
  checked = run('--check')
  assert checked.returncode == 1
  assert checked.stdout == 'tools/BUILD does not fit the sources; run tools/write_build_files.py\n'
  assert run().stdout == 'tools/BUILD deleted\n'


def locked():
  """Version by distribution, as Bazel names it."""
  lines = (ROOT / 'requirements_lock.txt').read_text(encoding='utf-8').splitlines()
  rows = [re.fullmatch(r'(\S+)==(\S+) --hash=sha256:[0-9a-f]{64}', line) for line in lines if not line.startswith('#')]
  return {re.sub(r'[-_.]+', '_', row[1]).lower(): row[2] for row in rows}


def test_every_distribution_is_locked_within_the_ranges_of_setup():
  versions = locked()
  used = {dependency.removeprefix('@pypi//') for _, _, arguments, _ in all_rules() for dependency in arguments.get('deps', [])
          if dependency.startswith('@pypi//')}
  assert used <= set(versions)
  strings = [node.value for node in ast.walk(ast.parse((ROOT / 'setup.py').read_text(encoding='utf-8')))
             if isinstance(node, ast.Constant) and isinstance(node.value, str)]
  ranges = [requirements.Requirement(text) for text in strings if re.fullmatch(r'[A-Za-z][\w-]*[=><~!]=?[\w.,<>=!~]+', text)]
  checked = [entry for entry in ranges if re.sub(r'[-_.]+', '_', entry.name).lower() in versions]
  assert len(checked) >= 20
  for entry in checked:
    assert versions[re.sub(r'[-_.]+', '_', entry.name).lower()] in entry.specifier, entry


def test_module_names_what_the_build_files_load():
  text = (ROOT / 'MODULE.bazel').read_text(encoding='utf-8')
  assert 'bazel_dep(name = "rules_python"' in text
  assert 'hub_name = "pypi"' in text
  assert 'requirements_lock = "//:requirements_lock.txt"' in text
  version = re.search(r"__version__ = '(.+)'", (ROOT / 'tf_proxyless' / '__init__.py').read_text(encoding='utf-8'))[1]
  assert f'version = "{version}"' in text


@pytest.fixture(scope='module')
def query(tmp_path_factory):
  """Bazel's query over a copy of the BUILD files, with a made-up rules_python and made-up distributions."""
  bazel = programs.require('bazel', 'bazel-bootstrap')
  base = tmp_path_factory.mktemp('bazel')
  workspace = base / 'workspace'
  tracked = subprocess.run(['git', 'ls-files', '--cached', '--others', '--exclude-standard'], cwd=ROOT, capture_output=True, text=True,
                           check=True).stdout.split('\n')
  for name in filter(None, tracked):
    if (ROOT / name).is_file():
      (workspace / name).parent.mkdir(parents=True, exist_ok=True)
      shutil.copy(ROOT / name, workspace / name)
  # Every test depends on Bazel's coverage tools, which would be fetched.
  made_up = {'rules_python/python': '', 'remote_coverage_tools': 'filegroup(name = "coverage_report_generator")\n',
             **{f'pypi/{name}': f'filegroup(name = "{name}")\n' for name in locked()}}
  for folder, content in made_up.items():
    (base / folder).mkdir(parents=True, exist_ok=True)
    (base / folder / 'BUILD').write_text(f'package(default_visibility = ["//visibility:public"])\n{content}', encoding='utf-8')
  (base / 'rules_python' / 'python' / 'defs.bzl').write_text(STAND_IN, encoding='utf-8')
  repositories = sorted({folder.split('/')[0] for folder in made_up})
  for name in repositories:
    (base / name / 'WORKSPACE').touch()
  (workspace / 'WORKSPACE').write_text(
      ''.join(f'local_repository(name = "{name}", path = "{base / name}")\n' for name in repositories), encoding='utf-8')

  def run(expression):
    # --batch leaves no server behind.
    command = [bazel, '--batch', f'--output_user_root={base / "output"}', 'query', '--noimplicit_deps', '--nohost_deps', expression]
    result = subprocess.run(command, cwd=workspace, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())

  yield run
  shutil.rmtree(base / 'output', ignore_errors=True)


@pytest.mark.long
def test_bazel_loads_all_packages(query):
  assert set(map(full, query('kind("py_.* rule", //...)'))) == {label for label, *_ in all_rules()}


@pytest.mark.long
def test_bazel_finds_what_a_search_needs(query):
  needed = query('deps(//tf_proxyless/search:search_main)')
  assert {'//tf_proxyless/search:loop.py', '//tf_proxyless/nn:supernet.py', '@pypi//tensorflow:tensorflow'} <= needed
  assert not query('deps(//android_benchmark) intersect //tf_proxyless/...')
  assert query('kind(py_test, rdeps(//..., //tf_proxyless/space))') > {'//tests/space:test_schema'}
