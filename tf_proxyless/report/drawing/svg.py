"""Parts of pictures as SVG text: shapes, axes, legends. Colours are classes of picture.css, so that they follow the reader's scheme."""

from __future__ import annotations

import dataclasses
import html
import importlib.resources
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_MOST_TICKS = 8  # of a logarithmic axis
THIN_SPACE = '\u202f'  # between groups of digits
CHARACTER = 7.1  # px, of the 12 px text of picture.css on average, in the widest of its fonts


# Each is drawn over a colour, so that it says the same without it.
PATTERNS = ('<pattern id="stripes" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
            '<path d="M0 0V6" class="ink"/></pattern>'
            '<pattern id="dots" width="6" height="6" patternUnits="userSpaceOnUse"><circle cx="2" cy="2" r="1" class="inkdot"/></pattern>'
            '<pattern id="crosses" width="7" height="7" patternUnits="userSpaceOnUse"><path d="M0 0L7 7M7 0L0 7" class="ink"/></pattern>')


def style() -> str:
  """The style sheet of pictures."""
  return importlib.resources.files(__package__).joinpath('picture.css').read_text(encoding='utf-8')


def light_style() -> str:
  """The style sheet with the colours on paper in place of variables, for programs that know none."""
  found = re.sub(r'@media.*?\}\s*\}|/\*.*?\*/', '', style(), flags=re.DOTALL)
  values = dict(re.findall(r'(--\w+): ([^;]+);', found))
  return re.sub(r'var\((--\w+)\)', lambda match: values[match[1]], re.sub(r':root \{.*?\}', '', found, flags=re.DOTALL)).strip()


def escape(value: Any) -> str:
  """Text that is safe in HTML, SVG and attributes in double quotes; halves of surrogate pairs, which no file can hold, become '?'."""
  return html.escape(str(value).encode('utf-8', 'replace').decode('utf-8'))


def shorten(text: str, length: int) -> str:
  """At most `length` characters."""
  return text if len(text) <= length else f'{text[:length - 1]}…'


def px(value: float) -> str:
  """A coordinate with one decimal at most."""
  return f'{value:.1f}'.removesuffix('.0')


def text_width(text: str) -> float:
  """Estimated width of 12 px text in px."""
  return CHARACTER * len(text)


def text(x: float, y: float, content: str, classes: str = '', rotate: float = 0.0) -> str:
  """A text element; class 'end' or 'mid' aligns it."""
  content = ''.join(character if character.isprintable() or character == THIN_SPACE else '?' for character in str(content))
  place = f'x="{px(x)}" y="{px(y)}"' if not rotate else f'transform="translate({px(x)} {px(y)}) rotate({rotate:g})"'
  return f'<text {place}{_class(classes)}>{escape(content)}</text>'


def line(x0: float, y0: float, x1: float, y1: float, classes: str) -> str:
  """A straight line."""
  return f'<path d="M{px(x0)} {px(y0)}L{px(x1)} {px(y1)}"{_class(classes)}/>'


def box(x: float, y: float, width: float, height: float, style: str, pattern: str) -> str:
  """A rectangle in a colour, with a pattern over it."""
  return rect(x, y, width, height, f'k {style}') + rect(x, y, width, height, f'p p-{pattern}')


def rect(x: float, y: float, width: float, height: float, classes: str) -> str:
  """A rectangle."""
  return f'<rect x="{px(x)}" y="{px(y)}" width="{max(width, 0):.2f}" height="{px(max(height, 0))}"{_class(classes)}/>'


def title(content: str) -> str:
  """The tooltip of the element around it."""
  return f'<title>{escape(content)}</title>'


def _class(classes: str) -> str:
  return f' class="{classes}"' if classes else ''


def polyline(points: Iterable[tuple[float, float] | None], classes: str) -> str:
  """A line through points; None interrupts it, and a point on its own is a dot."""
  parts, pen = [], 'M'
  for point in points:
    if point is None:
      pen = 'M'
      continue
    parts.append(f'{pen}{px(point[0])} {px(point[1])}' + ('h0' if pen == 'M' else ''))
    pen = 'L'
  return f'<path d="{"".join(parts)}" class="line {classes}"/>'


