"""BUILD files against the sources: read as the Python that they nearly are, and loaded by Bazel with stand-ins for what it would fetch."""

import ast
import collections
import pathlib
import re
import shutil
import subprocess
import sys
import types

from packaging import requirements
import pytest

from tests import programs

ROOT = pathlib.Path(__file__).parents[1]
FOLDERS = ('android_benchmark', 'docs', 'tests', 'tf_proxyless', 'tools')
# Distributions by the name under which they are imported.
NAMES = {'PIL': 'pillow', 'absl': 'absl_py', 'grpc': 'grpcio', 'sklearn': 'scikit_learn'}
# Imports against the order of the packages, which are to go; as dependencies they would be circles.
CIRCLES = {('infra', 'app'), ('measure', 'app'), ('report', 'app'), ('derive', 'search')}

# Rules with the attributes of those of rules_python, which build nothing. Bazel's own would fetch more.
STAND_IN = '''
_FILES = attr.label_list(allow_files = True)
_ATTRIBUTES = {"srcs": _FILES, "data": _FILES, "deps": attr.label_list(), "main": attr.label(allow_single_file = True)}

def _nothing(ctx):
    return []

py_library = rule(_nothing, attrs = _ATTRIBUTES)
py_binary = rule(_nothing, attrs = _ATTRIBUTES)
py_test = rule(_nothing, attrs = _ATTRIBUTES, test = True)
'''


def full(label, package):
  """A label with its package and target."""
  label = f'//{package}{label}' if label.startswith(':') else label
  return label if ':' in label else f'{label}:{label.rpartition("/")[2]}'


def read_rules(folder):
  """(sources from the root, dependencies) of the py_* rules of a package, by label."""
  package, found = folder.relative_to(ROOT).as_posix(), {}

  def matching(patterns):
    return {path.relative_to(folder).as_posix() for pattern in patterns for path in folder.glob(pattern) if path.is_file()}

  def glob(include, exclude=(), allow_empty=False):
    return sorted(matching(include) - matching(exclude))

  def rule(name, srcs, deps=(), **_):
    found[full(f':{name}', package)] = [f'{package}/{source}' for source in srcs], {full(label, package) for label in deps}

  nothing = lambda *_, **__: None
  names = {'py_library': rule, 'py_binary': rule, 'py_test': rule, 'load': nothing, 'package': nothing, 'filegroup': nothing,
           'glob': glob, 'native': types.SimpleNamespace(glob=glob, test_suite=nothing)}
  for path in (ROOT / 'tests' / 'pytest.bzl', folder / 'BUILD'):
    exec(path.read_text(encoding='utf-8'), names)
  return found


RULES = {label: rule for top in FOLDERS for path in (ROOT / top).rglob('BUILD') for label, rule in read_rules(path.parent).items()}
OWNERS = {source: label for label, (sources, _) in RULES.items() for source in sources}


def test_every_source_is_in_one_rule():
  listed = collections.Counter(source for sources, _ in RULES.values() for source in sources if source != 'tests/bazel_main.py')
  there = {path.relative_to(ROOT).as_posix() for top in FOLDERS for path in (ROOT / top).rglob('*.py')}
  assert listed == dict.fromkeys(there - {'tests/bazel_main.py'}, 1)


def reached(labels):
  """All that some rules depend on, themselves included."""
  labels = set(labels)
  while more := {dependency for label in labels if label in RULES for dependency in RULES[label][1]} - labels:
    labels |= more
  return labels


def imported(source):
  """Labels of what a file imports, inside functions too."""
  for node in ast.walk(ast.parse((ROOT / source).read_text(encoding='utf-8'))):
    if isinstance(node, (ast.Import, ast.ImportFrom)):
      for name in [getattr(node, 'module', '') and f'{node.module}.{alias.name}' or alias.name for alias in node.names]:
        paths = [f'{stem.replace(".", "/")}{end}' for stem in (name, name.rpartition('.')[0]) for end in ('.py', '/__init__.py')]
        top = name.split('.')[0]
        if ours := [OWNERS[path] for path in paths if path in OWNERS]:
          yield ours[0]
        elif top not in {*sys.stdlib_module_names, 'torch'}:  # torch is optional
          yield '@pypi//{0}:{0}'.format(NAMES.get(top, top))


