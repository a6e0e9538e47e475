"""Figures for papers, from a report's document: each as PNG and as SVG."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

from tf_proxyless.infra import files
from tf_proxyless.report import units
from tf_proxyless.report.drawing import network as drawing
from tf_proxyless.report.figures import cost_figures
from tf_proxyless.report.figures import figure_style
from tf_proxyless.report.figures import history_figures
from tf_proxyless.report.figures import network_figure

if TYPE_CHECKING:
  from matplotlib import figure as figure_lib

Progress = Callable[[int, int], None]  # what is done, and how much there is


def available(document: Mapping[str, Any]) -> dict[str, Callable[[], figure_lib.Figure]]:
  """What makes each figure for which the document has data, by name; call them within `figure_style.style`.

  Args:
    document: A report's; the figures are those of its first run, 'pareto' shows the others' fronts too.
  """
  run = document['runs'][0]
  unit, table, network = run['cost']['unit'], run['table'], drawing.shown(run)
  result = {}
  if network is not None:
    result['network'] = lambda: network_figure.make(network, unit, _title(run))
    if all(block['cost'] is not None for block in network['blocks']):
      result['blocks'] = lambda: cost_figures.blocks(network, unit)
  if run['history']['epoch']:
    result['curves'] = lambda: history_figures.curves(run)
    if run['decisions']:
      result['probabilities'] = lambda: history_figures.probabilities(run)
  if run['samples'] is not None:
    result['pareto'] = lambda: cost_figures.pareto(document['runs'])
  if table is not None:
    result['table'] = lambda: cost_figures.table(table)
  return result


def _title(run: Mapping[str, Any]) -> str:
  """What `drawing.shown` is."""
  if run['network'] is None:
    return f'most likely network after epoch {run["history"]["epoch"][-1]}'
  cost = run['network']['cost']
  return 'derived network' + ('' if cost is None else f', {units.cost(cost, run["cost"]["unit"])}')


def save_all(document: Mapping[str, Any], directory: files.PathLike, progress: Progress | None = None) -> list[pathlib.Path]:
  """Writes every figure for which the document has data: network, blocks, curves, probabilities, pareto, table.

  Args:
    document: A report's.
    directory: Where; it is made if it is not there.
    progress: Called after each figure.

  Returns:
    The files, a PNG and an SVG for each figure.

  Raises:
    OSError: The folder cannot be made or written to.
  """
  directory = pathlib.Path(directory)
  directory.mkdir(parents=True, exist_ok=True)
  makers = available(document)
  paths = []
  with figure_style.style():
    for done, (name, make) in enumerate(makers.items(), 1):
      paths += figure_style.save(make(), directory, name)
      if progress is not None:
        progress(done, len(makers))
  return paths
