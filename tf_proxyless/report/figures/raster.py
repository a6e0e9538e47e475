"""Pixels of the SVG that this package writes: shapes, text, transforms and classes of its style sheet, drawn by matplotlib's renderer.

No SVG of other origin: what `drawing` does not write is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
import functools
import math
import re
from typing import Any
from xml.etree import ElementTree

from matplotlib import colors
from matplotlib import font_manager
from matplotlib import path as path_lib
from matplotlib import textpath
from matplotlib import transforms
from matplotlib.backends import backend_agg
import numpy as np

from tf_proxyless.report.drawing import svg

_HATCHES = {'url(#stripes)': '//', 'url(#dots)': '..', 'url(#crosses)': 'xx'}
_CAPS = {'butt': 'butt', 'round': 'round', 'square': 'projecting'}
_HIDDEN = ('title', 'defs', 'style')
_TOKEN = re.compile(r'[A-Za-z]|-?(?:\d+\.?\d*|\.\d+)')

Style = dict[str, str]


def pixels(picture: str, width: int) -> np.ndarray:
  """Draws a picture on white: uint8 [height, width, 3].

  Args:
    picture: SVG text.
    width: Width in pixels; the height follows.
  """
  root = ElementTree.fromstring(picture)
  full_width, full_height = svg.size(picture)
  scale = width / full_width
  height = max(1, round(full_height * scale))
  canvas = _Canvas(backend_agg.RendererAgg(width, height, 72 * scale), scale, height)
  canvas.draw_children(root, transforms.Affine2D().scale(scale, -scale).translate(0, height), None)
  found = np.asarray(canvas.renderer.buffer_rgba()).astype(np.float32)
  alpha = found[..., 3:] / 255.0
  return np.clip(np.round(found[..., :3] * alpha + 255.0 * (1.0 - alpha)), 0, 255).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class _Canvas:
  """The renderer, how many pixels a unit of the picture has, and the height in pixels."""

  renderer: backend_agg.RendererAgg
  scale: float
  height: int

  def draw_children(self, parent: ElementTree.Element, matrix: transforms.Affine2D, clip: transforms.Bbox | None) -> None:
    """Draws what is in an element, whose coordinates `matrix` takes to pixels."""
    for element in parent:
      tag = element.tag.rpartition('}')[2]
      if tag in _HIDDEN or element.get('display') == 'none':
        continue
      inner = _transform(element.get('transform', '')) + matrix
      if tag == 'svg':
        self._draw_picture(element, inner)
      elif tag == 'g':
        self.draw_children(element, inner, clip)
      else:
        self._draw_shape(tag, element, inner, clip)

  def _draw_picture(self, element: ElementTree.Element, matrix: transforms.Affine2D) -> None:
    """A picture in the picture, which is cut off at its edges."""
    x, y, width, height = (float(element.get(name)) for name in ('x', 'y', 'width', 'height'))
    left, top, inner_width, inner_height = map(float, element.get('viewBox').split())
    scales = [width / inner_width, height / inner_height]
    if element.get('preserveAspectRatio') != 'none':
      scales = [min(scales)] * 2
    inner = transforms.Affine2D().translate(-left, -top).scale(*scales).translate(x, y) + matrix
    self.draw_children(element, inner, transforms.Bbox(matrix.transform([(x, y + height), (x + width, y)])))

  def _draw_shape(self, tag: str, element: ElementTree.Element, matrix: transforms.Affine2D, clip: transforms.Bbox | None) -> None:
    style = _style(tag, element.get('class', ''))
    size = self.scale if 'vector-effect' in style else math.sqrt(abs(np.linalg.det(matrix.get_matrix()[:2, :2])))
    shape, matrix = _text(element, style, matrix) if tag == 'text' else (_shape(tag, element), matrix)
    gc = self.renderer.new_gc()
    gc.set_snap(False)
    if clip is not None:
      gc.set_clip_rectangle(clip)
    fill, stroke = style.get('fill', '#000000'), style.get('stroke', 'none')
    if 'paint-order' in style:  # a halo behind text
      self._paint(gc, shape, matrix, style, size, 'none', stroke)
      stroke = 'none'
    self._paint(gc, shape, matrix, style, size, fill, stroke)

  def _paint(self, gc: Any, shape: path_lib.Path, matrix: transforms.Affine2D, style: Style, size: float, fill: str, stroke: str) -> None:
    width = float(style.get('stroke-width', '1').removesuffix('px')) * size / self.scale
    gc.set_linewidth(0.0 if stroke == 'none' else width)
    if stroke != 'none':
      gc.set_foreground(_rgba(stroke, style), isRGBA=True)
    gc.set_capstyle(_CAPS[style.get('stroke-linecap', 'butt')])
    gc.set_joinstyle(style.get('stroke-linejoin', 'miter'))
    dashes = [float(length) * size / self.scale for length in style.get('stroke-dasharray', '').split()]
    gc.set_dashes(0, dashes * (len(dashes) % 2 + 1) or None)
    if fill in _HATCHES:
      gc.set_hatch(_HATCHES[fill])
      gc.set_hatch_color(colors.to_rgba('#00000060'))
      gc.set_hatch_linewidth(1.0)
      fill = 'none'
    self.renderer.draw_path(gc, shape, matrix, None if fill == 'none' else _rgba(fill, style))
    gc.set_hatch(None)


def _rgba(color: str, style: Style) -> tuple[float, float, float, float]:
  red, green, blue, alpha = colors.to_rgba(color)
  return red, green, blue, alpha * float(style.get('opacity', 1.0))


def _transform(text: str) -> transforms.Affine2D:
  """'translate(3 4) rotate(90)': the last is applied first."""
  found = transforms.Affine2D()
  for name, numbers in reversed(re.findall(r'(\w+)\(([^)]*)\)', text)):
    values = [float(value) for value in numbers.split()]
    found = found.translate(*values) if name == 'translate' else found.rotate_deg(*values)
  return found


@functools.lru_cache(maxsize=1)
def _rules() -> list[tuple[str, frozenset[str], Style]]:
  """(tag or '', classes, declarations) of the style sheet, the most special last."""
  rules = []
  for selectors, declarations in re.findall(r'([^{}]+)\{([^{}]*)\}', svg.light_style()):
    found = {name.strip(): value.strip() for name, _, value in (line.partition(':') for line in declarations.split(';')) if value}
    for selector in selectors.split(','):
      tag, *classes = selector.strip().split('.')
      rules.append((tag, frozenset(classes), found))
  return sorted(rules, key=lambda rule: (len(rule[1]), bool(rule[0])))


@functools.lru_cache(maxsize=1000)
def _style(tag: str, classes: str) -> Style:
  """The declarations that hold for an element."""
  names, found = set(classes.split()), {}
  for rule_tag, rule_classes, declarations in _rules():
    if rule_tag in ('', tag) and rule_classes <= names:
      found.update(declarations)
  return found


def _shape(tag: str, element: ElementTree.Element) -> path_lib.Path:
  """The outline of a shape."""
  if tag == 'circle':
    return path_lib.Path.circle((float(element.get('cx')), float(element.get('cy'))), float(element.get('r')))
  if tag == 'rect':
    x, y, width, height = (float(element.get(name)) for name in ('x', 'y', 'width', 'height'))
    return path_lib.Path([(x, y), (x + width, y), (x + width, y + height), (x, y + height), (x, y)], closed=True)
  if tag == 'path':
    return _path(element.get('d'))
  raise ValueError(f'not an element of our pictures: {tag}')


@functools.lru_cache(maxsize=1000)
def _path(text: str) -> path_lib.Path:
  vertices, codes = zip(*_steps(text))
  found = path_lib.Path(np.array(vertices), codes)
  found.should_simplify = False
  return found


def _steps(text: str) -> Iterator[tuple[tuple[float, float], int]]:
  """Vertices and codes of the commands M, m, L, l, H, h, V, v, Q and Z."""
  tokens = iter(_TOKEN.findall(text))
  at, start, command = (0.0, 0.0), (0.0, 0.0), ''
  for token in tokens:
    if token.isalpha():
      command = token
      if command == 'Z':
        yield start, path_lib.Path.CLOSEPOLY
        at = start
        continue
      token = next(tokens)
    number = float(token)
    origin = at if command.islower() else (0.0, 0.0)
    if command in 'Hh':
      length = number or 0.01 * command.islower()  # a line of no length, which is a dot
      at = (origin[0] + length, at[1])
    elif command in 'Vv':
      at = (at[0], origin[1] + number)
    elif command == 'Q':
      yield (number, float(next(tokens))), path_lib.Path.CURVE3
      at = (float(next(tokens)), float(next(tokens)))
      yield at, path_lib.Path.CURVE3
      continue
    else:
      at = (origin[0] + number, origin[1] + float(next(tokens)))
    moves = command in 'Mm'
    start = at if moves else start
    yield at, path_lib.Path.MOVETO if moves else path_lib.Path.LINETO


def _text(element: ElementTree.Element, style: Style, matrix: transforms.Affine2D) -> tuple[path_lib.Path, transforms.Affine2D]:
  """The outlines of a text, and what takes them to pixels."""
  size = float((style.get('font-size') or style['font']).partition('px')[0])
  bold = style.get('font-weight') == '600'
  shape, width = _glyphs(element.text or '', bold)
  shift = {'middle': 0.5, 'end': 1.0}.get(style.get('text-anchor', ''), 0.0) * width
  place = transforms.Affine2D().translate(-shift, 0).scale(size / 100.0, -size / 100.0)
  return shape, place.translate(float(element.get('x', 0.0)), float(element.get('y', 0.0))) + matrix


@functools.lru_cache(maxsize=4000)
def _glyphs(text: str, bold: bool) -> tuple[path_lib.Path, float]:
  """Outlines at a size of 100, and their width; the font comes with matplotlib, so that it is there on every machine."""
  font = font_manager.FontProperties(family='DejaVu Sans', weight='bold' if bold else 'normal')
  width, _, _ = textpath.text_to_path.get_text_width_height_descent(text, font, ismath=False)
  shape = textpath.TextPath((0, 0), text, size=100, prop=font, usetex=False) if text.strip() else path_lib.Path(np.zeros((0, 2)))
  return shape, width * 100.0 / font.get_size_in_points()
