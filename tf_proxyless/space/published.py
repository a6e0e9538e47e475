"""The published networks for ImageNet, as spaces with choices fixed.

Facts of the ProxylessNAS networks from the configurations that the authors published (Cai et al., ICLR 2019, arXiv 1812.00332).
"""

from __future__ import annotations

import dataclasses
from typing import Any

from tf_proxyless.infra import suggest
from tf_proxyless.space import mobilenet_v3
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema


@dataclasses.dataclass(frozen=True)
class _Published:
  """Arguments of `proxyless`, and the choice of each searched block, one line a stage."""

  arguments: dict[str, Any]
  choices: str


_PUBLISHED = {
    'proxyless_mobile': _Published(
        # Stage 1 is 32 wide here, 24 in the official search code and in the published latency table.
        dict(stage_filters=(32, 40, 80, 96, 192, 320), dropout_rate=0.1),
        """k5e3 k3e3 zero zero
           k7e3 k3e3 k5e3 k5e3
           k7e6 k5e3 k5e3 k5e3
           k5e6 k5e3 k5e3 k5e3
           k7e6 k7e6 k7e3 k7e3
           k7e6"""),
    'proxyless_mobile_14': _Published(
        # Widths close to 1.4 times those of proxyless_mobile, but no multiplier gives them.
        dict(stem_filters=48, first_block_filters=24, stage_filters=(40, 56, 112, 136, 256, 448), head_filters=1792,
             dropout_rate=0.3),
        """k5e3 k3e3 zero zero
           k7e3 k3e3 k5e3 k5e3
           k7e6 k5e3 k5e3 k5e3
           k5e6 k5e3 k5e3 k5e3
           k7e6 k7e6 k7e3 k7e3
           k7e6"""),
    'proxyless_gpu': _Published(
        dict(width_multiplier=1.35, dropout_rate=0.3),
        """k5e3 zero zero zero
           k7e3 zero zero k3e3
           k7e6 zero zero k5e3
           k5e6 zero k3e3 k5e3
           k7e6 k7e6 k7e6 k5e6
           k7e6"""),
    'proxyless_cpu': _Published(
        dict(width_multiplier=1.12, dropout_rate=0.2),
        """k3e6 k3e3 k3e3 k3e3
           k3e6 k3e3 k3e3 k5e3
           k3e6 zero zero k3e3
           k5e6 k3e3 k3e3 k3e3
           k5e6 k5e3 k5e3 k3e3
           k5e6"""),
}

MOBILENET_V3_LARGE = 'mobilenet_v3_large'
PROXYLESS_NAMES = tuple(_PUBLISHED)
NAMES = (*PROXYLESS_NAMES, MOBILENET_V3_LARGE)


def published(
    name: str, *, resolution: int = 224, classes: int = 1000, padding: str = 'same',
) -> tuple[network_lib.Network, schema.Genotype]:
  """The space and the choices of a published network.

  Args:
    name: One of `NAMES`.
    resolution: Input height and width in pixels; published for 224.
    classes: Output units.
    padding: 'same', or 'symmetric' as in the official code, which the published weights need.

  Returns:
    The search space and the genotype; `schema.resolve` makes the network of them. MobileNetV3 has no decisions.

  Raises:
    ValueError: The name is unknown, or `proxyless` refuses an argument.
  """
  if name == MOBILENET_V3_LARGE:
    return mobilenet_v3.mobilenet_v3_large(resolution, classes, padding=padding), schema.Genotype({})
  if name not in _PUBLISHED:
    raise ValueError(f'unknown network {name!r}; the published ones are {", ".join(NAMES)}{suggest.hint(name, NAMES, most=1)}')
  entry = _PUBLISHED[name]
  space = proxyless.proxyless(**entry.arguments, resolution=resolution, classes=classes, padding=padding, name=name)
  choices = {}
  for (path, one_of), choice in zip(schema.walk(space), entry.choices.split(), strict=True):
    choices[path] = [ops.short_name(op) for op in one_of.choices].index(choice)
  return space, schema.Genotype(choices)


def network(name: str, *, resolution: int = 224, classes: int = 1000, padding: str = 'same') -> network_lib.Network:
  """A published network; arguments as for `published`."""
  return schema.resolve(*published(name, resolution=resolution, classes=classes, padding=padding))
