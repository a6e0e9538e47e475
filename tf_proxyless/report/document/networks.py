"""Networks and decisions with their costs, for a search's report. What an operation is, is derived from its layers."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tf_proxyless.cost import counting
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import layers as layers_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import published as published_lib
from tf_proxyless.space import registry
from tf_proxyless.space import schema

MACS = 'MACs'


@dataclasses.dataclass(frozen=True)
class Prices:
  """Costs of operations and networks.

  Attributes:
    unit: `MACS`, or that of the table.
    table: Table of the costs; without one, other costs than MACs are not known.
  """

  unit: str
  table: table_lib.LatencyTable | None

  def of(self, signature: network_lib.OpSignature | None) -> float | None:
    """Cost of an operation, calibrated; None if it is not known, 0 for one that computes nothing."""
    if self.unit == MACS:
      return counting.count(signature).macs
    if self.table is None or (signature is not None and self.table.missing([signature])):
      return None
    return self.table.calibration.scale * self.table.latency_ms(signature)

  @functools.cached_property
  def provenance(self) -> Mapping[network_lib.OpSignature, str]:
    """Provenance of each entry of the table; empty where costs are MACs."""
    return {} if self.unit == MACS or self.table is None else {
        entry.signature: entry.latency.provenance for entry in self.table.entries}

  def total(self, network: network_lib.Network) -> float | None:
    """Cost of an architecture; None if it is not known."""
    if self.unit == MACS:
      return model_lib.from_macs(network).fixed
    if self.table is None or self.table.missing(network_lib.op_signatures(network)):
      return None
    return model_lib.from_latency_table(network, self.table).fixed


def decisions(space: network_lib.Network, model: model_lib.CostModel | None) -> list[dict[str, Any]]:
  """Every decision with its choices.

  Args:
    space: A search space.
    model: Its costs, if they are known.
  """
  known = schema.decisions(space)
  found = []
  for index, decision in enumerate(known):
    place = next((place for place in network_lib.places(space) if index in place.decisions), None)
    costs = [None] * len(decision.choices) if model is None else model.choice_costs[index]
    choices = [{**_choice(choice, place), 'cost': cost} for choice, cost in zip(decision.choices, costs)]
    found.append({'path': decision.path, 'label': _decision_label(decision.path), 'tag': decision.tag, 'choices': choices})
  return found


def _decision_label(path: str) -> str:
  """'block 3' for blocks/block_3/op, 'block 1 choice 2 kernel size' for blocks/block_1/op/1/kernel_size."""
  parts = [f'choice {int(part) + 1}' if part.isdigit() else part for part in path.split('/') if part not in ('blocks', 'op')]
  return ' '.join(parts).replace('_', ' ')


def _choice(choice: Any, place: network_lib.Place | None) -> dict[str, Any]:
  """An alternative of a decision: an operation, a number, or a name."""
  if not hasattr(choice, 'layers') or place is None:
    return {'label': str(choice), 'skipped': False, 'form': 'value', 'kernel': None, 'expansion': None}
  shape = next(iter(place.variants.values())).input_shape
  ends = [describe(schema.resolve_part(choice, '', {path: index % len(one_of.choices) for path, one_of in schema.walk(choice)}), shape)
          for index in (0, -1)]
  same = ends[0]['label'] == ends[1]['label']  # a width that is open in it shows nowhere
  return ends[0] if same else {**ends[0], 'label': registry.name_of(type(choice))}


def network(network: network_lib.Network, prices: Prices) -> dict[str, Any]:
  """An architecture, block by block, with its total cost."""
  blocks = [_block(place, variant, network.padding, prices) for place in network_lib.places(network) for variant in place.variants.values()]
  return {'name': network.name, 'cost': prices.total(network), 'macs': sum(block['macs'] for block in blocks),
          'parameters': sum(block['parameters'] for block in blocks), 'blocks': blocks}


def sequence(space: network_lib.Network, paths: Sequence[Sequence[int]], prices: Prices) -> dict[str, Any]:
  """The networks of several paths through a space.

  Args:
    space: A search space.
    paths: Choice of each decision, by network.
    prices: Costs of operations.

  Returns:
    'choices': the paths; 'blocks': for each block its variants that occur; 'variants': for each path the variant of each block.
  """
  places = network_lib.places(space)
  keys = [[tuple(path[index] for index in place.decisions) for place in places] for path in paths]
  numbers: list[dict[tuple[int, ...], int]] = [{} for _ in places]
  variants = [[known.setdefault(key, len(known)) for known, key in zip(numbers, row)] for row in keys]
  blocks = [[_block(place, place.variants[key], space.padding, prices) for key in known] for place, known in zip(places, numbers)]
  return {'choices': [list(path) for path in paths], 'blocks': blocks, 'variants': variants}


def _block(place: network_lib.Place, variant: network_lib.Variant, padding: str, prices: Prices) -> dict[str, Any]:
  """A block under some choices."""
  signature = network_lib.op_signature(variant.op, variant.input_shape, place.block.residual, padding, place.block.terms)
  count = counting.count(signature)
  strides = math.prod(getattr(layer, 'strides', 1) for layer in variant.op.layers(variant.input_shape))
  inputs = {'inputs': list(place.block.inputs)} if place.block.inputs else {}
  return {'name': place.block.name, **describe(variant.op, variant.input_shape), 'strides': strides, 'residual': place.block.residual,
          'input': list(variant.input_shape), 'output': list(variant.output_shape), 'cost': prices.of(signature), 'macs': count.macs,
          'parameters': count.parameters, 'provenance': prices.provenance.get(signature), **inputs}


_SHORT_ACTIVATIONS = {'hard_swish': 'HS', 'relu': 'RE'}  # as MobileNetV3's tables have them


def describe(op: ops.Op, input_shape: ops.Shape) -> dict[str, Any]:
  """An operation without open decisions, for people and for drawing.

  Returns:
    'label': such as 'MB3 5x5'; 'skipped': whether it computes nothing; 'form': 'depthwise', 'conv', 'pool' or 'dense', by its layers;
    'kernel': the largest; 'expansion': the largest width inside over the input's, of an operation with a depthwise convolution.
  """
  traced = list(layers_lib.trace(op.layers(input_shape), input_shape))
  if not ops.computes(op):
    return {'label': 'skip', 'skipped': True, 'form': 'skip', 'kernel': None, 'expansion': None}
  form, kernels = _form(traced)
  widths = [layer.output_shape[2] for layer in traced[:-1] if isinstance(layer.layer, layers_lib.DepthwiseConv)]
  expansion = round(max(widths) / input_shape[2], 2) if widths else None
  kernel = max(kernels, default=None)
  linear = isinstance(traced[-1].layer, layers_lib.BatchNorm)
  names = {'depthwise': f'MB{expansion:g}' if expansion and linear else 'sep', 'conv': 'conv'}
  label = f'{names[form]} {kernel}x{kernel}' if form in names else ops.short_name(op)
  return {'label': ' '.join([label, *_marks(traced)]), 'skipped': False, 'form': form, 'kernel': kernel, 'expansion': expansion}


def _form(traced: Sequence[layers_lib.TracedLayer]) -> tuple[str, list[int]]:
  """The kind of layer that characterises an operation, and the sizes of its kernels."""
  layers = [layer.layer for layer in traced]
  kernels = [layer.kernel_size for layer in layers if isinstance(layer, (layers_lib.Conv, layers_lib.DepthwiseConv))]
  if any(isinstance(layer, layers_lib.DepthwiseConv) for layer in layers):
    return 'depthwise', kernels
  if kernels:
    return 'conv', kernels
  pools = [layer.pool_size for layer in layers if isinstance(layer, layers_lib.Pool)]
  return ('pool', pools) if pools else ('dense', [])


def _marks(traced: Sequence[layers_lib.TracedLayer]) -> Iterator[str]:
  """What is not as in MobileNetV2: squeeze-excite, dilation, groups, another activation."""
  layers = [layer.layer for layer in traced]
  if any(isinstance(layer, layers_lib.Dense) for layer in layers):
    return
  if any(isinstance(layer, layers_lib.SqueezeExcite) for layer in layers):
    yield 'SE'
  dilation = max((layer.dilation for layer in layers if isinstance(layer, layers_lib.DepthwiseConv)), default=1)
  if dilation > 1:
    yield f'd{dilation}'
  groups = max((layer.groups for layer in layers if isinstance(layer, layers_lib.Conv)), default=1)
  if groups > 1:
    yield f'g{groups}'
  kinds = dict.fromkeys(layer.kind for layer in layers if isinstance(layer, layers_lib.Activation))
  yield from (_SHORT_ACTIVATIONS.get(kind, kind) for kind in kinds if kind != 'relu6')


def published(space: network_lib.Network, prices: Prices) -> list[dict[str, Any]]:
  """The published networks for ImageNet that the table covers (all, in MACs), at the space's input and with its classes."""
  resolution = space.input_shape[0]
  if not schema.is_resolved(space.input_shape) or resolution % 32 or space.input_shape != (resolution, resolution, 3):  # they take no other
    return []
  rows = []
  for name in published_lib.IMAGENET_NAMES:
    cost = prices.total(published_lib.network(name, resolution=resolution, classes=space.classes, padding=space.padding))
    if cost is not None:
      known = published_lib.network(name)
      as_published = (known.input_shape, known.classes) == (space.input_shape, space.classes)
      rows.append({'name': name, 'cost': cost, 'top1_imagenet': published_lib.TOP1[name] / 100 if as_published else None,
                   'note': 'trained for ImageNet by its authors' if as_published else
                   f'here for {resolution} x {resolution} pixels, {space.classes} classes'})
  return rows
