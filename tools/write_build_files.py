"""Writes the BUILD files from what the sources import; for developers, after a file or an import came or went.

python tools/write_build_files.py
python tools/write_build_files.py --check

One py_library a package, one py_test a test file, one py_binary a main. Only tf_proxyless itself has two libraries, since the rooms need
its shared modules while zoo needs the rooms (docs/architecture.md): one alone would be a circle.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
import dataclasses
import pathlib
import re
import sys

from absl import flags

from tf_proxyless.app import command_line
from tf_proxyless.infra import files

_ROOT = flags.DEFINE_string('root', None, 'Folder of the repository; by default the one that holds this file.')
_CHECK = flags.DEFINE_bool('check', False, 'Writes nothing; says which BUILD files differ, and exits with 1 if any does.')

_FOLDERS = ('tf_proxyless', 'android_benchmark', 'tools', 'tests', 'docs')
_RUNNER = 'tests/bazel_main.py'
_CONFIGS = '//configs'
_HEADER = '# Written by tools/write_build_files.py; not to be edited.\n'

# Distributions by the name under which they are imported, where the two differ.
DISTRIBUTIONS = {'PIL': 'pillow', 'absl': 'absl_py', 'sklearn': 'scikit_learn', 'yaml': 'pyyaml'}
# Not locked: an import inside a function, with a message of its own where it fails.
OPTIONAL = ('torch',)


@dataclasses.dataclass(frozen=True)
class Target:
  """One rule.

  Attributes:
    rule: 'py_library', 'py_binary' or 'py_test'.
    package: Folder, with slashes.
    name: Of the target.
    sources: Paths from the root.
    data: Files from the root that it reads beside its sources.
  """

  rule: str
  package: str
  name: str
  sources: tuple[str, ...]
  data: tuple[str, ...] = ()

  @property
  def label(self) -> str:
    """As others name it."""
    return f'//{self.package}' + (f':{self.name}' if self.name != self.package.rpartition('/')[2] else '')


def imported_names(path: pathlib.Path) -> Iterator[str]:
  """Dotted names of all modules that a file imports, and of what it takes from them."""
  for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


def _module(source: str) -> str:
  parts = pathlib.PurePosixPath(source).with_suffix('').parts
  return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def _library_name(package: str, stem: str) -> str:
  """The library of a package to which a module belongs."""
  return 'zoo' if package == 'tf_proxyless' and stem == 'zoo' else package.rpartition('/')[2]


def _package_data(root: pathlib.Path, package: str) -> tuple[str, ...]:
  """Files beside the modules that they read, such as a page's style."""
  files_there = (path for path in (root / package).iterdir() if path.is_file())
  return tuple(sorted(path.relative_to(root).as_posix() for path in files_there
                      if path.suffix in ('.css', '.js', '.html') or not path.suffix and path.name != 'BUILD'))


def find_targets(root: pathlib.Path) -> list[Target]:
  """All targets of the repository, by package and name."""
  targets: list[Target] = []
  sources = [path for folder in _FOLDERS for path in (root / folder).rglob('*.py')]
  packages = sorted({path.parent.relative_to(root).as_posix() for path in sources})
  for package in packages:
    libraries: dict[str, list[str]] = {}
    for path in sorted((root / package).glob('*.py')):
      source = path.relative_to(root).as_posix()
      if path.name == '__main__.py':
        targets.append(Target('py_binary', package, f'{package.rpartition("/")[2]}_main', (source,)))
      elif package == 'tools' or source == _RUNNER:
        targets.append(Target('py_binary', package, path.stem, (source,)))
      elif package.split('/')[0] == 'tests' and path.name.startswith('test_'):
        targets.append(Target('py_test', package, path.stem, (source,)))
      else:
        libraries.setdefault(_library_name(package, path.stem), []).append(source)
    for i, (name, listed) in enumerate(libraries.items()):
      targets.append(Target('py_library', package, name, tuple(listed), _package_data(root, package) if i == 0 else ()))
  return sorted(targets, key=lambda target: (target.package, target.rule, target.name))


def find_dependencies(root: pathlib.Path, target: Target, owners: Mapping[str, str]) -> list[str]:
  """Labels of what a target imports, sorted: ours, then distributions.

  Args:
    root: Of the repository.
    target: Whose sources are read.
    owners: Label of the library that holds each module of ours.
  """
  labels = set()
  folder = pathlib.PurePosixPath(target.package)
  if target.rule == 'py_test':  # pytest imports the fixtures of all folders above
    conftests = (_module((above / 'conftest.py').as_posix()) for above in (folder, *folder.parents))
    labels.update(owners[module] for module in conftests if module in owners)
  for source in target.sources:
    for name in imported_names(root / source):
      module = name if name in owners else name.rpartition('.')[0]
      top = name.split('.')[0]
      if module in owners:
        labels.add(owners[module])
      elif top not in sys.stdlib_module_names and top not in OPTIONAL:
        labels.add('@pypi//' + DISTRIBUTIONS.get(top, top.lower()))
  labels.discard(target.label)
  return sorted(labels, key=lambda label: (label.startswith('@'), label))


