"""Hardware-aware neural architecture search for TensorFlow, from a dataset and a device to an int8 model.

  import tf_proxyless as nas

  space = nas.spaces.proxyless(resolution=96, classes=10)
  table = nas.measure.host(space)
  result = nas.search(space, (images, labels), cost=table, target='25%', run_dir='runs/mine')
  trained = nas.train(result, (images, labels), test_data=(test_images, test_labels), run_dir='runs/mine_float')
  quantized = nas.quantize(trained, run_dir='runs/mine_int8')
  nas.export(quantized, 'mine.tflite')

What is listed in `__all__` is loaded when it is first used; the import itself loads no TensorFlow.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

__version__ = '0.2.0.dev0'

_PLACES = {  # module and name of what the package offers
    'spaces': 'tf_proxyless.api.spaces',
    'costs': 'tf_proxyless.api.costs',
    'measure': 'tf_proxyless.api.measure',
    'optimizers': 'tf_proxyless.api.optimizers',
    'designers': 'tf_proxyless.api.designers',
    'predictors': 'tf_proxyless.api.predictors',
    'objectives': 'tf_proxyless.search.objectives',
    'OneOf': 'tf_proxyless.space.schema:OneOf',
    'Network': 'tf_proxyless.space.network:Network',
    'Block': 'tf_proxyless.space.network:Block',
    'LatencyTable': 'tf_proxyless.cost.table:LatencyTable',
    'CostModel': 'tf_proxyless.cost.model:CostModel',
    'Constraint': 'tf_proxyless.derive.solver:Constraint',
    'SearchDivergedError': 'tf_proxyless.search.checks:SearchDivergedError',
    'search': 'tf_proxyless.api.search:search',
    'load': 'tf_proxyless.api.search:load',
    'derive': 'tf_proxyless.api.search:derive',
    'SearchResult': 'tf_proxyless.api.search:SearchResult',
    'ask_tell': 'tf_proxyless.search.ask_tell:ask_tell',
    'train': 'tf_proxyless.api.models:train',
    'evaluate': 'tf_proxyless.api.models:evaluate',
    'quantize': 'tf_proxyless.api.models:quantize',
    'export': 'tf_proxyless.api.models:export',
    'report': 'tf_proxyless.api.search:report',
}
__all__ = [*_PLACES, 'zoo']


def __getattr__(name: str) -> Any:
  if name not in _PLACES:
    if name == 'zoo':
      return importlib.import_module('tf_proxyless.zoo')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
  module, _, attribute = _PLACES[name].partition(':')
  found = importlib.import_module(module)
  return getattr(found, attribute) if attribute else found


def __dir__() -> list[str]:
  return sorted([*globals(), *__all__])


class _Package(types.ModuleType):
  """Keeps `nas.search` the function after somebody has imported the package `tf_proxyless.search`, whose loading would replace it."""

  def __setattr__(self, name: str, value: Any) -> None:
    if not (name in _PLACES and isinstance(value, types.ModuleType)):
      super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
