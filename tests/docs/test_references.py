"""What the documents point at is there: other pages, files, functions, flags."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs import commands

PAGES = [path for path in commands.DOCUMENTS if path.parent.name == 'docs']


def prose(path):
  """A document without what is printed or typed in blocks of its own."""
  return re.sub(r'^ *```.*?^ *```', '', path.read_text(encoding='utf-8'), flags=re.DOTALL | re.MULTILINE)


def anchors(path):
  """What can stand behind '#' in a link to a document, as GitHub makes it of its headings."""
  headings = re.findall(r'^#+ (.+)$', prose(path), re.MULTILINE)
  return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


def broken_links(path):
  """Targets of a document's links to files or headings that are not there."""
  found = []
  for target in re.findall(r'\]\(([^)\s]+)\)', prose(path)):
    file, _, anchor = target.partition('#')
    other = path.parent / file if file else path
    if '://' not in target and (not other.exists() or anchor and anchor not in anchors(other)):
      found.append(target)
  return found


@pytest.mark.parametrize('path', commands.DOCUMENTS, ids=lambda path: str(path.relative_to(commands.ROOT)))
def test_links(path):
  assert broken_links(path) == []


def test_broken_links_are_found(tmp_path):
  (tmp_path / 'a.md').write_text('# Two words, `and` more\n\n[1](b.md) [2](none.md) [3](b.md#here) [4](b.md#there)\n'
                                 '[5](#two-words-and-more) [6](#none) [7](https://example.org/x)\n```bash\necho [8](none)\n```\n')
  (tmp_path / 'b.md').write_text('## Here\n\n```\n# there\n```\n')
  assert broken_links(tmp_path / 'a.md') == ['none.md', 'b.md#there', '#none']


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
  text = '\n'.join(path.read_text(encoding='utf-8') for path in commands.DOCUMENTS)
  named = set(re.findall(r'`((?:tf_proxyless|android_benchmark|tests|tools|configs|docs)/[\w/]+\.\w+)`', text))
  assert [name for name in sorted(named) if not (commands.ROOT / name).exists()] == []


def test_tests_that_hold_a_promise_exist():
  """Names of test functions, and of test files with or without their folder."""
  text = (commands.ROOT / 'docs' / 'reliability.md').read_text(encoding='utf-8')
  tests = list((commands.ROOT / 'tests').rglob('test_*.py'))
  known = {path.name for path in tests}.union(*map(defined, tests))
  named = set(re.findall(r'`(?:[\w/]+/)?(test_\w+(?:\.py)?)`', text))
  assert len(named) > 15 and named - known == set()


def test_flags_in_sentences_are_flags():
  """`--name` in a page is a flag that some main defines, or one of another program."""
  others = {'help', 'helpfull', 'verbosity', 'flagfile', 'n', 'm', 'version', 'graphs', 'config', 'host_runner', 'without-pip', 'output'}
  sources = [path.read_text(encoding='utf-8') for folder in ('tf_proxyless', 'tools', 'android_benchmark')
             for path in (commands.ROOT / folder).rglob('*.py')]
  code = '\n'.join(sources)
  for path in commands.DOCUMENTS:
    for name in set(re.findall(r'`--([a-z_]\w*)', path.read_text(encoding='utf-8'))) - others:
      assert re.search(rf"['\"](?:--)?{name}['\"]", code), f'{path.name}: --{name}'
