"""BUILD files against the sources, read as the Python that they nearly are; and as Bazel loads them, with stand-ins for what it would fetch."""

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
NAMES = {'PIL': 'pillow', 'absl': 'absl_py', 'sklearn': 'scikit_learn'}  # distributions by the name under which they are imported
# Imports against the order of the packages, which are to go; as dependencies they would be circles.
CIRCLES = {('infra', 'app'), ('measure', 'app'), ('report', 'app'), ('derive', 'search')}

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


def read_rules():
  """(sources, dependencies) of every py_* rule by label; sources are paths from the root."""
  found = {}
  for folder in [path.parent for path in ROOT.glob('*/**/BUILD')]:
    package = folder.relative_to(ROOT).as_posix()

    def matching(patterns, folder=folder):
      return {path.relative_to(folder).as_posix() for pattern in patterns for path in folder.glob(pattern) if path.is_file()}

    def glob(include, exclude=(), allow_empty=False, matching=matching):
      return sorted(matching(include) - matching(exclude))

    def full(label, package=package):
      label = f'//{package}{label}' if label.startswith(':') else label
      return label if ':' in label else f'{label}:{label.rpartition("/")[2]}'

    def rule(name, srcs, deps=(), package=package, full=full, **_):
      found[full(f':{name}')] = [f'{package}/{source}' for source in srcs], {full(label) for label in deps}

    names = dict.fromkeys(('load', 'package', 'filegroup'), lambda *_, **__: None) | dict.fromkeys(('py_library', 'py_binary', 'py_test'), rule)
    names |= {'glob': glob, 'native': types.SimpleNamespace(glob=glob, test_suite=names['load'])}
    for path in (ROOT / 'tests' / 'pytest.bzl', folder / 'BUILD'):
      exec(path.read_text(encoding='utf-8'), names)
  return found


RULES = read_rules()
OWNERS = {source: label for label, (sources, _) in RULES.items() for source in sources}


def test_every_source_is_in_one_rule():
  listed = collections.Counter(source for sources, _ in RULES.values() for source in sources if source != 'tests/bazel_main.py')
  assert listed == dict.fromkeys((path.relative_to(ROOT).as_posix() for path in ROOT.glob('[a-z]*/**/*.py')
                                  if path.name != 'bazel_main.py'), 1)


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


def locked():
  """Version by distribution, as Bazel names it."""
  lines = (ROOT / 'requirements_lock.txt').read_text(encoding='utf-8').splitlines()
  rows = [re.fullmatch(r'(\S+)==(\S+) --hash=sha256:[0-9a-f]{64}', line) for line in lines if not line.startswith('#')]
  return {re.sub(r'[-_.]+', '_', row[1]).lower(): row[2] for row in rows}


def test_every_distribution_is_locked_within_the_ranges_of_setup():
  versions = locked()
  assert {label.rpartition(':')[2] for label in reached(RULES) if label.startswith('@pypi//')} <= set(versions)
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
  assert query('kind("py_.* rule", //...)') == set(RULES)


@pytest.mark.long
def test_bazel_finds_what_a_search_needs(query):
  needed = query('deps(//tf_proxyless/search:search_main)')
  assert {'//tf_proxyless/search:loop.py', '//tf_proxyless/nn:supernet.py', '@pypi//tensorflow:tensorflow'} <= needed
  assert not query('deps(//android_benchmark) intersect //tf_proxyless/...')
  assert query('kind(py_test, rdeps(//..., //tf_proxyless/space))') > {label for label in RULES if label.startswith('//tests:space/test_')}
