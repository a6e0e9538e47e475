"""Figures for papers, from a report's document: the pictures of its page, each as PNG and as SVG."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import io
import pathlib
import re
from typing import Any
from xml.etree import ElementTree

from tf_proxyless.infra import files
from tf_proxyless.report import units
from tf_proxyless.report.drawing import graph
from tf_proxyless.report.drawing import network as drawing
from tf_proxyless.report.drawing import probabilities
from tf_proxyless.report.drawing import svg
from tf_proxyless.report.page import sections_costs
from tf_proxyless.report.page import sections_history

Progress = Callable[[int, int], None]  # figures that are done, and all

DPI = 300
_PX_PER_INCH = 120.0  # of a picture: text of 12 px has 7.2 points
_NO_XML = re.compile('[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]')


def pictures(document: Mapping[str, Any]) -> dict[str, str]:
  """Each figure for which the document has data, as SVG, by name.

  Args:
    document: A report's; the figures are those of its first run, 'pareto' shows the others' fronts too.
  """
  run = document['runs'][0]
  network, table = drawing.shown(run), run['table']
  found = {'network': network and _network(run, network), 'blocks': network and sections_costs.blocks_chart(network, run['cost']['unit'])}
  if run['history']['epoch']:
    found['curves'] = svg.compose([*sections_history.curve_charts(run).items()], 2, 410)
    if run['decisions']:
      found['probabilities'] = svg.compose(_strips(run), 4, 200, 70)
  found['pareto'] = run['samples'] and sections_costs.samples_chart(document['runs'])
  found['table'] = table and svg.compose(sections_costs.table_charts(table), 2, 410)
  return {name: picture for name, picture in found.items() if picture}


def _network(run: Mapping[str, Any], network: Mapping[str, Any]) -> str:
  """The drawing with its legend; the heading says what it is."""
  unit = run['cost']['unit']
  drawn = graph.draw(network['blocks'], unit)
  entries = [(f'p-{drawing.PATTERNS[key]}', key, drawing.LEGEND[key]) for key in drawing.keys(network['blocks'])]
  legend, height = svg.legend(entries, 940)
  heading = 'Derived network' if run['network'] else f'Most likely network after epoch {run["history"]["epoch"][-1]}'
  cost = '' if network['cost'] is None else f', {units.cost(network["cost"], unit)}'
  meanings = '' if graph.is_graph(network['blocks']) else '; width: cost, height: expansion, below: channels'
  return svg.compose([(f'{heading}{cost}{meanings}', drawn),
                      ('', svg.picture(940, height + 4, 'Legend', legend))], 1, 940)


def _strips(run: Mapping[str, Any]) -> list[tuple[str, str]]:
  """The probabilities of each decision under its name and its most likely choice at the end."""
  found = []
  for index, decision in enumerate(run['decisions']):
    rows = [row[index] for row in run['history']['probabilities']]
    found.append((f'{decision["label"]}: {probabilities.ending(decision, rows[-1])}', probabilities.strip(decision, rows)))
  return found


def standalone(picture: str) -> str:
  """A picture as a file of its own: with its style, without what the page's script needs."""
  root = ElementTree.fromstring(_NO_XML.sub('?', picture))
  for element in root.iter():
    for name in ('data-hover', 'tabindex', 'role'):
      element.attrib.pop(name, None)
  width, height = svg.size(picture)
  root.attrib.update(xmlns='http://www.w3.org/2000/svg', width=f'{width / _PX_PER_INCH:.3f}in', height=f'{height / _PX_PER_INCH:.3f}in')
  style = ElementTree.Element('style')
  style.text = svg.light_style()
  defs = ElementTree.fromstring(f'<defs>{svg.PATTERNS}</defs>')
  root[:0] = [style, defs]
  return ElementTree.tostring(root, encoding='unicode')


def png(picture: str, dpi: float = DPI) -> bytes:
  """A picture as a PNG file."""
  from PIL import Image

  from tf_proxyless.report.figures import raster  # here, because matplotlib takes a moment

  width, _ = svg.size(picture)
  content = io.BytesIO()
  image = Image.fromarray(raster.pixels(_NO_XML.sub('?', picture), round(width * dpi / _PX_PER_INCH)))
  image.save(content, format='PNG', dpi=(dpi, dpi))
  return content.getvalue()


def save_all(document: Mapping[str, Any], directory: files.PathLike, progress: Progress | None = None) -> list[pathlib.Path]:
  """Writes every figure for which the document has data: network, blocks, curves, probabilities, pareto, table.

  Args:
    document: A report's.
    directory: Folder of the figures; it is made if it is not there.
    progress: Called after each figure.

  Returns:
    The files, a PNG and an SVG for each figure.

  Raises:
    OSError: The folder cannot be made or written to.
  """
  directory = pathlib.Path(directory)
  directory.mkdir(parents=True, exist_ok=True)
  found = pictures(document)
  paths = []
  for done, (name, picture) in enumerate(found.items(), 1):
    paths += [directory / f'{name}.png', directory / f'{name}.svg']
    files.write_atomically(paths[-2], png(picture))
    files.write_atomically(paths[-1], standalone(picture))
    if progress is not None:
      progress(done, len(found))
  return paths
