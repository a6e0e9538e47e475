"""Makes .tflite files of trained networks and proves them on the dataset, before they are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import contextlib
import dataclasses
import hashlib
import io as io_lib
import os
import pathlib
import shutil
import tempfile
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from tf_proxyless.app import accuracy
from tf_proxyless.app import architectures
from tf_proxyless.app import dataset
from tf_proxyless.app import models
from tf_proxyless.cost import counting
from tf_proxyless.data import pipelines
from tf_proxyless.data import preprocessing
from tf_proxyless.data import sources
from tf_proxyless.data import splits
from tf_proxyless.deploy import evaluation
from tf_proxyless.deploy import export
from tf_proxyless.deploy import inspection
from tf_proxyless.deploy import keras3
from tf_proxyless.deploy import metadata
from tf_proxyless.deploy import normalization
from tf_proxyless.deploy import ovic
from tf_proxyless.infra import files
from tf_proxyless.infra import progress as progress_lib
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.infra import versions
from tf_proxyless.measure import model_card
from tf_proxyless.space import io

# Steps that the outputs of a file may differ from those of its QAT model by, and the share of outputs that may differ by more. That is
# judged on XNNPACK's kernels, which round once, as the model does: of 3,600 outputs of the quickstart's network 33 differed by 1 and 4 by
# 2; of 320 of another, on a processor without AVX-512, 2 by 2. The builtin kernels round twice: there 1,622 of the 3,600 differed by 1 and
# 229 by 2 or 3, and as much from the reference kernels of their library. TFLite's kernels of h-swish work in fixed-point numbers of few
# bits, and its average pooling rounds halves to another side: each layer is within a step, and over a network of them the steps add up, by
# how much is only said. Such a file is held to its predictions, `min_agreement`. (Trees of six cells with random weights and identities for
# edges: 54 % of 640 outputs differed by more than 1; 0.3 % with maxima in place of averages.)
MAX_STEPS = 1
_APPROXIMATE = {'HARD_SWISH', 'AVERAGE_POOL_2D'}
_MAX_BEYOND = 0.02
_MAX_RELATIVE = {'none': 1e-3, 'float16': 0.05}  # that other files may differ from their Keras model by
_BATCH = 64
_RANDOM_IMAGES = 32


@dataclasses.dataclass(frozen=True)
class Data:
  """A dataset as a network takes it: the source, and the transform of its images."""

  source: sources.Source
  transform: preprocessing.Transform

  def representative(self, images: int, seed: int) -> np.ndarray:
    """Training images without augmentation, float32 [images, height, width, channels]; all that there are if there are fewer."""
    count = min(images, self.source.num_train)
    batches = pipelines.training_batches(splits.whole(self.source, seed), self.transform, count, seed, epoch=0, augment=False)
    return next(iter(batches.take(1).as_numpy_iterator()))[0]

  def test_batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The whole test set once."""
    return pipelines.test_pass(self.source, self.transform, min(_BATCH, self.source.num_test)).as_numpy_iterator()


def open_data(name: str, architecture: io.Architecture, options: dataset.Options, any_classes: bool = False) -> Data:
  """Opens a dataset for a network.

  Args:
    name: As for `sources.open_dataset`.
    architecture: Network whose images are wanted, as it was trained on them; where it does not say how, as suits the dataset.
    options: How it is opened.
    any_classes: Whether images are wanted only, so that other classes than the network's will do.

  Raises:
    ValueError: It cannot be opened, or has other classes than the network.
  """
  source = dataset.open_source(name, options)
  network = architecture.network
  if not any_classes:
    architectures.check_classes(architecture, f'the network {network.name!r}', source.name, source.class_names)
  height, width, channels = network.input_shape
  if height != width:
    raise ValueError(f'images are square, the network {network.name!r} takes {height} x {width}')
  return Data(source, preprocessing.for_source(source, height, architecture.augmentation, channels=channels))


