"""Charts as SVG, with the data of their tooltips for the page's script."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence

from tf_proxyless.report import units
from tf_proxyless.report.drawing import svg

WIDTH, HEIGHT = 410, 240  # px; small, so that text is still read where a phone shows it smaller
_LEFT, _RIGHT, _BOTTOM = 52, 14, 40  # at least; more where ticks need it


@dataclasses.dataclass(frozen=True)
class Series:
  """A line over epochs: `y` has a value, or None, for each of `x`; `style` is a number of the classes s0, s1, ... of page.css."""

  name: str
  x: Sequence[int]
  y: Sequence[float | None]
  style: int = 0


@dataclasses.dataclass(frozen=True)
class Axes:
  """The y axis: name, factor of its values, and values that it includes in any case."""

  name: str
  factor: float = 1.0
  include: tuple[float, ...] = ()


def _place(x: svg.Axis, y: svg.Axis, x_factor: float, y_factor: float) -> svg.Axis:
  """The x axis, as long as the ticks of both axes leave room for it."""
  left = max((svg.text_width(tick) for tick in svg.tick_texts(y, y_factor)), default=0.0) + 10
  right = max((svg.text_width(tick) for tick in svg.tick_texts(x, x_factor)), default=0.0) / 2 + 2
  return dataclasses.replace(x, start=max(_LEFT, left), end=WIDTH - max(_RIGHT, right))


def lines(series: Sequence[Series], axes: Axes, target: float | None = None,
          phases: Sequence[tuple[str, int, int]] = (), cursor: int | None = None) -> str:
  """Curves over epochs.

  Args:
    series: Lines.
    axes: The y axis.
    target: Value of a dashed line.
    phases: (name, first epoch, last epoch): a band for all but the last.
    cursor: Epoch that is marked.
  """
  entries = [('line', f's{item.style}', item.name) for item in series]
  entries = entries + [('line', 'target', 'target')] if target is not None else entries if len(series) > 1 else []
  key, top = svg.legend(entries, WIDTH)
  values = [value for item in series for value in item.y if value is not None] + [*axes.include] + ([] if target is None else [target])
  height = HEIGHT + top
  y = svg.linear_axis(values, height - _BOTTOM, top + 24)
  x = svg.linear_axis([epoch for item in series for epoch in item.x], 0, WIDTH, 6, integers=True, tight=True)
  x = _place(x, y, 1.0, axes.factor)
  parts = [key, _bands(phases, x, y, series), svg.frame(x, y, 'epoch', axes.name, axes.factor)]
  if target is not None:
    parts.append(svg.line(x.start, y(target), x.end, y(target), 'line target'))
  for item in series:
    points = (None if value is None else (x(epoch), y(value)) for epoch, value in zip(item.x, item.y))
    parts.append(svg.polyline(points, f's{item.style}'))
  parts += [] if cursor is None else [svg.line(x(cursor), y.start, x(cursor), y.end, 'cursor')]
  hover = {'x': [x.low, x.high, x.start, x.end], 'y': [y.low, y.high, y.start, y.end], 'factor': axes.factor,
           'lines': [{'name': item.name, 'style': item.style, 'x': list(item.x), 'y': [_short(value) for value in item.y]}
                     for item in series]}
  return svg.picture(WIDTH, height, _summary(axes, series), ''.join(parts), hover, 'chart')


def _short(value: float | None) -> float | None:
  return None if value is None else float(f'{value:.5g}')


def _summary(axes: Axes, series: Sequence[Series]) -> str:
  """A curve chart in words."""
  parts = []
  for item in series:
    known = [value for value in item.y if value is not None]
    if known:
      parts.append(f'{item.name}: from {units.number(axes.factor * known[0])} to {units.number(axes.factor * known[-1])}')
  return f'{axes.name} by epoch. ' + '; '.join(parts)


def _bands(phases: Sequence[tuple[str, int, int]], x: svg.Axis, y: svg.Axis, series: Sequence[Series]) -> str:
  """Shades all phases but the last, with their names where the lines' beginnings leave room."""
  parts = []
  starts = [y(value) for item in series for value in item.y[:len(item.y) // 3 + 1] if value is not None]
  above = not starts or sum(starts) / len(starts) > (y.start + y.end) / 2
  for name, first, last in phases[:-1]:
    x0, x1 = max(x(first), x.start), min(x(last + 1), x.end)
    parts.append(svg.rect(x0, y.end, x1 - x0, y.start - y.end, 'band'))
    if x1 - x0 > svg.text_width(name) + 8:
      parts.append(svg.text(x0 + 5, y.end + 13 if above else y.start - 7, name, 'small'))
  return ''.join(parts)


def phases(names: Sequence[str], epochs: Sequence[int]) -> list[tuple[str, int, int]]:
  """Runs of epochs of one phase: (name, first epoch, last epoch)."""
  groups = itertools.groupby(zip(names, epochs), key=lambda pair: pair[0])
  return [(svg.shorten(name, 20), members[0][1], members[-1][1]) for name, members in ((name, list(group)) for name, group in groups)]


@dataclasses.dataclass(frozen=True)
class Points:
  """Points of a scatter chart: (x, y, tooltip); `style` is a class, `joined` draws a line through them."""

  name: str
  values: Sequence[tuple[float, float, str]]
  style: str
  joined: bool = False


@dataclasses.dataclass(frozen=True)
class Plane:
  """The axes of a scatter chart: names and factors; `logarithmic` and `diagonal` (bands of 5 and 10 percent) hold for both axes."""

  x_name: str
  y_name: str
  x_factor: float = 1.0
  y_factor: float = 1.0
  logarithmic: bool = False
  diagonal: bool = False


def scatter(groups: Sequence[Points], plane: Plane, target: float | None = None, verticals: Sequence[tuple[str, float]] = (),
            errors: Sequence[tuple[float, float, float]] = ()) -> str:
  """Points in a plane.

  Args:
    groups: Points, the last on top.
    plane: Axes.
    target: x of a dashed line.
    verticals: (name, x): thin lines with a number, which the legend explains.
    errors: (x, y, error of y): whiskers of one standard error.
  """
  groups = [group for group in groups if group.values]
  entries = [('line' if group.joined else 'dots', group.style, group.name) for group in groups]
  entries += [('line', 'target', 'target')] if target is not None else []
  entries += [('line', 'vertical', f'{index}: {name}') for index, (name, _) in enumerate(verticals, 1)]
  key, top = svg.legend(entries, WIDTH)
  height = HEIGHT + 60 + top
  xs = [value[0] for group in groups for value in group.values] + [value for _, value in verticals]
  xs += [] if target is None else [target]
  ys = [value[1] for group in groups for value in group.values]
  if plane.diagonal:
    xs = ys = xs + ys
  make = svg.logarithmic_axis if plane.logarithmic else svg.linear_axis
  y = make(ys, height - _BOTTOM, top + 24)
  x = _place(make(xs, 0, WIDTH), y, plane.x_factor, plane.y_factor)
  parts = [key, _diagonal(x, y) if plane.diagonal else '', svg.frame(x, y, plane.x_name, plane.y_name, plane.y_factor, plane.x_factor)]
  parts += [svg.line(x(target), y.start, x(target), y.end, 'line target')] if target is not None else []
  parts += _verticals(verticals, x, y)
  parts += [svg.line(x(at), y(max(value - error, y.low)), x(at), y(min(value + error, y.high)), 'whisker') for at, value, error in errors]
  points = []
  for group in groups:
    places = [(x(value[0]), y(value[1])) for value in group.values]
    parts.append(svg.polyline(places, group.style) if group.joined else '')
    parts.append(svg.dots(places, group.style))
    points += [[round(place[0], 1), round(place[1], 1), value[2]] for place, value in zip(places, group.values)]
  label = f'{plane.y_name} over {plane.x_name}: ' + ', '.join(f'{len(group.values)} {group.name}' for group in groups)
  return svg.picture(WIDTH, height, label, ''.join(parts), {'points': points}, 'chart')


@dataclasses.dataclass(frozen=True)
class Strips:
  """Columns of values side by side, with their means.

  Attributes:
    name: Below them.
    columns: (name for the legend, values, class) of each.
    reference: Value of a dashed line through them.
  """

  name: str
  columns: Sequence[tuple[str, Sequence[float], str]]
  reference: float | None = None


def strips(groups: Sequence[Strips], axes: Axes, reference: str) -> str:
  """Values as dots in columns, in groups side by side.

  Args:
    groups: From left to right; at least one value in all.
    axes: The y axis.
    reference: Name of the dashed lines; one that lies outside the dots' range is not drawn.
  """
  entries = list(dict.fromkeys(('dots', style, name) for group in groups for name, _, style in group.columns))
  values = [value for group in groups for _, column, _ in group.columns for value in column]
  range_ = svg.linear_axis(values, 0, 1)
  drawn = {group.name: group.reference for group in groups if group.reference is not None and range_.low <= group.reference <= range_.high}
  key, top = svg.legend([*entries, *([('line', 'target', reference)] if drawn else [])], WIDTH)
  height = HEIGHT + 60 + top
  y = dataclasses.replace(range_, start=height - _BOTTOM, end=top + 24)
  x = _place(svg.Axis(0, sum(len(group.columns) + 1 for group in groups), 0, WIDTH, ()), y, 1.0, axes.factor)
  parts, first = [key, svg.frame(x, y, '', axes.name, axes.factor)], 0.5
  for group in groups:
    last = first + len(group.columns)
    parts.append(svg.text(x((first + last) / 2), y.start + 17, group.name, 'mid tick'))
    for index, (_, column, style) in enumerate(group.columns):
      middle, width = x(first + index + 0.5), x(1) - x(0)
      shifts = [((0.5 + 0.618 * number) % 1 - 0.5) * 0.6 for number in range(len(column))]  # so that they do not cover each other
      parts.append(svg.dots([(middle + width * shift, y(value)) for shift, value in zip(shifts, column)], style))
      if column:
        mean = y(sum(column) / len(column))
        parts.append(svg.line(middle - 0.42 * width, mean, middle + 0.42 * width, mean, 'axis'))
    if group.name in drawn:
      parts.append(svg.line(x(first), y(drawn[group.name]), x(last), y(drawn[group.name]), 'line target'))
    first = last + 1
  counts = ', '.join(f'{group.name}: ' + ', '.join(f'{len(column)} {name}' for name, column, _ in group.columns) for group in groups)
  return svg.picture(WIDTH, height, f'{axes.name} of {counts}', ''.join(parts), classes='chart')


def _verticals(verticals: Sequence[tuple[str, float]], x: svg.Axis, y: svg.Axis) -> list[str]:
  """Lines with numbers at the top, lower where they would overlap."""
  parts, ends = [], [-1.0, -1.0, -1.0]
  for index, (_, value) in sorted(enumerate(verticals, 1), key=lambda item: item[1][1]):
    row = next((row for row, end in enumerate(ends) if x(value) > end), 0)
    ends[row] = x(value) + 12
    parts.append(svg.line(x(value), y.start, x(value), y.end, 'line vertical'))
    parts.append(svg.text(x(value) + 3, y.end + 11 + 12 * row, str(index), 'small strong'))
  return parts


def _diagonal(x: svg.Axis, y: svg.Axis) -> str:
  """Bands of 10 and 5 percent around equality; a picture in the picture cuts them off at the plot's edges."""
  high = max(x.high, y.high)
  parts = [f'<path class="band" d="M{svg.px(x(0))} {svg.px(y(0))}L{svg.px(x(high))} {svg.px(y(high * (1 - share)))}'
           f'L{svg.px(x(high))} {svg.px(y(high * (1 + share)))}Z"/>' for share in (0.10, 0.05)]
  parts.append(svg.line(x(0), y(0), x(high), y(high), 'axis'))
  left, top, width, height = (svg.px(value) for value in (x.start, y.end, x.end - x.start, y.start - y.end))
  return (f'<svg x="{left}" y="{top}" width="{width}" height="{height}" viewBox="{left} {top} {width} {height}">{"".join(parts)}</svg>')


@dataclasses.dataclass(frozen=True)
class Bar:
  """A horizontal bar: its name, value, text behind it, class and pattern, and whiskers from and to."""

  name: str
  value: float
  label: str
  style: str
  pattern: str = 'plain'
  whiskers: tuple[float, float] | None = None


def bars(rows: Sequence[Bar], label: str) -> str:
  """Horizontal bars, one a row, with their names on the left and values on the right."""
  left = max((svg.text_width(svg.shorten(bar.name, 24)) for bar in rows), default=0.0) + 10
  right = WIDTH - max((svg.text_width(bar.label) for bar in rows), default=0.0) - 8
  largest = max((bar.whiskers[1] if bar.whiskers else bar.value for bar in rows), default=0.0) or 1.0
  scale, parts = (right - left) / largest, [svg.line(left, 2, left, 20 * len(rows) + 2, 'axis')]
  for index, bar in enumerate(rows):
    y, length = 4 + 20 * index, max(bar.value * scale, 0.5)
    parts.append(svg.text(left - 7, y + 12, svg.shorten(bar.name, 24), 'end'))
    parts.append(svg.rect(left, y, length, 15, f'k {bar.style}') + svg.rect(left, y, length, 15, f'p p-{bar.pattern}'))
    end = left + length
    if bar.whiskers:
      low, end = (left + scale * value for value in bar.whiskers)
      parts.append(f'<path class="whisker" d="M{svg.px(low)} {y + 7.5}H{svg.px(end)}M{svg.px(low)} {y + 4}v7M{svg.px(end)} {y + 4}v7"/>')
    parts.append(svg.text(max(end, left + length) + 5, y + 12, bar.label))
  return svg.picture(WIDTH, 20 * len(rows) + 6, label, ''.join(parts), classes='chart bars')
