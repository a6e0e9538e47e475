"""Builds quantization-aware fine-tuning from its configuration."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses

import tensorflow as tf
import tf_keras as keras

from tf_proxyless.app import augmentation as augmentation_lib
from tf_proxyless.app import build_training
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flags
from tf_proxyless.app import models
from tf_proxyless.app import training_images
from tf_proxyless.data import pipelines
from tf_proxyless.data import sources
from tf_proxyless.deploy import folding
from tf_proxyless.deploy import qat
from tf_proxyless.deploy import qat_rounding
from tf_proxyless.infra import files
from tf_proxyless.infra import progress
from tf_proxyless.nn import depthwise_training
from tf_proxyless.space import io
from tf_proxyless.train import loop
from tf_proxyless.train import recipe as recipe_lib
from tf_proxyless.train import run_directory
from tf_proxyless.train import trainer as trainer_lib


@dataclasses.dataclass(frozen=True)
class QuantizationComponents:
  """A quantization with all its parts.

  Attributes:
    config: Its configuration.
    run: Its directory.
    images: As the quantized network takes them: pixels in [0, 1].
    start: The model that it starts from.
    architecture: Architecture of the quantized network.
    settings: Settings of the quantization.
    trainer: Trainer of the quantized network.
    training: The loop.
  """

  config: config_lib.QuantizeConfig
  run: run_directory.RunDirectory
  images: training_images.Images
  start: models.LoadedModel
  architecture: io.Architecture
  settings: qat.Settings
  trainer: trainer_lib.Trainer
  training: loop.Training


def build(config: config_lib.QuantizeConfig, source: sources.Source, start: models.LoadedModel, identity: dict[str, object],
             run: run_directory.RunDirectory) -> QuantizationComponents:
  """Claims the run directory and builds all parts; nothing is restored or run yet.

  Raises:
    ValueError: Another run lies there, the split is not possible, or the model cannot be quantised.
  """
  settings = qat.Settings(range_momentum=config.ranges.range_momentum)
  folded = keras.models.clone_model(start.model)
  folded.set_weights(start.model.get_weights())
  folding.fold_normalization(folded, start.architecture.input_normalization)
  model = qat.quantize(folded, settings)
  architecture, images = _make_inputs(config, source, identity, start.architecture, run)
  recipe = recipe_lib.Recipe(config.recipe.epochs, pipelines.steps_per_epoch(images.split, config.data.batch_size),
                             config.learning_rate, config.recipe.momentum, config.recipe.weight_decay, config.recipe.label_smoothing,
                             decoupled=False)
  last_learning = round(config.ranges.batch_norm_share * recipe.steps)
  trainer = trainer_lib.Trainer(model, recipe, config.seed,
                                while_tracing=lambda model: _tracing(model, trainer.progress.total_steps < last_learning))
  training = build_training.make_loop(config, images, trainer, run)
  return QuantizationComponents(config, run, images, start, architecture, settings, trainer, training)


@contextlib.contextmanager
def _tracing(model: keras.Model, learning: tf.Tensor) -> Iterator[None]:
  """Fast gradients, and statistics of batch normalisation that learn only under a condition."""
  with depthwise_training.fast_depthwise(model), qat.training_only_if(model, learning, keras.layers.BatchNormalization):
    yield


def _make_inputs(config: config_lib.QuantizeConfig, source: sources.Source, identity: dict[str, object], start: io.Architecture,
                 run: run_directory.RunDirectory) -> tuple[io.Architecture, training_images.Images]:
  """What the quantized network is, and its images; the directory is claimed."""
  known = run.check(identity)
  augmentation = augmentation_lib.choose(config.data.augmentation, source, run, known, start.augmentation)
  architecture = dataclasses.replace(start, input_normalization=None, augmentation=augmentation,
                                     class_names=start.class_names or source.class_names)
  if not known:
    for file in (run.split, run.results, run.path / qat.SETTINGS, run.path / qat.WEIGHTS):  # of a run that came to nothing
      file.unlink(missing_ok=True)
    files.write_atomically(run.flags, flags.to_flagfile(config))
    io.save_architecture(architecture, run.architecture)
    run.claim(identity, **{augmentation_lib.NAME: augmentation})
  return architecture, training_images.make(config, source, architecture, run)


def calibrate(components: QuantizationComponents) -> None:
  """Gives the activations their first ranges, and the history what the network is worth with them."""
  count = components.config.ranges.calibration_batches
  batches = progress.over_batches(components.images.training(epoch=0, augment=False).take(count), 'calibrating')
  qat.calibrate(components.trainer.model, (images for images, _ in batches))
  with progress.working('evaluating the calibrated network'):
    scores = components.trainer.evaluate(components.images.test())
  components.run.append_history({'epoch': -1, 'phase': 'calibration', 'test_top1': scores.top1, 'test_loss': scores.loss, 'seconds': 0.0})


def finish(components: QuantizationComponents) -> dict:
  """Writes the quantized network and what it is worth."""
  config, run, start, model = components.config, components.run, components.start, components.trainer.model
  qat_rounding.round_biases(model)
  qat.save(model, components.architecture, run.path, components.settings)  # an evaluation can fail; the same command then only evaluates
  history = run.read_history()
  found = build_training.results(config, components.images, components.architecture, model, sum(entry['seconds'] for entry in history))
  plain = training_images.normalize(components.images.test(), start.architecture.input_normalization)
  found['float_test_top1'] = build_training.evaluate(start.model, plain).top1
  found['calibrated_test_top1'] = next(entry['test_top1'] for entry in history if entry['epoch'] < 0)
  files.write_json(run.results, models.RESULTS, found)
  return found
