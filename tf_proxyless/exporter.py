"""Makes .tflite files of trained networks and proves them on the dataset, before they are written. For mains only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses
import hashlib
import importlib.metadata
import sys

import numpy as np
import tf_keras as keras
import tqdm

from tf_proxyless import model_card
from tf_proxyless.cost import counting
from tf_proxyless.cost import latency_model
from tf_proxyless.cost import latency_table
from tf_proxyless.cost import named_tables
from tf_proxyless.data import pipelines
from tf_proxyless.data import preprocessing
from tf_proxyless.data import sources
from tf_proxyless.data import splits
from tf_proxyless.deploy import evaluation
from tf_proxyless.deploy import export
from tf_proxyless.deploy import inspection
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib

HOW = {'float': 'not quantized', 'ptq': 'post-training quantization', 'qat': 'quantization-aware training'}
MAX_STEPS = 1  # that a file may differ from its QAT model by, in any output for any image
_MAX_RELATIVE = {'none': 1e-4, 'float16': 2e-2}  # that other files may differ from their Keras model by
_PACKAGES = ('tf_proxyless', 'tensorflow', 'tf_keras', 'tensorflow-model-optimization', 'ai-edge-litert', 'numpy')
_BATCH = 64


@dataclasses.dataclass(frozen=True)
class Data:
  """A dataset as a network takes it: the source, and the transform of its images."""

  source: sources.Source
  transform: preprocessing.Transform

  def representative(self, images: int, seed: int) -> np.ndarray:
    """Training images without augmentation, float32 [images, height, width, 3]; all that there are if there are fewer."""
    count = min(images, self.source.num_train)
    batches = pipelines.training_batches(splits.whole(self.source, seed), self.transform, count, seed, epoch=0, augment=False)
    return next(iter(batches.take(1).as_numpy_iterator()))[0]


def open_data(name: str, network: network_lib.Network, data_dir: str | None, download: bool, background: bool = False) -> Data:
  """Opens the dataset that a network was trained on.

  Raises:
    ValueError: It cannot be opened, or has other classes than the network.
  """
  source = sources.open_dataset(name, data_dir, download)
  if source.classes != network.classes:
    raise ValueError(f'the network {network.name!r} has {network.classes} classes, the dataset {source.name} {source.classes}')
  height, width, _ = network.input_shape
  if height != width:
    raise ValueError(f'images are square, the network {network.name!r} takes {height} x {width}')
  return Data(source, preprocessing.for_source(source, height))


@dataclasses.dataclass(frozen=True, eq=False)
class Export:
  """A file to be, and how it did on the test set.

  Attributes:
    how: A key of HOW.
    content: Of the .tflite file.
    comparison: With its Keras model; None without a dataset.
  """

  how: str
  content: bytes
  comparison: evaluation.Comparison | None = None


def compare(made: Export, model: keras.Model, data: Data, background: bool = False, workers: int | None = None) -> Export:
  """Runs a file and its Keras model over the whole test set.

  Args:
    made: The file.
    model: Takes pixels / 255.
    data: Whose test set is used.
    background: Whether the file has an output more, in front.
    workers: Interpreters at the same time; None is one for each core.
  """
  runner = evaluation.LiteRtModel(made.content, workers=workers)
  batches = pipelines.test_pass(data.source, data.transform, min(_BATCH, data.source.num_test)).as_numpy_iterator()
  with tqdm.tqdm(total=data.source.num_test, desc=f'test images ({made.how})', disable=not sys.stderr.isatty(), dynamic_ncols=True,
                 leave=False) as bar:
    found = evaluation.compare(runner, model.predict_on_batch, batches, background, bar.update)
  return dataclasses.replace(made, comparison=found)


def check(made: Export, quantization: str, min_agreement: float) -> None:
  """Checks what a file computes.

  Raises:
    ValueError: It differs from its Keras model by more than the way of quantization explains.
  """
  found = made.comparison
  if made.how == 'qat' and found.difference > MAX_STEPS:
    raise ValueError(f'the file differs from its QAT model by {found.difference:g} steps of its output on some test image, '
                     f'more than {MAX_STEPS}')
  if made.how == 'float' and found.difference > _MAX_RELATIVE[quantization]:
    raise ValueError(f'the file differs from its Keras model by {found.difference:.2g} of the largest output, '
                     f'more than {_MAX_RELATIVE[quantization]:g}')
  if found.agreement < min_agreement:
    raise ValueError(f'the file agrees with its Keras model on {found.agreement:.2%} of {found.images} test images, less than '
                     f'--min_agreement={min_agreement:g}; quantization-aware training, tools/quantize.py, may help')


def best(exports: Sequence[Export]) -> Export:
  """The one of highest accuracy; of equals the first."""
  return max(exports, key=lambda made: made.comparison.top1)


def predict(name: str, network: network_lib.Network, quantization: str) -> model_card.Prediction:
  """The latency that a table promises for a network.

  Args:
    name: A file, the name of a shipped table, or of an estimate.
    network: Without open decisions.
    quantization: Of the file; weights in float16 are computed with in float32.

  Raises:
    ValueError: There is no such table, or it is of another precision or lacks operations.
    OSError: The file cannot be read.
  """
  return prediction(named_tables.find(name, network), network, quantization)


def prediction(table: latency_table.LatencyTable, network: network_lib.Network, quantization: str) -> model_card.Prediction:
  """The latency that a table promises for a network, as `predict` without the name."""
  table.check_runtime(precision='int8' if quantization == 'int8' else 'float32')
  latency_ms = latency_model.from_latency_table(network, table).fixed
  return model_card.Prediction(latency_ms, table.name, table.sha256, table.provenance, table.runtime)


def make_card(architecture: io.Architecture, made: Export, content: bytes, quantization: str, **known) -> model_card.ModelCard:
  """The card of a file.

  Args:
    architecture: Of the network.
    made: The file before labels were added to it.
    content: The file.
    quantization: One of `export.QUANTIZATIONS`.
    **known: Other fields of the card.
  """
  found, count = inspection.read(content), counting.count_network(architecture.network)
  describe = lambda tensor: model_card.Tensor(tensor.shape, tensor.type, tensor.scale, tensor.zero_point)
  return model_card.ModelCard(
      architecture=architecture.network.name, genotype=architecture.genotype, macs=count.macs, parameters=count.parameters,
      quantization=quantization, how=made.how, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest(),
      input=describe(found.inputs[0]), output=describe(found.outputs[0]), operators=found.operators, versions=_versions(),
      input_normalization=architecture.input_normalization, **known, **_accuracies(made))


def _accuracies(made: Export) -> Mapping[str, object]:
  found = made.comparison
  if found is None:
    return {}
  model = 'qat' if made.how == 'qat' else 'float'
  return {'test_images': found.images, 'agreement': found.agreement, 'difference': found.difference,
          'accuracies': {model: found.reference_top1, 'tflite': found.top1},
          'top5_accuracies': {model: found.reference_top5, 'tflite': found.top5}}


def _versions() -> dict[str, str]:
  """Version by name of the packages that a file depends on."""
  found = {}
  for package in _PACKAGES:
    try:
      found[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # a clone that was not installed
      found[package] = 'not installed'
  return found