def load(found: models.ModelFiles) -> keras.Model:
  """Loads a network as one that takes pixels / 255.

  Raises:
    ValueError: It cannot be loaded, or is another network than the one described beside it, of which the card would be.
  """
  model, network = models.load_found(found).model, found.architecture.network
  weights, described = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights), counting.count_network(network).parameters
  if found.model is not None and weights != described:
    raise ValueError(f'{found.model} has {weights:,} weights, the architecture beside it, {network.name!r}, {described:,}: it is of '
                     'another network')
  return normalization.prepend(model, found.architecture.input_normalization)


def write_keras3(found: models.ModelFiles, path: files.PathLike) -> None:
  """Writes a network as Keras 3 source with weights; see `deploy.keras3`."""
  architecture = found.architecture
  keras3.write(models.load_found(found).model, path, architecture.input_normalization, architecture.class_names or ())


def write_saved_model(model: keras.Model, path: files.PathLike) -> None:
  """Writes a model as a SavedModel, after it was loaded and computed what the model computes.

  Raises:
    ValueError: It computes something else.
  """
  path, images = pathlib.Path(path), np.random.default_rng(0).random((_RANDOM_IMAGES, *model.input_shape[1:]), np.float32)
  with tempfile.TemporaryDirectory(dir=path.parent, prefix=f'.{path.name}.') as folder:
    written = pathlib.Path(folder, path.name)
    with stderr_lib.suppress_stderr(), contextlib.redirect_stdout(io_lib.StringIO()):  # Keras tells of its endpoints
      model.export(written)
    loaded, expected = tf.saved_model.load(str(written)), model(images, training=False).numpy()
    found = loaded.serve(images).numpy()
    difference = float(np.abs(found - expected).max() / np.abs(expected).max())
    if not difference <= _MAX_RELATIVE['none']:
      raise ValueError(f'the SavedModel differs from its Keras model by {difference:.2g} of the largest output')
    if path.exists():
      shutil.rmtree(path)
    os.replace(written, path)


@dataclasses.dataclass(frozen=True)
class Request:
  """What file is wanted.

  Attributes:
    quantization: One of `export.QUANTIZATIONS`.
    io: Type of input and output of an int8 file.
    ovic: Whether it is for the Low-Power Image Recognition Challenge.
    min_agreement: Share of images of which file and Keras model must say the same.
    workers: Interpreters at the same time; None is one for each core.
  """

  quantization: str
  io: str = 'uint8'
  ovic: bool = False
  min_agreement: float = 0.98
  workers: int | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Export:
  """A file to be, and how it compares with its Keras model.

  Attributes:
    how: 'float', 'ptq' (post-training quantization) or 'qat' (quantization-aware training).
    content: Bytes of the .tflite file.
    comparison: On all test images, or where there is no dataset on others; builtin kernels.
    steps: Largest difference on XNNPACK's kernels, for 'qat', on the first test images.
  """

  how: str
  content: bytes
  comparison: evaluation.Comparison
  steps: float | None = None


def make(request: Request, how: str, model: keras.Model, representative: np.ndarray | None, data: Data | None) -> Export:
  """Converts a model and checks everything that can be checked.

  Args:
    request: What file is wanted.
    how: 'float', 'ptq' or 'qat'.
    model: Takes pixels / 255; for 'qat' one that emulates int8.
    representative: For 'ptq', images from which ranges are taken.
    data: Whose test set the file must prove itself on; None has to make do with the representative images, or random ones.

  Raises:
    ValueError: The file would not be fit, or is not what the model is.
  """
  with progress_lib.working(f'converting ({how})'):
    content = export.convert(model, request.quantization, representative if how == 'ptq' else None, request.io)
  if request.ovic:
    content = ovic.add_background(content)
    ovic.validate(content)
  export.check(content, request.quantization, model.input_shape[1:])
  if data is None:
    batches, total = _unlabelled(representative, model.input_shape[1:])
  else:
    batches, total = data.test_batches(), data.source.num_test
  steps = None
  if how == 'qat':
    with progress_lib.working('comparing outputs'):
      approximate = not _APPROXIMATE.isdisjoint(inspection.read(content).operators)
      runner = evaluation.LiteRtModel(content, 'xnnpack', request.workers)
      steps = _steps(runner, model, next(data.test_batches())[0], request.ovic, approximate)
  with progress_lib.bar(f'test images ({how})', total, unit='image') as bar:
    comparison = evaluation.compare(evaluation.LiteRtModel(content, 'builtin', request.workers), model.predict_on_batch, batches,
                                    request.ovic, bar.update)
  made = Export(how, content, comparison, steps)
  _check(made, request)
  return made


