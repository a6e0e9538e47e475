"""Closest-match suggestions for unknown names."""

from __future__ import annotations

from collections.abc import Iterable
import difflib
import re


def closest(word: str, known: Iterable[str], most: int = 3) -> list[str]:
  """The known names most like a mistyped one, best first; those count too that contain the word or are contained in it.

  Case and punctuation are ignored.
  """
  names = {_letters(name): name for name in known}
  typed = _letters(word)
  parts = [key for key in names if min(len(key), len(typed)) > 2 and (typed in key or key in typed)]
  return [names[key] for key in dict.fromkeys([*difflib.get_close_matches(typed, names, most, cutoff=0.7), *parts])][:most]


def hint(word: str, known: Iterable[str], most: int = 3) -> str:
  """The end of an error message about an unknown name: "; did you mean 'x'?", or '' if no known name is close."""
  found = closest(word, known, most)
  return f'; did you mean {either([repr(name) for name in found])}?' if found else ''


def either(names: Iterable[str]) -> str:
  """'a, b or c'."""
  *others, last = names
  return f'{", ".join(others)} or {last}' if others else last


def _letters(name: str) -> str:
  return re.sub(r'[\W_]', '', name.lower())
