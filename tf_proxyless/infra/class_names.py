"""What a name of a class may be: one line of text that files of labels can hold."""

from __future__ import annotations

import unicodedata


def fault(name: str) -> str:
  """What is wrong with a name, as '... it ends with a blank'; '' if nothing is."""
  if not name:
    return 'it is empty'
  if name != name.strip():
    return f'it {"begins" if name != name.lstrip() else "ends"} with a blank'
  if len(name.splitlines()) > 1 or any(unicodedata.category(character) == 'Cc' for character in name):
    return 'it has a line break or a control character in it'
  if any(unicodedata.category(character) == 'Cs' for character in name):
    return 'it is not UTF-8 text'
  return ''
