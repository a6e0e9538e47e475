"""Predicted against measured latency, as a picture."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from collections.abc import Sequence

from tf_proxyless.infra import files
from tf_proxyless.report.figures import cost_figures
from tf_proxyless.report.figures import figure_style


def save(groups: Mapping[str, Sequence[tuple[float, float]]], title: str, path: os.PathLike | str) -> None:
  """Writes a scatter plot with the diagonal and bands of 5 and 10 percent around it.

  Args:
    groups: (predicted ms, measured ms) of each network, by purpose: 'calibration', 'validation' or 'published'.
    title: Above the picture.
    path: A PNG file.
  """
  rows = [{'purpose': purpose, 'predicted_ms': predicted, 'measured_ms': measured}
          for purpose, points in groups.items() for predicted, measured in points]
  picture = io.BytesIO()
  with figure_style.style():
    canvas = figure_style.new(figure_style.ONE_COLUMN, figure_style.ONE_COLUMN)
    cost_figures.proof(canvas.subplots(), rows, title)
    canvas.savefig(picture, dpi=figure_style.DPI, format='png')
  files.write_atomically(path, picture.getvalue())