def _starts(root: pathlib.Path, target: Target, binaries: Iterable[Target]) -> list[str]:
  """Labels of mains that a test names in its strings, since it starts or loads them."""
  strings = [node.value for source in target.sources for node in ast.walk(ast.parse((root / source).read_text(encoding='utf-8')))
             if isinstance(node, ast.Constant) and isinstance(node.value, str)]
  found = set()
  for binary in binaries:
    names = {binary.sources[0], binary.name} if binary.package == 'tools' else {binary.package.replace('/', '.')}
    pattern = re.compile('|'.join(rf'(?<![\w.]){re.escape(name)}(?!\w)' for name in names))
    if any(pattern.search(text) for text in strings):
      found.add(binary.label)
  return sorted(found)


def _attribute(name: str, values: Sequence[str]) -> list[str]:
  if not values:
    return []
  if len(values) == 1:
    return [f'    {name} = ["{values[0]}"],']
  return [f'    {name} = [', *(f'        "{value}",' for value in values), '    ],']


def _local(package: str, path: str) -> str:
  return path.removeprefix(f'{package}/')


def to_text(root: pathlib.Path, target: Target, targets: Sequence[Target], owners: Mapping[str, str]) -> str:
  """A target as it stands in its BUILD file."""
  package = target.package
  sources = [_local(package, source) for source in target.sources]
  dependencies = find_dependencies(root, target, owners)
  lines = [f'{target.rule}(', f'    name = "{target.name}",']
  data = [_local(package, path) for path in target.data]
  if target.rule == 'py_test':
    started = _starts(root, target, [other for other in targets if other.rule == 'py_binary' and other.sources != (_RUNNER,)])
    lines += _attribute('srcs', [*sources, f'//{_RUNNER.replace("/", ":")}'])
    lines += [f'    args = ["$(rootpath {sources[0]})"],']
    lines += _attribute('data', [_CONFIGS, *started])
    lines += [f'    main = "//{_RUNNER.replace("/", ":")}",']
    dependencies = sorted({*dependencies, '@pypi//pytest', '@pypi//pytest_timeout'}, key=lambda label: (label.startswith('@'), label))
  else:
    lines += _attribute('srcs', sources)
    data += [_CONFIGS] if 'tf_proxyless/infra/resources.py' in target.sources else []
    lines += _attribute('data', data)
    if target.rule == 'py_binary':
      lines += [f'    main = "{sources[0]}",']
    if target.package.split('/')[0] in ('tests', 'docs'):
      lines += ['    testonly = True,']
  lines += _attribute('deps', dependencies)
  return '\n'.join([*lines, ')'])


def build_files(root: pathlib.Path) -> dict[str, str]:
  """Content of every BUILD file that follows from the sources, by path from the root."""
  targets = find_targets(root)
  owners = {_module(source): target.label for target in targets for source in target.sources}
  contents = {}
  for package in dict.fromkeys(target.package for target in targets):
    mine = [target for target in targets if target.package == package]
    rules = ', '.join(f'"{rule}"' for rule in sorted({target.rule for target in mine}))
    exported = ['exports_files(["bazel_main.py"])'] if package == 'tests' else []
    contents[f'{package}/BUILD'] = _HEADER + '\n'.join([
        f'load("@rules_python//python:defs.bzl", {rules})', '', 'package(default_visibility = ["//visibility:public"])', '',
        '\n\n'.join([*exported, *(to_text(root, target, targets, owners) for target in mine)]), ''])
  return contents


def main(_: Sequence[str]) -> int:
  root = pathlib.Path(_ROOT.value) if _ROOT.value else pathlib.Path(__file__).parents[1]
  contents = build_files(root)
  written = {path.relative_to(root).as_posix() for folder in _FOLDERS for path in (root / folder).rglob('BUILD')}
  differing = sorted(path for path, content in contents.items()
                     if path not in written or (root / path).read_text(encoding='utf-8') != content)
  stale = sorted(written - contents.keys())
  if _CHECK.value:
    for path in [*differing, *stale]:
      print(f'{path} does not fit the sources; run tools/write_build_files.py')
    return 1 if differing or stale else 0
  for path in differing:
    files.write_atomically(root / path, contents[path])
    print(path)
  for path in stale:
    (root / path).unlink()
    print(f'{path} deleted')
  return 0


if __name__ == '__main__':
  command_line.run(main)
