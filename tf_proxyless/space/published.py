"""The search spaces by name, and the published networks, as spaces with choices fixed.

Facts of the ProxylessNAS networks from the configurations that the authors published (Cai et al., ICLR 2019, arXiv 1812.00332).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tf_proxyless.infra import suggest
from tf_proxyless.space import chamnet
from tf_proxyless.space import cifar_tree
from tf_proxyless.space import fbnet
from tf_proxyless.space import fbnet_v2
from tf_proxyless.space import mobilenet_v3
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import ops
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema
from tf_proxyless.space import tunas


# Arguments of `proxyless`, and the choice of each searched block, one line a stage.
_PROXYLESS: dict[str, tuple[dict[str, Any], str]] = {
    'proxyless_mobile': (
        # Stage 1 is 32 wide here, 24 in the official search code and in the published latency table.
        dict(stage_filters=(32, 40, 80, 96, 192, 320), dropout_rate=0.1),
        """k5e3 k3e3 zero zero
           k7e3 k3e3 k5e3 k5e3
           k7e6 k5e3 k5e3 k5e3
           k5e6 k5e3 k5e3 k5e3
           k7e6 k7e6 k7e3 k7e3
           k7e6"""),
    'proxyless_mobile_14': (
        # Widths close to 1.4 times those of proxyless_mobile, but no multiplier gives them.
        dict(stem_filters=48, first_block_filters=24, stage_filters=(40, 56, 112, 136, 256, 448), head_filters=1792,
             dropout_rate=0.3),
        """k5e3 k3e3 zero zero
           k7e3 k3e3 k5e3 k5e3
           k7e6 k5e3 k5e3 k5e3
           k5e6 k5e3 k5e3 k5e3
           k7e6 k7e6 k7e3 k7e3
           k7e6"""),
    'proxyless_gpu': (
        dict(width_multiplier=1.35, dropout_rate=0.3),
        """k5e3 zero zero zero
           k7e3 zero zero k3e3
           k7e6 zero zero k5e3
           k5e6 zero k3e3 k5e3
           k7e6 k7e6 k7e6 k5e6
           k7e6"""),
    'proxyless_cpu': (
        dict(width_multiplier=1.12, dropout_rate=0.2),
        """k3e6 k3e3 k3e3 k3e3
           k3e6 k3e3 k3e3 k5e3
           k3e6 zero zero k3e3
           k5e6 k3e3 k3e3 k3e3
           k5e6 k5e3 k5e3 k3e3
           k5e6"""),
}

SPACES: dict[str, Callable[..., network_lib.Network]] = {  # by arguments
    'proxyless': proxyless.proxyless, 'fbnet': fbnet.fbnet, 'fbnet_v2': fbnet_v2.fbnet_v2, 'cifar_tree': cifar_tree.cifar_tree,
    'chamnet': chamnet.chamnet, **tunas.SPACES}
MOBILENET_V3_LARGE = 'mobilenet_v3_large'
PROXYLESS_NAMES = tuple(_PROXYLESS)
IMAGENET_NAMES = (*PROXYLESS_NAMES, MOBILENET_V3_LARGE, *fbnet.PUBLISHED, *fbnet_v2.PUBLISHED, *chamnet.PUBLISHED)
NAMES = (*IMAGENET_NAMES, cifar_tree.NAME)
# Top-1 on ImageNet in percent, trained from scratch: by the README of the authors' code (github.com/mit-han-lab/proxylessnas), table 3 of
# arXiv 1905.02244, the authors' releases for FBNet A to C, FBNetV2 and ChamNet (in float), and their slides for the others.
TOP1 = {
    'proxyless_mobile': 74.6, 'proxyless_mobile_14': 76.7, 'proxyless_gpu': 75.1, 'proxyless_cpu': 75.3, MOBILENET_V3_LARGE: 75.2,
    'fbnet_a': 73.3, 'fbnet_b': 74.5, 'fbnet_c': 75.3, 'fbnet_s8': 73.3, 'fbnet_iphonex': 73.2, 'fbnet_96': 50.2,
    'fbnet_v2_f1': 68.3, 'fbnet_v2_f2': 71.0, 'fbnet_v2_f3': 73.0, 'fbnet_v2_f4': 75.8, 'fbnet_v2_l1': 77.0, 'fbnet_v2_l2': 78.2,
    'dmasking_l3': 78.9,
    'chamnet_a': 75.4, 'chamnet_b': 73.8, 'chamnet_c': 71.6, 'chamnet_d': 69.1, 'chamnet_e': 64.2, 'chamnet_f': 59.5,
}
_RESOLUTION = 224
_CLASSES = 1000


def is_name(name: str) -> bool:
  """Whether `published` takes a name: one of `NAMES`, or a space of TuNAS with a string of indices, 'proxylessnas_search:0:1:...'."""
  return name in NAMES or name.partition(':')[0] in tunas.NAMES


def published(
    name: str, *, resolution: int | None = None, classes: int | None = None, padding: str = 'same',
) -> tuple[network_lib.Network, schema.Genotype]:
  """The space and the choices of a published network.

  Args:
    name: See `is_name`.
    resolution: Input height and width in pixels; by default as published.
    classes: Output units; by default as published: 1000, for CIFAR-10 10.
    padding: 'same', or 'symmetric' as in the official code, which the published weights need.

  Returns:
    The search space and the genotype; `schema.resolve` makes the network of them. MobileNetV3, FBNetV2 and ChamNet have no decisions.

  Raises:
    ValueError: The name is unknown, or the space refuses an argument.
  """
  if not is_name(name):
    raise ValueError(f'unknown network {name!r}; the published ones are {", ".join(NAMES)}{suggest.hint(name, NAMES, most=1)}')
  if name == cifar_tree.NAME:
    space = cifar_tree.cifar_tree(resolution=resolution or 32, classes=classes or 10, padding=padding, name=name)
    return space, schema.genotype(space, cifar_tree.published_choices())
  classes = classes or _CLASSES
  variant, _, indices = name.partition(':')
  if variant in tunas.NAMES:
    space = tunas.tunas(variant, resolution=resolution or _RESOLUTION, classes=classes, padding=padding)
    return space, tunas.genotype(space, indices)
  if name == MOBILENET_V3_LARGE:
    return mobilenet_v3.mobilenet_v3_large(resolution or _RESOLUTION, classes, padding=padding), schema.Genotype({})
  if name in fbnet_v2.PUBLISHED:
    return fbnet_v2.published(name, resolution, classes, padding), schema.Genotype({})
  if name in chamnet.PUBLISHED:
    return chamnet.published(name, resolution, classes, padding), schema.Genotype({})
  of_fbnet = name in fbnet.PUBLISHED
  arguments, text = fbnet.PUBLISHED[name] if of_fbnet else _PROXYLESS[name]
  size = resolution or arguments.get('resolution', _RESOLUTION)
  space = SPACES['fbnet' if of_fbnet else 'proxyless'](
      **{**arguments, 'resolution': size, 'classes': classes, 'padding': padding, 'name': name})
  choices = {}
  for (path, one_of), choice in zip(schema.walk(space), text.split(), strict=True):
    names = fbnet.CHOICES if of_fbnet else tuple(map(ops.short_name, one_of.choices))
    choices[path] = names.index(choice)
  return space, schema.Genotype(choices)


def network(name: str, *, resolution: int | None = None, classes: int | None = None, padding: str = 'same') -> network_lib.Network:
  """A published network; arguments as for `published`."""
  return schema.resolve(*published(name, resolution=resolution, classes=classes, padding=padding))