def _steps(runner: evaluation.LiteRtModel, model: keras.Model, images: np.ndarray, background: bool, approximate: bool) -> float:
  """By how many steps a file differs from its QAT model at most.

  Raises:
    ValueError: By too many, and none of its kernels is approximate.
  """
  steps = evaluation.steps_apart(runner, model.predict_on_batch, images, background)
  beyond = float(np.mean(steps > MAX_STEPS))
  if beyond > _MAX_BEYOND and not approximate:
    raise ValueError(f'{100 * beyond:.1f} % of the outputs of the file differ from those of its QAT model by more than {MAX_STEPS} '
                     f'step, by up to {steps.max()}; {100 * _MAX_BEYOND:g} % may')
  return float(steps.max())


def _unlabelled(images: np.ndarray | None, shape: tuple[int, ...]) -> tuple[list[tuple[np.ndarray, np.ndarray]], int]:
  """Images for a comparison of outputs, and how many; labels are zeros that mean nothing."""
  if images is None:
    images = np.random.default_rng(0).random((_RANDOM_IMAGES, *shape), np.float32)
  batches = [images[i:i + _BATCH] for i in range(0, len(images), _BATCH)]
  return [(batch, np.zeros(len(batch), np.int64)) for batch in batches], len(images)


def evaluate(content: bytes, data: Data, background: bool = False, workers: int | None = None) -> evaluation.Accuracy:
  """Accuracy of a .tflite file on the whole test set, on builtin kernels.

  Args:
    content: Bytes of the file.
    data: Whose test set.
    background: Whether the file has an output more, in front.
    workers: Interpreters at the same time; None is one for each core.
  """
  runner = evaluation.LiteRtModel(content, workers=workers)
  with progress_lib.bar('test images', data.source.num_test, unit='image') as bar:
    return evaluation.accuracy(runner, data.test_batches(), background, bar.update)


def _check(made: Export, request: Request) -> None:
  """Refuses a file that differs from its Keras model by more than the way of quantization explains."""
  found = made.comparison
  if made.how == 'float' and found.difference > _MAX_RELATIVE[request.quantization]:
    raise ValueError(f'the file differs from its Keras model by {found.difference:.2g} of the largest output, '
                     f'more than {_MAX_RELATIVE[request.quantization]:g}')
  if found.agreement < request.min_agreement:
    raise ValueError(f'the file agrees with its Keras model on {found.agreement:.2%} of {found.images} images, less than '
                     f'`min_agreement={request.min_agreement:g}`; quantization-aware training, tf-proxyless quantize, may help')


def best(exports: Sequence[Export]) -> Export:
  """The one of highest accuracy; of equals the first."""
  return max(exports, key=lambda made: made.comparison.top1)


def describe_accuracies(made: Export, found: models.ModelFiles, plain: models.ModelFiles | None, dataset: str) -> Iterator[str]:
  """Lines for the user: whether a network is as accurate here as when it was made, and its file as accurate as the float network.

  Args:
    made: The file, and how it compares with its Keras model on the test images.
    found: That model.
    plain: The float network that it was made of, if it is another and known.
    dataset: Name of the dataset.
  """
  images, results = made.comparison.images, found.results or {}
  here = accuracy.Accuracy(made.comparison.reference_top1, images, dataset)
  model = 'qat' if made.how == 'qat' else 'float'
  yield from accuracy.of_results(model, results, here)
  top1 = here.top1 if model == 'float' else results.get('float_test_top1', ((plain and plain.results) or {}).get('test_top1'))
  if top1 is None:
    yield 'warning: nothing says how accurate the float network is; the same quantize command, started again, finds it out'
  else:
    yield from accuracy.collapse(f'the {made.how} file', accuracy.Accuracy(top1, images), accuracy.Accuracy(made.comparison.top1, images))


