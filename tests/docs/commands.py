"""The commands of README.md and docs/*.md: every line that a reader would type."""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import pathlib
import re
import shlex

ROOT = pathlib.Path(__file__).parents[2]
_INDEX = ROOT / 'docs' / 'README.md'
# In the order of reading: those of the index first, as it names them.
_PAGES = dict.fromkeys([*re.findall(r'\]\((\w+\.md)\)', _INDEX.read_text(encoding='utf-8')),
                        *sorted(path.name for path in (ROOT / 'docs').glob('*.md'))])
DOCUMENTS = (ROOT / 'README.md', *(path for path in (ROOT / 'docs' / name for name in _PAGES) if path.exists()))

_HEREDOC = re.compile(r"<<'(\w+)'$")


@dataclasses.dataclass(frozen=True)
class Command:
  """What a reader types at once.

  Attributes:
    document: Name of the file.
    line: That it begins at, from 1.
    text: As it stands; several lines for a loop or a file that is written out.
  """

  document: str
  line: int
  text: str

  def __str__(self) -> str:
    return f'{self.document}:{self.line}'

  @property
  def simple(self) -> list[list[str]]:
    """The words of each simple command in it, without assignments before it; of a loop those of its first round."""
    if _HEREDOC.search(self.text.split('\n')[0]):
      return [shlex.split(self.text.split('\n')[0])]
    text = self.text
    if loop := re.match(r'for (\w+) in (\S+).*; do\n(.*)\ndone$', text, re.DOTALL):
      text = loop[3].replace(f'${loop[1]}', loop[2])
    parts = [part for line in joined(text) for part in line.split(' && ')]
    words = [shlex.split(part, comments=True) for part in parts]
    return [row[next(i for i, word in enumerate(row) if not re.match(r'[A-Z_]+=', word)):] for row in words]


def joined(text: str) -> list[str]:
  """Lines of a script, those that a backslash continues as one."""
  return [line.strip() for line in text.replace('\\\n', ' ').split('\n') if line.strip()]


def read(path: pathlib.Path) -> Iterator[Command]:
  """All commands of a document."""
  lines = path.read_text(encoding='utf-8').split('\n')
  number = 0
  while number < len(lines):
    if re.fullmatch(r'\s*```bash', lines[number]):
      indent = len(lines[number]) - len(lines[number].lstrip())
      end = next(i for i in range(number + 1, len(lines)) if lines[i].strip() == '```')
      yield from _split(path.name, number + 2, [line[indent:] for line in lines[number + 1:end]])
      number = end
    number += 1


def _split(document: str, first: int, lines: list[str]) -> Iterator[Command]:
  start = 0
  while start < len(lines):
    end = start
    if heredoc := _HEREDOC.search(lines[start]):
      end = lines.index(heredoc[1], start)
    elif lines[start].startswith('for '):
      end = lines.index('done', start)
    else:
      while lines[end].endswith('\\'):
        end += 1
    text = '\n'.join(lines[start:end + 1])
    if text.strip() and not text.lstrip().startswith('#'):
      yield Command(document, first + start, text)
    start = end + 1


def read_all() -> list[Command]:
  """All commands of all documents, in the order of reading."""
  return [command for document in DOCUMENTS for command in read(document)]
