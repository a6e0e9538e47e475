"""A network as boxes and arcs, in the style of the papers' figures: numbers only, which the page and the figures render.

Blocks stand along x, to scale by what they cost; their height is their expansion ratio, their colour their kernel. x grows to the right
and y downwards, in units of which the blocks of a network take 100 in all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import itertools
from typing import Any

BLOCKS_WIDTH = 100.0  # of all blocks together, without the gaps
GAP = 0.9
HEIGHT = 26.0  # of the tallest box
ARC_HEIGHT = 4.0  # of a shortcut over its box
TALLEST = 6.0  # expansion ratio of boxes of that height, unless there are larger ones
THINNEST = 0.25  # so that a block that costs next to nothing is still seen

# Okabe and Ito, Color Universal Design (2008); light enough for black text. Patterns say the same without colour.
COLORS = {'k3': '#56B4E9', 'k5': '#E69F00', 'k7': '#009E73', 'other': '#CC79A7', 'fixed': '#BBBBBB', 'skip': '#FFFFFF'}
PATTERNS = {'k3': 'plain', 'k5': 'stripes', 'k7': 'dots', 'other': 'crosses', 'fixed': 'plain', 'skip': 'plain'}
LEGEND = {'k3': 'kernel 3×3', 'k5': 'kernel 5×5', 'k7': 'kernel 7×7',
          'other': 'other kernel', 'fixed': 'conv, classifier', 'skip': 'skipped'}


@dataclasses.dataclass(frozen=True)
class Box:
  """A block.

  Attributes:
    x, y, width, height: Of the upper left corner, and the sides. A skipped block has neither width nor height: the line goes on.
    key: Of `COLORS`, `PATTERNS` and `LEGEND`.
    label: What it is, for people, for instance 'MB3 5x5'.
    index: Of the block in its network.
    share: Of the cost of all blocks, in [0, 1].
  """

  x: float
  y: float
  width: float
  height: float
  key: str
  label: str
  index: int
  share: float


@dataclasses.dataclass(frozen=True)
class Arc:
  """The identity shortcut of the block `index`: from (x0, y) up by `height` and down again at (x1, y)."""

  x0: float
  x1: float
  y: float
  height: float
  index: int


@dataclasses.dataclass(frozen=True)
class Mark:
  """Where the resolution changes: to `text`, for instance '56×56', from `x` on."""

  x: float
  text: str


@dataclasses.dataclass(frozen=True)
class Stage:
  """Blocks in a row with outputs of one shape; `text` names it, for instance '56×56×32'."""

  x0: float
  x1: float
  text: str
  first: int
  last: int


@dataclasses.dataclass(frozen=True)
class Drawing:
  """A whole network: within [0, width] x [0, height], with its line at `line_y`.

  Attributes:
    measure: What widths stand for: 'cost', 'macs' where a block's cost is not known, or 'nothing' where that is not either.
    keys: Of the boxes, in the order of `LEGEND`.
  """

  width: float
  height: float
  line_y: float
  boxes: tuple[Box, ...]
  arcs: tuple[Arc, ...]
  marks: tuple[Mark, ...]
  stages: tuple[Stage, ...]
  measure: str
  keys: tuple[str, ...]


def key(block: Mapping[str, Any]) -> str:
  """The colour's key of a block, or of a choice of a decision: anything with 'kind' and 'kernel'."""
  if block['kind'] == 'zero':
    return 'skip'
  if block['kind'] != 'mbconv':
    return 'fixed'
  name = f'k{block["kernel"]}'
  return name if name in COLORS else 'other'


def resolve(network: Mapping[str, Any], decisions: Sequence[Mapping[str, Any]], choices: Sequence[int]) -> dict[str, Any]:
  """The network that choices make of one with open decisions.

  Args:
    network: A document's `fixed_blocks`.
    decisions: The document's `decisions`.
    choices: For each decision the index of a choice.

  Returns:
    A network whose blocks have the label, kind, kernel, expansion and cost of their choices.
  """
  blocks = []
  for block in network['blocks']:
    if block['decision'] is not None:
      block = {**block, 'macs': None, **decisions[block['decision']]['choices'][choices[block['decision']]]}
    blocks.append(block)
  return {**network, 'blocks': blocks}


def shown(run: Mapping[str, Any]) -> dict[str, Any] | None:
  """The found network of a run, or as long as there is none the most likely one of its last epoch; None without either."""
  choices = run['most_likely']['choices']
  if run['network'] is not None or run['fixed_blocks'] is None or not choices:
    return run['network']
  return resolve(run['fixed_blocks'], run['decisions'], choices[-1])


def widths(network: Mapping[str, Any]) -> tuple[list[float], str]:
  """How wide blocks are relative to each other, and what that stands for: see `Drawing.measure`."""
  for measure in ('cost', 'macs'):
    values = [0.0 if block['kind'] == 'zero' else block[measure] for block in network['blocks']]
    if None not in values and sum(values) > 0:
      return values, measure
  return [float(block['kind'] != 'zero') for block in network['blocks']], 'nothing'


def layout(network: Mapping[str, Any], per_unit: float | None = None) -> Drawing:
  """Where everything stands.

  Args:
    network: A network of a report's document, every decision made.
    per_unit: Width of a block for each unit of its cost, to draw several networks to one scale; None makes the blocks take
      `BLOCKS_WIDTH`.
  """
  blocks = network['blocks']
  costs, measure = widths(network)
  total = sum(costs)
  per_unit = BLOCKS_WIDTH / (total or 1.0) if per_unit is None else per_unit
  tallest = max([TALLEST, *(block['expansion'] or 1.0 for block in blocks)])
  line_y = ARC_HEIGHT + HEIGHT / 2
  boxes, x = [], GAP
  for index, (block, cost) in enumerate(zip(blocks, costs)):
    skipped = block['kind'] == 'zero'
    width = 0.0 if skipped else max(cost * per_unit, THINNEST)
    height = 0.0 if skipped else HEIGHT * (block['expansion'] or 1.0) / tallest
    boxes.append(Box(x, line_y - height / 2, width, height, key(block), block['label'], index, cost / total if total else 0.0))
    x += width + GAP
  arcs = [Arc(box.x - GAP / 2, box.x + box.width + GAP / 2, box.y, ARC_HEIGHT, box.index)
          for box, block in zip(boxes, blocks) if block['residual'] and box.width]
  used = {box.key for box in boxes}
  return Drawing(x, HEIGHT + 2 * ARC_HEIGHT, line_y, tuple(boxes), tuple(arcs), tuple(_marks(network, boxes)),
                 tuple(_stages(blocks, boxes)), measure, tuple(name for name in LEGEND if name in used))


def _marks(network: Mapping[str, Any], boxes: Sequence[Box]) -> list[Mark]:
  """The input's resolution, and each that follows."""
  marks = [Mark(0.0, '{}×{}'.format(*network['input']))]
  for block, box in zip(network['blocks'], boxes):
    if block['strides'] > 1:
      marks.append(Mark(box.x + box.width + GAP / 2, '{}×{}'.format(*block['output'])))
  return marks


def _stages(blocks: Sequence[Mapping[str, Any]], boxes: Sequence[Box]) -> list[Stage]:
  stages = []
  for shape, group in itertools.groupby(boxes, key=lambda box: tuple(blocks[box.index]['output'])):
    members = list(group)
    first, last = members[0], members[-1]
    stages.append(Stage(first.x, last.x + last.width, '×'.join(map(str, shape)), first.index, last.index))
  return stages