def dots(points: Iterable[tuple[float, float]], classes: str) -> str:
  """Many marks as one element: round, with class 'square' square, with class 'cross' crosses; the size of dots is the stroke's."""
  form, offset = ('l6 6m0-6l-6 6', 3) if 'cross' in classes.split() else ('h0', 0)
  return f'<path d="{"".join(f"M{px(x - offset)} {px(y - offset)}{form}" for x, y in points)}" class="dots {classes}"/>'


def picture(width: float, height: float, label: str, content: str, hover: Mapping[str, Any] | None = None, classes: str = '') -> str:
  """A whole SVG, which scales with the page.

  Args:
    width, height: In px at full size.
    label: The picture in words, for screen readers.
    content: SVG.
    hover: Tooltips for the script: 'lines' over epochs, or 'points', each (x px, y px, text).
    classes: Classes of CSS.
  """
  chart = '' if hover is None else f' tabindex="0" data-hover="{escape(json.dumps(hover, separators=(",", ":")))}"'
  return (f'<svg viewBox="0 0 {px(width)} {px(height)}" role="img" aria-label="{escape(label)}"{_class(classes)}{chart}>'
          f'{content}</svg>')


@dataclasses.dataclass(frozen=True)
class Axis:
  """Values to px, with ticks.

  Attributes:
    low, high: Values at the ends.
    start, end: Their places in px; `end` may be smaller.
    ticks: Values that are marked.
    logarithmic: Whether the axis is; values are then positive.
  """

  low: float
  high: float
  start: float
  end: float
  ticks: tuple[float, ...]
  logarithmic: bool = False

  def __call__(self, value: float) -> float:
    low, high = self.low, self.high
    if self.logarithmic:
      value, low, high = math.log(value), math.log(low), math.log(high)
    return self.start + (value - low) / (high - low) * (self.end - self.start)


def linear_axis(values: Sequence[float], start: float, end: float, count: int = 5, integers: bool = False, tight: bool = False) -> Axis:
  """An axis around values, with about `count` round ticks.

  Args:
    values: Values within it; without any, 0 to 1.
    start, end: Places of its ends in px.
    count: Number of ticks, about.
    integers: Whether ticks are integers, as epochs are.
    tight: Whether it ends at the values, not at ticks.
  """
  low, high = (min(values), max(values)) if values else (0.0, 1.0)
  if high - low <= 1e-9 * max(abs(low), abs(high)):
    margin = 0.5 if integers else abs(low) * 0.1 or 1.0
    low, high = low - margin, high + margin
  step = round_step((high - low) / count)
  step = max(1.0, step) if integers else step
  first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
  if not tight:
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    low, high = first * step, last * step
  return Axis(low, high, start, end, tuple(_tidy(index * step) for index in range(first, last + 1)))


def logarithmic_axis(values: Sequence[float], start: float, end: float) -> Axis:
  """An axis around positive values, with ticks at 1, 2 and 5 times powers of ten, or where these are many at 1 and 3, or at 1."""
  low, high = min(values) / 1.15, max(values) * 1.15
  decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
  for factors in ((1, 2, 5), (1, 3), (1,)):
    ticks = [factor * 10.0**decade for decade in decades for factor in factors if low <= factor * 10.0**decade <= high]
    if len(ticks) <= _MOST_TICKS:
      break
  return Axis(low, high, start, end, tuple(ticks), True)


def round_step(step: float) -> float:
  """The next larger of 1, 2, 2.5 and 5 times powers of ten."""
  power = 10.0 ** math.floor(math.log10(step))
  return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * (1 - 1e-9))


def _tidy(value: float) -> float:
  """Without the last digits of a product such as 3 * 0.1."""
  return float(f'{value:.10g}')