@pytest.mark.parametrize('label', [label for label, (sources, _) in RULES.items() if 'tests/bazel_main.py' not in sources])
def test_dependencies_reach_all_imports(label):
  needed = {wanted for source in RULES[label][0] for wanted in imported(source)}
  against = {f'//tf_proxyless/{wanted}:{wanted}' for importer, wanted in CIRCLES if label == f'//tf_proxyless/{importer}:{importer}'}
  assert needed <= reached([label, '@pypi//pytest:pytest']) | against


def named(distribution):
  """A distribution as Bazel names it."""
  return re.sub(r'[-_.]+', '_', distribution).lower()


def locked():
  """Version by distribution."""
  lines = (ROOT / 'requirements_lock.txt').read_text(encoding='utf-8').splitlines()
  rows = [re.fullmatch(r'(\S+)==(\S+) --hash=sha256:[0-9a-f]{64}', line) for line in lines if not line.startswith('#')]
  return {named(row[1]): row[2] for row in rows}


def test_every_distribution_is_locked_within_the_ranges_of_setup():
  versions = locked()
  assert {label.rpartition(':')[2] for label in reached(RULES) if label.startswith('@pypi//')} <= set(versions)
  texts = re.findall(r"'([A-Za-z][\w-]*[=><~!]=?[\w.,<>=!~]+)'", (ROOT / 'setup.py').read_text(encoding='utf-8'))
  checked = [entry for entry in map(requirements.Requirement, texts) if named(entry.name) in versions]
  assert len(checked) >= 20
  assert not [entry for entry in checked if versions[named(entry.name)] not in entry.specifier]


def test_module_names_what_the_build_files_load():
  text = (ROOT / 'MODULE.bazel').read_text(encoding='utf-8')
  version = re.search(r"__version__ = '(.+)'", (ROOT / 'tf_proxyless' / '__init__.py').read_text(encoding='utf-8'))[1]
  for line in ('bazel_dep(name = "rules_python"', 'hub_name = "pypi"', 'lock = "//:requirements_lock.txt"', f'version = "{version}"'):
    assert line in text


@pytest.fixture(scope='module')
def query(tmp_path_factory):
  """Bazel's query over the repository, with a made-up rules_python and made-up distributions."""
  bazel = programs.require('bazel', 'bazel-bootstrap')
  base = tmp_path_factory.mktemp('bazel')
  workspace = base / 'workspace'
  workspace.mkdir()
  for name in (*FOLDERS, 'configs', 'BUILD'):
    (workspace / name).symlink_to(ROOT / name)
  # Every test depends on Bazel's coverage tools, which would be fetched.
  made_up = {'rules_python/python': '', 'remote_coverage_tools': 'filegroup(name = "coverage_report_generator")\n',
             **{f'pypi/{name}': f'filegroup(name = "{name}")\n' for name in locked()}}
  for folder, content in made_up.items():
    (base / folder).mkdir(parents=True, exist_ok=True)
    (base / folder / 'BUILD').write_text(f'package(default_visibility = ["//visibility:public"])\n{content}', encoding='utf-8')
  (base / 'rules_python' / 'python' / 'defs.bzl').write_text(STAND_IN, encoding='utf-8')
  for name in ('pypi', 'remote_coverage_tools', 'rules_python'):
    (base / name / 'WORKSPACE').touch()
    with open(workspace / 'WORKSPACE', 'a', encoding='utf-8') as file:
      file.write(f'local_repository(name = "{name}", path = "{base / name}")\n')

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
  assert query('kind("py_.* rule", //...)') == set(RULES)


@pytest.mark.long
def test_bazel_finds_what_a_search_needs(query):
  needed = query('deps(//tf_proxyless/search:search_main)')
  assert {'//tf_proxyless/search:loop.py', '//tf_proxyless/nn:supernet.py', '@pypi//tensorflow:tensorflow'} <= needed
  assert not query('deps(//android_benchmark) intersect //tf_proxyless/...')
  assert query('kind(py_test, rdeps(//..., //tf_proxyless/space))') > {label for label in RULES if label.startswith('//tests:space/test_')}