def finish(made: Export, architecture: io.Architecture, class_names: Sequence[str], request: Request) -> bytes:
  """The file as it is written: with metadata for tools on phones, and still the same model.

  Args:
    made: The file.
    architecture: Architecture of the network.
    class_names: Empty if they are not known.
    request: What was wanted.

  Raises:
    ValueError: The classes are not those of the outputs.
  """
  count, pixels = counting.count_network(architecture.network), 'RGB' if architecture.network.input_shape[2] == 3 else 'grey'
  cut = {None: '', 'imagenet': ' of the middle square of an image, 7/8 of its shorter side,'}.get(
      architecture.augmentation, ' of a whole image, resized to a square,')
  description = (f'Image classification network of {count.macs / 1e6:.1f} million multiply-adds. Input: {pixels} pixels{cut} as bytes or '
                 'as pixel / 255. Output: one number a class, the higher the likelier.')
  labels = [ovic.BACKGROUND, *class_names] if request.ovic and class_names else list(class_names)
  content = metadata.add(made.content, architecture.network.name, description, labels)
  images = np.random.default_rng(0).random((1, *architecture.network.input_shape), np.float32)
  before, after = (evaluation.LiteRtModel(file, workers=1)(images) for file in (made.content, content))
  if not np.array_equal(before, after):
    raise ValueError('with metadata the file computes something else')
  return content


def make_card(made: Export, content: bytes, architecture: io.Architecture, request: Request, **known) -> model_card.ModelCard:
  """The card of a file.

  Args:
    made: The file before metadata were added.
    content: The file.
    architecture: Architecture of the network.
    request: What was wanted.
    **known: Other fields of the card.
  """
  found, count, labels = inspection.read(content), counting.count_network(architecture.network), metadata.read_labels(content)
  describe = lambda tensor: model_card.Tensor(tensor.shape, tensor.type, tensor.scale, tensor.zero_point)
  return model_card.ModelCard(
      architecture=architecture.network.name, genotype=architecture.genotype, network=architecture.network,
      macs=count.macs, parameters=count.parameters,
      quantization=request.quantization, how=made.how, ovic=request.ovic, size_bytes=len(content),
      sha256=hashlib.sha256(content).hexdigest(), input=describe(found.inputs[0]), output=describe(found.outputs[0]),
      operators=found.operators, labels=len(labels), versions=versions.installed(),
      input_normalization=architecture.input_normalization, augmentation=architecture.augmentation, min_runtime=found.min_runtime, **known)


def accuracies(dataset: str, exports: Sequence[Export], kept: Export, results: Mapping[str, Any]) -> dict[str, Any]:
  """What the card says of accuracy.

  Args:
    dataset: Name of that whose test set was used.
    exports: All files that were made and tried on it.
    kept: The one that is written.
    results: Results of the training, or of the quantization-aware training, as in results.json.
  """
  top1, top5, found = {}, {}, kept.comparison
  then = results.get('dataset', dataset), results.get('test_images', found.images)
  if 'float_test_top1' in results and then == (dataset, found.images):  # else it is of other images
    top1['float'] = results['float_test_top1']
  for made in exports:
    model = 'qat' if made.how == 'qat' else 'float'
    top1[model], top5[model] = made.comparison.reference_top1, made.comparison.reference_top5
  return {'dataset': dataset, 'test_images': found.images,
          'agreement': found.agreement, 'difference': found.difference, 'steps': kept.steps,
          'accuracies': {**top1, 'tflite': found.top1}, 'top5_accuracies': {**top5, 'tflite': found.top5},
          'tried': {made.how: made.comparison.top1 for made in exports} if len(exports) > 1 else None}
