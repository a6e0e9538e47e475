"""Predicted against measured latency, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import io
import os

from tf_proxyless import files

_COLORS = {'calibration': '#9aa0a6', 'validation': '#1a73e8', 'published': '#d93025'}


def save(groups: Mapping[str, Sequence[tuple[float, float]]], title: str, path: os.PathLike | str) -> None:
  """Writes a scatter plot with the diagonal and bands of 5 and 10 percent around it.

  Args:
    groups: (predicted ms, measured ms) of each network, by purpose: 'calibration', 'validation' or 'published'.
    title: Above the picture.
    path: A PNG file.
  """
  from matplotlib import figure

  canvas = figure.Figure(figsize=(6.4, 6.4), layout='constrained')
  axes = canvas.subplots()
  values = [value for points in groups.values() for point in points for value in point]
  low, high = min(values), max(values)
  low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
  for share, shade in ((0.10, 0.06), (0.05, 0.10)):
    axes.fill_between([low, high], [low * (1 - share), high * (1 - share)], [low * (1 + share), high * (1 + share)], color='black',
                      alpha=shade, linewidth=0, label=f'within {100 * share:.0f} %')
  axes.plot([low, high], [low, high], color='black', linewidth=0.8)
  for purpose, points in groups.items():
    if points:
      predicted, measured = zip(*points)
      axes.scatter(measured, predicted, s=22, color=_COLORS[purpose], label=f'{purpose} ({len(points)})', zorder=3)
  axes.set(xlim=(low, high), ylim=(low, high), aspect='equal', xlabel='measured, ms', ylabel='predicted, ms', title=title)
  axes.legend(loc='upper left', frameon=False)
  axes.grid(alpha=0.2)
  picture = io.BytesIO()
  canvas.savefig(picture, dpi=120, format='png')
  files.write_atomically(path, picture.getvalue())
