"""Puts quantization-aware fine-tuning together from its flags. For mains only, which may import every room; no room imports this."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses

from absl import flags
import tensorflow as tf
import tf_keras as keras

from tf_proxyless.app import build_training
from tf_proxyless.app import models
from tf_proxyless.app import progress
from tf_proxyless.app import quantize_flags
from tf_proxyless.app import training_images
from tf_proxyless.data import pipelines
from tf_proxyless.data import sources
from tf_proxyless.deploy import folding
from tf_proxyless.deploy import qat
from tf_proxyless.deploy import qat_rounding
from tf_proxyless.infra import files
from tf_proxyless.nn import depthwise_training
from tf_proxyless.space import io
from tf_proxyless.train import loop
from tf_proxyless.train import recipe as recipe_lib
from tf_proxyless.train import run_directory
from tf_proxyless.train import trainer as trainer_lib


@dataclasses.dataclass(frozen=True)
class Assembled:
  """A quantization with all its parts.

  Attributes:
    values: Its flags.
    run: Its directory.
    images: As the quantized network takes them: pixels in [0, 1].
    start: The model that it starts from.
    architecture: Of the quantized network.
    settings: Of the quantization.
    trainer: Of the quantized network.
    training: The loop.
  """

  values: flags.FlagValues
  run: run_directory.RunDirectory
  images: training_images.Images
  start: models.LoadedModel
  architecture: io.Architecture
  settings: qat.Settings
  trainer: trainer_lib.Trainer
  training: loop.Training


def assemble(values: flags.FlagValues, source: sources.Source, start: models.LoadedModel, identity: dict[str, object],
             run: run_directory.RunDirectory) -> Assembled:
  """Claims the run directory and builds all parts; nothing is restored or run yet.

  Raises:
    ValueError: Another run lies there, the split is not possible, or the model cannot be quantised.
  """
  settings = qat.Settings(range_momentum=values.range_momentum)
  architecture = dataclasses.replace(start.architecture, input_normalization=None)
  folded = keras.models.clone_model(start.model)
  folded.set_weights(start.model.get_weights())
  folding.fold_normalization(folded, start.architecture.input_normalization)
  model = qat.quantize(folded, settings)
  images = _make_images(values, source, identity, architecture, run)
  recipe = recipe_lib.Recipe(values.epochs, pipelines.steps_per_epoch(images.split, values.batch_size),
                             quantize_flags.learning_rate(values), values.momentum, values.weight_decay, values.label_smoothing,
                             decoupled=False)
  last_learning = round(values.batch_norm_share * recipe.steps)
  trainer = trainer_lib.Trainer(model, recipe, values.seed,
                                while_tracing=lambda model: _tracing(model, trainer.progress.total_steps < last_learning))
  return Assembled(values, run, images, start, architecture, settings, trainer, build_training.make_loop(values, images, trainer, run))


@contextlib.contextmanager
def _tracing(model: keras.Model, learning: tf.Tensor) -> Iterator[None]:
  """Fast gradients, and statistics of batch normalisation that learn only under a condition."""
  with depthwise_training.fast_depthwise(model), qat.training_only_if(model, learning, keras.layers.BatchNormalization):
    yield


def _make_images(values: flags.FlagValues, source: sources.Source, identity: dict[str, object], architecture: io.Architecture,
                 run: run_directory.RunDirectory) -> training_images.Images:
  if not run.check(identity):
    for file in (run.split, run.results, run.path / qat.SETTINGS, run.path / qat.WEIGHTS):  # of a run that came to nothing
      file.unlink(missing_ok=True)
    files.write_atomically(run.flags, quantize_flags.RUN.to_flagfile(values))
    io.save_architecture(architecture, run.architecture)
    run.claim(identity)
  return training_images.make(values, source, architecture, run, writes=True)


def calibrate(assembled: Assembled) -> None:
  """Gives the activations their first ranges, and the history what the network is worth with them."""
  count = assembled.values.calibration_batches
  batches = progress.over_batches(assembled.images.training(epoch=0, augment=False).take(count), 'calibrating')
  qat.calibrate(assembled.trainer.model, (images for images, _ in batches))
  with progress.working('evaluating the calibrated network'):
    scores = assembled.trainer.evaluate(assembled.images.test())
  assembled.run.append_history({'epoch': -1, 'phase': 'calibration', 'test_top1': scores.top1, 'test_loss': scores.loss, 'seconds': 0.0})


def finish(assembled: Assembled) -> dict:
  """Writes the quantized network and what it is worth."""
  values, run, start, model = assembled.values, assembled.run, assembled.start, assembled.trainer.model
  qat_rounding.round_biases(model)
  history = run.read_history()
  found = build_training.results(values, assembled.images, assembled.architecture, model, sum(entry['seconds'] for entry in history))
  plain = training_images.normalize(assembled.images.test(), start.architecture.input_normalization)
  found['float_test_top1'] = build_training.evaluate(start.model, plain).top1
  found['calibrated_test_top1'] = next(entry['test_top1'] for entry in history if entry['epoch'] < 0)
  qat.save(model, assembled.architecture, run.path, assembled.settings)
  files.write_json(run.results, models.RESULTS, found)
  return found
