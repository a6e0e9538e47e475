"""HTML of what all sections have: figures with their numbers, tables, lists of key figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tf_proxyless.report.drawing import network
from tf_proxyless.report.drawing import svg


def section(identity: str, heading: str, content: str, lead: str = '') -> str:
  """A section of the page, empty if it has no content; `content` is HTML, the heading and the lead are text."""
  if not content:
    return ''
  lead = f'<p class="lead">{svg.escape(lead)}</p>' if lead else ''
  heading = f'<h2 id="{identity}-h">{svg.escape(heading)}</h2>'
  return f'<section id="{identity}" aria-labelledby="{identity}-h">{heading}{lead}{content}</section>'


def figure(caption: str, picture: str, numbers: str = '', note: str = '') -> str:
  """A picture with its caption; `numbers`, HTML of a table of what it shows, can be opened."""
  note = f'<p class="note">{svg.escape(note)}</p>' if note else ''
  more = f'<details><summary>Numbers</summary>{numbers}</details>' if numbers else ''
  return f'<figure><figcaption>{svg.escape(caption)}</figcaption>{picture}{note}{more}</figure>'


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], label: str, marked: Iterable[int] = ()) -> str:
  """A table in a box of its own that scrolls where it is too wide.

  Args:
    head: Column names.
    rows: Text of cells; the first cell of a row is its name.
    label: Name of the table for screen readers.
    marked: Rows that stand out.
  """
  marked = set(marked)
  lines = []
  for index, row in enumerate(rows):
    name, *cells = (svg.escape(cell) for cell in row)
    lines.append(f'<tr{" class=marked" if index in marked else ""}><th scope="row">{name}</th>'
                 + ''.join(f'<td>{cell}</td>' for cell in cells) + '</tr>')
  titles = ''.join(f'<th scope="col">{svg.escape(cell)}</th>' for cell in head)
  return (f'<div class="scroll" tabindex="0" role="region" aria-label="{svg.escape(label)}"><table><thead><tr>{titles}</tr></thead>'
          f'<tbody>{"".join(lines)}</tbody></table></div>')


def scrolling(content: str, label: str) -> str:
  """A wide picture in a box that scrolls on narrow screens."""
  return f'<div class="scroll" tabindex="0" role="region" aria-label="{svg.escape(label)}">{content}</div>'


def key_figures(items: Iterable[tuple[str, str, str]]) -> str:
  """Large figures: (name, figure, remark)."""
  cells = ''.join(f'<div><dt>{svg.escape(name)}</dt><dd>{svg.escape(value)}<small>{svg.escape(remark)}</small></dd></div>'
                  for name, value, remark in items)
  return f'<dl class="keys">{cells}</dl>'


def messages(texts: Sequence[str], heading: str, kind: str) -> str:
  """Sentences that should not be overlooked; `kind` is 'warning' or 'problem'."""
  items = ''.join(f'<li>{svg.escape(message)}</li>' for message in texts)
  return f'<div class="message {kind}" role="note"><strong>{svg.escape(heading)}</strong><ul>{items}</ul></div>' if texts else ''


def grid(*figures: str) -> str:
  """Figures side by side where there is room; empty ones are left out."""
  return f'<div class="grid">{"".join(figures)}</div>' if any(figures) else ''


def legend(keys: Sequence[str], more: str = 'height: expansion') -> str:
  """Colours and patterns of drawings of networks; `more` is added as text."""
  swatches = {key: f'<svg viewBox="0 0 22 14" aria-hidden="true">{svg.box(1, 1, 20, 12, key, network.PATTERNS[key])}</svg>' for key in keys}
  if 'skip' in swatches:
    swatches['skip'] = '<span class="skipmark" aria-hidden="true">○</span>'
  items = ''.join(f'<li>{swatch}{svg.escape(network.LEGEND[key])}</li>' for key, swatch in swatches.items())
  return f'<ul class="legend">{items}<li>{svg.escape(more)}</li></ul>'
