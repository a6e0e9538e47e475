"""Probabilities of the choices of decisions: stacked areas over the epochs, and a stacked bar a decision for one epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tf_proxyless.report.drawing import network
from tf_proxyless.report.drawing import svg

Decision = Mapping[str, Any]

LEVELS = 1000  # heights of a strip's areas are thousandths


def strip(decision: Decision, rows: Sequence[Sequence[float]]) -> str:
  """Stacked areas: each is painted from the bottom to its upper edge, the highest first, so that only upper edges are written.

  Args:
    decision: Decision of a report's document.
    rows: Probability of each choice, by epoch.
  """
  rows = rows if len(rows) > 1 else [*rows, *rows]
  choices = decision['choices']
  edges = [[round(LEVELS * sum(row[:index + 1]) / (sum(row) or 1.0)) for row in rows] for index in range(len(choices))]
  parts = []
  for choice, edge, tint in reversed(list(zip(choices, edges, network.tints(choices)))):
    steps = ''.join(f'l1 {before - after}' for before, after in zip(edge, edge[1:]))
    parts.append(f'<path class="k area {network.key(choice)} {tint}" d="M0 {LEVELS}V{LEVELS - edge[0]}{steps}V{LEVELS}Z"/>')
  label = svg.escape(f'{decision["label"]}: at the end {ending(decision, rows[-1])}')
  return (f'<svg viewBox="0 0 {len(rows) - 1} {LEVELS}" preserveAspectRatio="none" role="img" aria-label="{label}">'
          f'{"".join(parts)}</svg>')


def ending(decision: Decision, row: Sequence[float]) -> str:
  """The most likely choice and its probability."""
  best = max(range(len(row)), key=row.__getitem__)
  return f'{decision["choices"][best]["label"]} {100 * row[best]:.0f} %'


def bar(decision: Decision) -> str:
  """A lying bar whose parts, one a choice, the page's script makes as wide as probable."""
  parts = []
  for choice, tint in zip(decision['choices'], network.tints(decision['choices'])):
    name = network.key(choice)
    parts.append(f'<g><rect class="k {name} {tint}" height="20"/><rect class="p p-{network.PATTERNS[name]}" height="20"/>'
                 f'<text class="mid" y="14">{svg.escape(svg.shorten(choice["label"], 16))}</text></g>')
  return f'<svg class="bar" role="img" aria-label="{svg.escape(decision["label"])}">{"".join(parts)}</svg>'


def bars(decisions: Sequence[Decision], rows: Sequence[Sequence[float]], width: float, height: float) -> str:
  """A standing bar a decision.

  Args:
    decisions: Decisions of a report's document.
    rows: Probability of each choice, by decision.
    width, height: Size in px.
  """
  step, parts = width / len(decisions), []
  for index, (decision, row) in enumerate(zip(decisions, rows)):
    y = height - 22
    for choice, tint, share in zip(decision['choices'], network.tints(decision['choices']), row):
      name, length = network.key(choice), share * (height - 22)
      y -= length
      if share > 0.002:
        parts.append(svg.box(step * (index + 0.1), y, 0.8 * step, length, f'{name} {tint} outlined', network.PATTERNS[name]))
    label = svg.shorten(decision['label'].removeprefix('block '), max(2, int(step / svg.CHARACTER)))
    parts.append(svg.text(step * (index + 0.5), height - 6, label, 'mid small'))
  return svg.picture(width, height, 'Probabilities', ''.join(parts))
