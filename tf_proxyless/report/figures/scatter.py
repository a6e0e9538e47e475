"""Predicted against measured latency, as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tf_proxyless.infra import files
from tf_proxyless.report.drawing import svg
from tf_proxyless.report.figures import figures
from tf_proxyless.report.page import sections_costs


def save(groups: Mapping[str, Sequence[tuple[float, float]]], title: str, path: files.PathLike) -> None:
  """Writes a scatter plot with the diagonal and bands of 5 and 10 percent around it.

  Args:
    groups: (predicted ms, measured ms) of each network, by purpose: 'calibration', 'validation' or 'published'.
    title: Heading of the picture.
    path: A PNG file.
  """
  rows = [{'name': purpose, 'purpose': purpose, 'predicted_ms': predicted, 'measured_ms': measured}
          for purpose, points in groups.items() for predicted, measured in points]
  files.write_atomically(path, figures.png(svg.compose([(title, sections_costs.proof_chart(rows))], 1, 410)))
