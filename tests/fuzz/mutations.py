"""Damages valid files as their form invites: values of a JSON tree, numbers and lines of a text, members of an archive, bytes.

A program is bytes, `STEP` for each mutation, so that what is random is one value that Hypothesis can shrink.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.fuzz import archive_mutations
from tests.fuzz import plain_mutations
from tests.fuzz.plain_mutations import Step

STEP = 8  # bytes of a program for a mutation: operation, place (3), another place (2), value (2)
MAX_STEPS = 4
MAX_BYTES = 300_000  # of what a mutation makes
_REPEATED = 200_000  # bytes of an amplified slice: what is quadratic in the size of a file takes longer than it may

_BY_FORM = {'json': plain_mutations.mutate_json, 'json lines': plain_mutations.mutate_json_lines, 'text': plain_mutations.mutate_text,
            'zip': archive_mutations.mutate_zip, 'pickle': archive_mutations.mutate_pickle, 'binary': plain_mutations.mutate_bytes}


def steps(program: bytes) -> Iterator[Step]:
  """The mutations of a program."""
  for start in range(0, len(program) - STEP + 1, STEP):
    part = program[start:start + STEP]
    yield Step(part[0], int.from_bytes(part[1:4], 'little'), int.from_bytes(part[4:6], 'little'), int.from_bytes(part[6:8], 'little'))


def mutate(form: str, content: bytes, program: bytes) -> bytes:
  """A valid file of a form ('json', 'json lines', 'text', 'zip', 'pickle' or 'binary') after the mutations of a program."""
  for step in steps(program):
    if step.operation >= 254:
      content = _repeat(content, step)
    elif step.operation >= 236:
      content = plain_mutations.mutate_bytes(content, step)
    else:
      content = _BY_FORM[form](content, step)
    content = content[:MAX_BYTES]
  return content


def _repeat(content: bytes, step: Step) -> bytes:
  """A slice of a few bytes, or a line, a great many times."""
  if not content:
    return content
  start = step.place % len(content)
  length = (1, 2, 3, 8, 40)[step.value % 5]
  part = content[start:start + length]
  return content[:start] + part * (_REPEATED // len(part)) + content[start:]
