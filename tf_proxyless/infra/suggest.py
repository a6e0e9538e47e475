"""What somebody meant who mistyped a name."""

from __future__ import annotations

from collections.abc import Iterable
import difflib
import re

_ALIKE = 0.7  # share of equal letters, as difflib counts
_LEAST = 3  # letters of a part that may stand for the whole


def closest(word: str, known: Iterable[str], most: int = 3) -> list[str]:
  """Names that a word may have been meant for, the likeliest first.

  Case, dashes and the like play no part. Names count that are spelt alike, that contain the word, or that it contains.

  Args:
    word: As it was typed.
    known: The accepted names.
    most: How many to return at most.
  """
  names: dict[str, list[str]] = {}
  for name in known:
    names.setdefault(_letters(name), []).append(name)
  typed = _letters(word)
  if typed in names:
    return names[typed][:most]
  alike = difflib.get_close_matches(typed, names, n=most, cutoff=_ALIKE)
  parts = [key for key in names if min(len(key), len(typed)) >= _LEAST and (typed in key or key in typed)]
  return [name for key in dict.fromkeys([*alike, *parts]) for name in names[key]][:most]


def hint(word: str, known: Iterable[str], most: int = 3) -> str:
  """The end of a sentence about an unknown word: "; did you mean 'x'?", or nothing if no name is like it."""
  found = closest(word, known, most)
  return f'; did you mean {either([repr(name) for name in found])}?' if found else ''


def either(names: Iterable[str]) -> str:
  """'a, b or c'."""
  *others, last = names
  return f'{", ".join(others)} or {last}' if others else last


def _letters(name: str) -> str:
  return re.sub(r'[\W_]', '', name.lower())
