"""Who may import whom (docs/architecture.md), read from the real imports; so a circle cannot be written."""

import ast
import graphlib
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[1]

# Package: the packages below it, which it may import; those of a line do not know each other unless it says so.
LAYERS = {
    'infra': '',
    'space': 'infra',
    'data': 'infra',
    'train': 'infra',
    'cost': 'infra space',
    'nn': 'infra space',
    'zoo': 'infra space nn',
    'derive': 'infra space cost',
    'deploy': 'infra space nn',
    'search': 'infra space cost nn derive',
    'measure': 'infra space cost deploy',
    'report': 'infra space cost derive search measure',
    'app': 'infra space data train cost nn zoo derive deploy search measure report',
    'api': 'infra space data train cost nn zoo derive deploy search measure report app',
}
TENSORFLOW = {'tensorflow', 'tf_keras', 'keras', 'tensorflow_datasets', 'tensorflow_model_optimization'}


def module_names():
  """Path by dotted name of every module of ours."""
  paths = [path for folder in ('tf_proxyless', 'tools', 'android_benchmark') for path in sorted((ROOT / folder).rglob('*.py'))]
  names = {path: path.relative_to(ROOT).with_suffix('').parts for path in paths}
  return {'.'.join(parts[:-1] if parts[-1] == '__init__' else parts): path for path, parts in names.items()}


MODULES = module_names()


def imported(nodes):
  """Dotted names that import statements among `nodes` name, modules and what is taken from them alike."""
  for node in nodes:
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, 'relative imports hide their package'
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


def parse(path):
  return ast.parse(path.read_text(encoding='utf-8'))


def our_imports(name):
  """Our modules that a module imports, anywhere in it."""
  for target in imported(ast.walk(parse(MODULES[name]))):
    if target in MODULES:
      yield target
    elif target.rpartition('.')[0] in MODULES:  # a name taken from a module
      yield target.rpartition('.')[0]


def kind(name):
  """'android_benchmark', 'entry', 'package' (tf_proxyless itself) or the name of a package in it."""
  first, *rest = name.split('.')
  if first == 'android_benchmark':
    return first
  if first == 'tools' or rest[-1:] == ['__main__']:
    return 'entry'
  assert not rest or rest[0] in LAYERS, f'{name} is in no package of LAYERS'
  return rest[0] if rest else 'package'


def allowed(importer):
  """Kinds that a module of some kind may import."""
  if importer in ('package', 'android_benchmark'):
    return {importer}
  if importer == 'entry':
    return {*LAYERS, 'entry', 'package'}
  return {importer, *LAYERS[importer].split(), 'package'}


@pytest.mark.parametrize('name', MODULES)
def test_imports_stay_within_the_rule(name):
  wrong = sorted(target for target in our_imports(name) if kind(target) not in allowed(kind(name)))
  assert not wrong, f'{name} ({kind(name)}) may import {sorted(allowed(kind(name)))}'


def test_no_circles():
  graph = {name: {target for target in our_imports(name) if target != name} for name in MODULES}
  assert len(list(graphlib.TopologicalSorter(graph).static_order())) == len(MODULES)


def test_android_benchmark_needs_nothing_but_python():
  for name, path in MODULES.items():
    if kind(name) == 'android_benchmark' or name.startswith('android_benchmark.'):
      tops = {target.split('.')[0] for target in imported(ast.walk(parse(path)))}
      assert tops <= {*sys.stdlib_module_names, 'android_benchmark'}, name


def outside_functions(node):
  """The nodes that run when a module is imported."""
  yield node
  for_types = isinstance(node, ast.If) and ast.unparse(node.test) == 'TYPE_CHECKING'
  if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
    for child in (node.orelse if for_types else ast.iter_child_nodes(node)):
      yield from outside_functions(child)


@pytest.mark.parametrize('name', [name for name in MODULES if kind(name) in ('package', 'infra', 'space', 'cost', 'derive', 'entry')])
def test_no_tensorflow_at_module_level(name):
  tops = {target.split('.')[0] for target in imported(outside_functions(parse(MODULES[name])))}
  assert not tops & TENSORFLOW, 'mistakes are to be reported before TensorFlow is loaded'


def test_space_never_imports_tensorflow():
  for name, path in MODULES.items():
    if kind(name) == 'space':
      assert not {target.split('.')[0] for target in imported(ast.walk(parse(path)))} & TENSORFLOW, name


def loaded_after(*names):
  """TensorFlow modules in a fresh process that has imported modules of ours."""
  code = f'import importlib, sys\nfor name in {names}: importlib.import_module(name)\nprint(*sorted({TENSORFLOW} & set(sys.modules)))'
  result = subprocess.run([sys.executable, '-c', code], cwd=ROOT, env={**os.environ, 'TF_USE_LEGACY_KERAS': '1'}, capture_output=True,
                          text=True, timeout=120, check=True)
  return result.stdout.split()


def test_packages_for_checking_load_no_tensorflow():
  names = [name for name in MODULES if kind(name) in ('package', 'infra', 'space', 'cost', 'derive')]
  assert len(names) > 12
  assert loaded_after(*names) == []


@pytest.mark.parametrize('name', [name for name in MODULES if kind(name) == 'entry'])
def test_commands_load_no_tensorflow_before_they_run(name):
  assert loaded_after(name) == []


def test_searches_and_trainings_load_no_keras_3():
  """Which comes with tensorflow_model_optimization, and takes a quarter of the time of a short training."""
  names = [f'tf_proxyless.app.{name}' for name in ('build_search', 'build_training', 'exporter')]
  assert loaded_after(*names) == ['tensorflow', 'tensorflow_datasets', 'tf_keras']


def test_the_check_would_notice():
  assert 'tensorflow' in set(imported(outside_functions(parse(MODULES['tf_proxyless.nn.gates']))))
  deferred = parse(MODULES['tf_proxyless.cost.model'])
  assert 'tensorflow' in set(imported(ast.walk(deferred))) - set(imported(outside_functions(deferred)))
