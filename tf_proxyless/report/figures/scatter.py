"""Predicted against measured latency or energy, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tf_proxyless.infra import files
from tf_proxyless.report.drawing import svg
from tf_proxyless.report.figures import figures
from tf_proxyless.report.page import sections_costs


def save(groups: Mapping[str, Sequence[tuple[float, float]]], title: str, path: files.PathLike, unit: str = 'ms') -> None:
  """Writes a scatter plot with the diagonal and bands of 5 and 10 percent around it.

  Args:
    groups: (predicted, measured) of each network, by purpose: 'calibration', 'validation' or 'published'.
    title: Heading of the picture.
    path: A PNG file.
    unit: 'ms' or 'mJ'.
  """
  rows = [{'name': purpose, 'purpose': purpose, 'predicted_ms': predicted, 'measured_ms': measured}
          for purpose, points in groups.items() for predicted, measured in points]
  files.write_atomically(path, figures.png(svg.compose([(title, sections_costs.proof_chart(rows, unit))], 1, 410)))
