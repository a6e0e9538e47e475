"""README.md and docs/*.md: commands have known flags, Python code runs, links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import textwrap

import pytest

from tests import forks

ROOT = forks.ROOT
DOCUMENTS = (ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md')))
documents = pytest.mark.parametrize('path', DOCUMENTS, ids=lambda path: path.name)


def blocks(path, language):
  """The code blocks of a document."""
  found = re.findall(rf'^( *)```{language}\n(.*?)^ *```$', path.read_text(encoding='utf-8'), re.DOTALL | re.MULTILINE)
  return [textwrap.dedent(text) for _, text in found]


def commands(script):
  """The words of each command in a script after `python` (or `tf-proxyless`); a loop counts with its first value."""
  if loop := re.search(r'^for (\w+) in (\S+).*; do$', script, re.MULTILINE):
    script = script.replace(f'${loop[1]}', loop[2])
  for line in script.replace('\\\n', ' ').split('\n'):
    for part in line.split(' && '):
      part = re.sub(r'^(\s*)tf-proxyless ', r'\1python -m tf_proxyless ', part)
      if match := re.match(r'\s*(?:[A-Z_]+=\S* )*python ((?:-m (?:tf_proxyless|android_benchmark)|tools/|docs/examples/).*)', part):
        yield shlex.split(match[1], comments=True)


def parse(words, folder):
  """What is wrong with each command, None for nothing."""
  result = subprocess.run([sys.executable, '-m', 'tests.docs.parse_commands'], input=json.dumps(words), capture_output=True, text=True,
                          cwd=folder, env={**os.environ, 'PYTHONPATH': str(ROOT)}, timeout=300)
  assert result.returncode == 0, result.stderr[-3000:]
  return json.loads(result.stdout)


def test_commands_are_accepted(tmp_path):
  scripts = [script for path in DOCUMENTS for script in blocks(path, 'bash')]
  for script in scripts:
    checked = subprocess.run(['bash', '-n', '-c', script], capture_output=True, text=True)
    assert checked.returncode == 0, f'{script}\n{checked.stderr}'
    for written in re.finditer(r"^cat > \S+\.flags <<'(\w+)'$.*?^\1$", script, re.DOTALL | re.MULTILINE):  # flagfiles of a reader
      subprocess.run(['bash', '-c', written[0]], cwd=tmp_path, check=True)
  for folder in ('runs/tuning', 'PATH', 'photos'):
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
  (tmp_path / 'runs/tuning/best.flags').write_text('--learning_rate=0.1\n')
  asked = [words for script in scripts for words in commands(script)]
  assert len(asked) > 20
  assert [(words, problem) for words, problem in zip(asked, parse(asked, tmp_path), strict=True) if problem] == []


def test_a_wrong_flag_would_be_noticed(tmp_path):
  given = [['-m', 'tf_proxyless.search', '--run_dir=x', '--warmup_epoch=1'], ['tools/derive.py', '--by=luck'],
           ['-m', 'android_benchmark', '--phone=x'], ['tools/tune.py', '--job=train', '--run_dir=x', '--', '--epoch=3'],
           ['tools/describe.py', '--architecture=x']]
  assert [problem is not None for problem in parse(given, tmp_path)] == [True, True, True, True, False]


@documents
def test_python_runs(path, tmp_path):
  """Code that begins with its imports runs; parts of something larger compile."""
  for text in blocks(path, 'python'):
    compile(text, str(path), 'exec')
    if re.match(r'import |from ', text):
      result = forks.run('-c', text, cwd=tmp_path, timeout=600)
      assert result.returncode == 0, result.stderr


def prose(path):
  """A document without its code blocks."""
  return re.sub(r'^ *```.*?^ *```', '', path.read_text(encoding='utf-8'), flags=re.DOTALL | re.MULTILINE)


def anchors(path):
  """Link targets within a document, as GitHub makes them from its headings."""
  headings = re.findall(r'^#+ (.+)$', prose(path), re.MULTILINE)
  return {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}


def broken_links(path):
  """Links to files or headings that do not exist."""
  found = []
  for target in re.findall(r'\]\(([^)\s]+)\)', prose(path)):
    file, _, anchor = target.partition('#')
    other = path.parent / file if file else path
    if '://' not in target and (not other.exists() or anchor and anchor not in anchors(other)):
      found.append(target)
  return found


@documents
def test_links(path):
  assert broken_links(path) == []


def test_broken_links_are_found(tmp_path):
  (tmp_path / 'a.md').write_text('# Two words, `and` more\n\n[1](b.md) [2](none.md) [3](b.md#here) [4](b.md#there)\n'
                                 '[5](#two-words-and-more) [6](#none) [7](https://example.org/x)\n```bash\necho [8](none)\n```\n')
  (tmp_path / 'b.md').write_text('## Here\n\n```\n# there\n```\n')
  assert broken_links(tmp_path / 'a.md') == ['none.md', 'b.md#there', '#none']


def test_paths_in_sentences_exist():
  text = '\n'.join(path.read_text(encoding='utf-8') for path in DOCUMENTS)
  named = set(re.findall(r'`((?:tf_proxyless|android_benchmark|tests|tools|configs|docs)/[\w/]+\.\w+)`', text))
  assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
