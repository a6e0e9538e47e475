"""The frames of the animation of a search, one for each epoch, made of the pictures of its page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tf_proxyless.report import units
from tf_proxyless.report.drawing import charts
from tf_proxyless.report.drawing import network as drawing
from tf_proxyless.report.drawing import probabilities
from tf_proxyless.report.drawing import svg
from tf_proxyless.report.page import sections_history

WIDTH, HEIGHT = 1000, 562  # of a picture
_CHART = 300.0  # width of a chart in it


def draw(run: Mapping[str, Any], epochs: Sequence[int], width: int) -> Iterator[np.ndarray]:
  """Yields pictures, uint8 [height, width, 3], both sides even.

  Args:
    run: A run of a report's document.
    epochs: Indices into its history.
    width: Width in pixels.
  """
  from tf_proxyless.report.figures import raster  # here, because matplotlib takes a moment

  networks = run['most_likely']
  scale = drawing.scale([drawing.at(networks, index) for index in range(len(networks['variants']))])
  for index in epochs:
    pixels = raster.pixels(frame(run, index, scale), width)
    yield pixels[:pixels.shape[0] // 2 * 2, :pixels.shape[1] // 2 * 2]


def frame(run: Mapping[str, Any], index: int, scale: drawing.Scale) -> str:
  """The most likely network of an epoch, the probabilities of all decisions, and where the search is on its curves."""
  history, unit = run['history'], run['cost']['unit']
  blocks = drawing.at(run['most_likely'], index)
  likely = units.cost(history['most_likely_cost'][index], unit)
  heading = f'epoch {history["epoch"][index]} ({svg.shorten(history["phase"][index], 24)}): most likely network {likely}'
  choices = [choice for decision in run['decisions'] for choice in decision['choices']]
  legend, _ = svg.legend([(f'p-{drawing.PATTERNS[key]}', key, drawing.LEGEND[key]) for key in drawing.keys([*choices, *blocks])], WIDTH)
  columns = {'accuracy': charts.Axes('accuracy, %', 100.0), 'cost': charts.Axes(units.unit_name(unit), units.factor(unit))}
  names = {'accuracy': {'accuracy': 'sampled', 'most_likely_accuracy': 'most likely'},
           'cost': {'expected_cost': 'expected', 'most_likely_cost': 'most likely'}}
  curves = []
  for name, axes in columns.items():
    series = sections_history.series(run, names[name])
    if series:
      curves.append(charts.lines(series, axes, run['cost']['target'] if name == 'cost' else None, cursor=history['epoch'][index]))
  parts = [svg.text(10, 20, heading, 'strong'), svg.nest(drawing.render(blocks, unit, scale, WIDTH), 10, 28, WIDTH - 20, 320),
           svg.nest(probabilities.bars(run['decisions'], history['probabilities'][index], 360, 170), 10, 360, 360, 170),
           svg.nest(svg.picture(WIDTH, 24, 'Legend', legend), 10, 536, WIDTH, 24)]
  parts += [svg.nest(picture, 385 + position * (_CHART + 8), 350, _CHART, 188) for position, picture in enumerate(curves)]
  return svg.picture(WIDTH, HEIGHT, heading, ''.join(parts))
