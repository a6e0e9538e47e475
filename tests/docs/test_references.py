"""What the documents point at is there: other pages, files, functions, flags."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs import commands

PAGES = [path for path in commands.DOCUMENTS if path.parent.name == 'docs']


@pytest.mark.parametrize('path', commands.DOCUMENTS, ids=lambda path: str(path.relative_to(commands.ROOT)))
def test_links(path):
  targets = re.findall(r'\]\(([^)#\s]+)', path.read_text(encoding='utf-8'))
  assert [target for target in targets if '://' not in target and not (path.parent / target).exists()] == []


def test_the_index_names_every_page():
  index = (commands.ROOT / 'docs' / 'README.md').read_text(encoding='utf-8')
  assert [path.name for path in PAGES if path.name != 'README.md' and f']({path.name})' not in index] == []


def defined(path):
  """Names of the functions, classes and methods ('Class.method' too) of a module."""
  found = set()
  for node in ast.parse(path.read_text(encoding='utf-8')).body:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
      found.add(node.name)
    if isinstance(node, ast.ClassDef):
      inner = {child.name for child in node.body if isinstance(child, ast.FunctionDef)}
      found |= inner | {f'{node.name}.{name}' for name in inner}
  return found


def test_equations_stand_where_the_maths_page_says():
  """`file.py: name` is a definition in that file of the package."""
  text = ' '.join((commands.ROOT / 'docs' / 'maths.md').read_text(encoding='utf-8').split())
  places = re.findall(r'`([\w/]+\.py): ([\w.]+)`', text)
  assert len(places) >= 15
  package = commands.ROOT / 'tf_proxyless'
  paths = {name: next(package.rglob(name) if '/' not in name else iter([package / name])) for name, _ in places}
  assert [(file, name) for file, name in places if name not in defined(paths[file])] == []


def test_files_that_are_named_exist():
  text = '\n'.join(path.read_text(encoding='utf-8') for path in PAGES)
  named = set(re.findall(r'`((?:tf_proxyless|android_benchmark|tests|tools|configs|docs)/[\w/]+\.\w+)`', text))
  assert [name for name in sorted(named) if not (commands.ROOT / name).exists()] == []


def test_flags_in_sentences_are_flags():
  """`--name` in a page is a flag that some main defines, or one of another program."""
  others = {'help', 'helpfull', 'verbosity', 'flagfile', 'n', 'm', 'version', 'graphs', 'config', 'host_runner', 'without-pip', 'output'}
  sources = [path.read_text(encoding='utf-8') for folder in ('tf_proxyless', 'tools', 'android_benchmark')
             for path in (commands.ROOT / folder).rglob('*.py')]
  code = '\n'.join(sources)
  for path in PAGES:
    for name in set(re.findall(r'`--([a-z_]\w*)', path.read_text(encoding='utf-8'))) - others:
      assert re.search(rf"['\"](?:--)?{name}['\"]", code), f'{path.name}: --{name}'