def tick_texts(axis: Axis, factor: float = 1.0) -> list[str]:
  """The ticks as text, all with the same decimals, multiplied by `factor` (100 for percent)."""
  values = [factor * tick for tick in axis.ticks]
  if axis.logarithmic:
    return [f'{value:g}' for value in values]
  decimals = max((len(f'{value:.6g}'.partition('.')[2]) if 'e' not in f'{value:.6g}' else 6 for value in values), default=0)
  return [f'{value:,.{decimals}f}'.replace(',', THIN_SPACE) for value in values]


def frame(x: Axis, y: Axis, x_label: str, y_label: str, y_factor: float = 1.0, x_factor: float = 1.0) -> str:
  """Grid, ticks and names of both axes; `y_label` stands above the plot's left edge."""
  parts = []
  for tick, content in zip(y.ticks, tick_texts(y, y_factor)):
    parts += [line(x.start, y(tick), x.end, y(tick), 'grid'), text(x.start - 6, y(tick) + 4, content, 'end tick')]
  for tick, content in zip(x.ticks, tick_texts(x, x_factor)):
    parts += [line(x(tick), y.start, x(tick), y.start + 4, 'axis'), text(x(tick), y.start + 17, content, 'mid tick')]
  parts += [line(x.start, y.start, x.end, y.start, 'axis'), text((x.start + x.end) / 2, y.start + 33, x_label, 'mid name'),
            text(2, y.end - 10, y_label, 'name')]
  return ''.join(parts)


def legend(entries: Sequence[tuple[str, str, str]], width: float) -> tuple[str, float]:
  """Names of what a chart shows, in rows.

  Args:
    entries: (kind, classes, name); the kind is 'line', 'dots', or for boxes 'p-' and their pattern.
    width: Width of the chart in px.

  Returns:
    SVG, and its height in px.
  """
  parts, x, y = [], 2.0, 14.0
  for kind, classes, name in entries:
    name = shorten(name, 40)
    needed = 30 + text_width(name)
    if x > 2 and x + needed > width:
      x, y = 2.0, y + 18
    if kind == 'line':
      sample = f'<path d="M{px(x)} {px(y - 4)}h20" class="line {classes}"/>'
    else:
      sample = dots([(x + 12, y - 4)], classes) if kind == 'dots' else box(x, y - 11, 20, 12, classes, kind.removeprefix('p-'))
    parts += [sample, text(x + 25, y, name)]
    x += needed + 10
  return ''.join(parts), y + 6 if entries else 0.0


def compose(pictures: Sequence[tuple[str, str]], columns: int, width: float, height: float | None = None) -> str:
  """Pictures with headings in rows.

  Args:
    pictures: (heading, SVG).
    columns: Pictures in a row.
    width: Width of each in px.
    height: Height of each in px; None keeps their proportions.

  Returns:
    SVG; empty without pictures.
  """
  if not pictures:
    return ''
  parts, y, bottom = [], 0.0, 0.0
  for index, (heading, content) in enumerate(pictures):
    x, y = index % columns * (width + 16), bottom if index % columns == 0 else y
    full_width, full_height = size(content)
    tall = height or width * full_height / full_width
    parts += [text(x, y + 13, shorten(heading, int(width / CHARACTER)), 'strong'), nest(content, x, y + 20, width, tall)]
    bottom = max(bottom, y + 32 + tall)
  return picture(min(columns, len(pictures)) * (width + 16) - 16, bottom, ', '.join(heading for heading, _ in pictures), ''.join(parts))


def size(content: str) -> tuple[float, float]:
  """Width and height of a picture."""
  width, height = content.partition('viewBox="')[2].partition('"')[0].split()[2:]
  return float(width), float(height)


def nest(content: str, x: float, y: float, width: float, height: float) -> str:
  """A picture as a part of another one."""
  return f'<svg x="{px(x)}" y="{px(y)}" width="{px(width)}" height="{px(height)}" ' + content.removeprefix('<svg ')
