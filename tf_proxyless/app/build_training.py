"""Builds a training from its configuration."""

from __future__ import annotations

import dataclasses

import tensorflow as tf
import tf_keras as keras

from tf_proxyless.app import architectures
from tf_proxyless.app import augmentation as augmentation_lib
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flags
from tf_proxyless.app import models
from tf_proxyless.app import training_images
from tf_proxyless.data import pipelines
from tf_proxyless.data import preprocessing
from tf_proxyless.data import sources
from tf_proxyless.infra import distribution
from tf_proxyless.infra import files
from tf_proxyless.infra import progress
from tf_proxyless.infra import run_directory as run_directory_lib
from tf_proxyless.infra import versions
from tf_proxyless.nn import depthwise_training
from tf_proxyless.nn import keras_network
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.nn import transfer
from tf_proxyless.search import run_directory as search_directory
from tf_proxyless.space import io
from tf_proxyless.train import loop
from tf_proxyless.train import recipe as recipe_lib
from tf_proxyless.train import run_directory
from tf_proxyless.train import trainer as trainer_lib
from tf_proxyless.train import training as training_lib

_STATISTICS_BATCHES = 50  # for batch normalisation of inherited weights


def make_inputs(config: config_lib.TrainConfig, source: sources.Source, identity: dict[str, object], architecture: io.Architecture,
                start: models.ModelFiles | None, run: run_directory.RunDirectory) -> training_images.Images:
  """Claims the run directory, puts flags, architecture and split into it if they are not there, and returns the images.

  Args:
    config: Configuration of the training.
    source: The dataset.
    identity: What makes the run this run.
    architecture: The network; what its inputs and outputs mean is written beside it.
    start: The model that it starts from, if there is one.
    run: The directory, which of several workers one writes.

  Raises:
    ValueError: Another run lies there, or one with other classes, or the split is not possible.
  """
  known = run.check(identity)
  if known:
    architectures.check_classes(io.load_architecture(run.architecture), str(run.path), source.name, source.class_names)
  before = None if known or config.data.augmentation else augmentation_lib.before(config, start, source)
  augmentation = augmentation_lib.choose(config.data.augmentation, source, run, known, before)
  architecture = dataclasses.replace(architecture, class_names=source.class_names, augmentation=augmentation)
  if not known and run.writes:
    for file in (run.split, run.model, run.results):  # of a run that came to nothing
      file.unlink(missing_ok=True)
    files.write_atomically(run.flags, flags.to_flagfile(config))
    io.save_architecture(architecture, run.architecture)
    run.claim(identity, **{augmentation_lib.NAME: augmentation})
  return training_images.make(config, source, architecture, run)


def make_loop(config: config_lib.TrainConfig | config_lib.QuantizeConfig, images: training_images.Images, trainer: trainer_lib.Trainer,
              run: run_directory.RunDirectory) -> loop.Training:
  """The loop of a training."""
  data = loop.Data(images.training, images.evaluation() if config.data.evaluate_every_epochs else None)
  return loop.Training(trainer, data, run, config.checkpoint_every_steps, max(config.data.evaluate_every_epochs, 1))


def make_recipe(config: config_lib.TrainConfig, steps_per_epoch: int) -> recipe_lib.Recipe:
  """The recipe of a configuration."""
  recipe, optimizer = config.recipe, config.optimizer
  return recipe_lib.Recipe(
      recipe.epochs, steps_per_epoch, config.learning_rate, optimizer.momentum, recipe.weight_decay, recipe.label_smoothing,
      recipe.decoupled_weight_decay, recipe.warmup_epochs, optimizer.optimizer, recipe.schedule, recipe.decay_rate, recipe.decay_epochs,
      optimizer.rho, optimizer.epsilon, recipe.average_momentum)


def build(config: config_lib.TrainConfig, architecture: io.Architecture, precision: str = 'float32') -> keras.Model:
  """The network with random start values, computing in some precision."""
  previous = keras.mixed_precision.global_policy()
  keras.mixed_precision.set_global_policy(precision)
  try:
    drops = keras_network.Drops(config.recipe.path_drop_rate, config.recipe.cell_drop_rate)
    return keras_network.build(dataclasses.replace(architecture.network, name='network'), config.seed, drops)
  finally:
    keras.mixed_precision.set_global_policy(previous)


def copy_weights(model: keras.Model, start: keras.Model, same_classes: bool = True) -> list[str]:
  """Copies weights by layer, all but those of a classifier of other classes.

  Args:
    model: Gets them.
    start: Has them.
    same_classes: Whether as many classes are the same ones.

  Returns:
    Names of the layers that keep their own weights.

  Raises:
    ValueError: The models are not of the same network otherwise; the layers that differ are named.
  """
  differing, kept, sources_by_name = [], [], {layer.name: layer for layer in start.layers}
  *_, classifier = (layer.name for layer in model.layers if layer.weights)
  for layer in model.layers:
    shapes = [tuple(weight.shape) for weight in layer.weights]
    source = sources_by_name.pop(layer.name, None)
    found = None if source is None else [tuple(weight.shape) for weight in source.weights]
    if shapes == (found or []):
      if layer.name == classifier and not same_classes:
        kept.append(layer.name)
      elif shapes:
        layer.set_weights(source.get_weights())
    elif isinstance(layer, keras.layers.Dense) and found and found[0][0] == shapes[0][0]:
      kept.append(layer.name)
    else:
      differing.append(layer.name)
  differing += [name for name, layer in sources_by_name.items() if layer.weights]
  if differing:
    raise ValueError(f'the start values are of another network; {len(differing)} layers differ, for instance {", ".join(differing[:5])}')
  return kept


def inherit(model: keras.Model, architecture: io.Architecture, search: search_directory.RunDirectory,
            images: training_images.Images) -> None:
  """Gives a model the weights of a search, and statistics of batch normalisation over training images.

  Raises:
    ValueError: The search has no checkpoint, or a damaged one.
  """
  newest = search.newest_checkpoint()
  if newest is None:
    raise ValueError(f'{search.checkpoints} holds no checkpoint to inherit weights from')
  nested = flags.read(search.flags, config_lib.SearchConfig).weights.nested
  supernet = supernet_lib.Supernet(io.load_search_space(search.search_space), nested=nested)
  with run_directory_lib.restoring(newest):
    tf.train.Checkpoint(supernet=supernet).read(newest).assert_existing_objects_matched().expect_partial()
  transfer.inherit(model, supernet, architecture.genotype)
  batches = images.training(epoch=0, augment=False).take(_STATISTICS_BATCHES)
  transfer.reestimate_batch_norm(model, batches.map(lambda pixels, labels: pixels))


def start_from(config: config_lib.TrainConfig, start: models.ModelFiles | None, architecture: io.Architecture,
               images: training_images.Images, model: keras.Model) -> list[str]:
  """Gives a model the start values that the configuration says.

  Returns:
    Lines for the user.

  Raises:
    ValueError: They are of another network, or cannot be read.
  """
  if not config.network.init:
    return []
  plain = build(config, architecture)  # the model itself may lie on several devices
  if start is None:
    search = search_directory.RunDirectory(config.network.search_dir or '')
    inherited, known = build(config, architecture), search.class_names
    inherit(inherited, architecture, search, images)
  else:
    inherited, known = models.load_found(start).model, start.architecture.class_names
  differing = architectures.other_classes(known, images.source.name, images.source.class_names)
  kept = copy_weights(plain, inherited, not differing)
  if start is not None:
    architectures.check_start(architecture.network, start.architecture.network)
  model.set_weights(plain.get_weights())
  return [f'{name} starts from random values: {differing or "the classes are others"}' for name in kept]


def make_training(config: config_lib.TrainConfig, images: training_images.Images, architecture: io.Architecture,
                  run: run_directory.RunDirectory, strategy: tf.distribute.Strategy) -> tuple[trainer_lib.Trainer, loop.Training]:
  """The trainer with its model, and the loop; nothing is restored or run yet.

  Raises:
    ValueError: The batch size fits neither the dataset nor the replicas.
  """
  distribution.Devices(strategy).check_batch('batch_size', config.data.batch_size)
  recipe = make_recipe(config, pipelines.steps_per_epoch(images.split, config.data.batch_size))
  with strategy.scope():
    model = build(config, architecture, config.optimizer.precision)
  trainer = trainer_lib.Trainer(model, recipe, config.seed, strategy, depthwise_training.fast_depthwise)
  return trainer, make_loop(config, images, trainer, run)


def finish(config: config_lib.TrainConfig, images: training_images.Images, architecture: io.Architecture, trainer: trainer_lib.Trainer,
           run: run_directory.RunDirectory) -> dict | None:
  """Writes the model, whatever it was trained in, in float32, then what it is worth; None on workers that write nothing."""
  with trainer.averaged():
    weights = trainer.model.get_weights()
  if not trainer.is_chief:
    return None
  model = build(config, architecture)
  model.set_weights(weights)
  models.save(model, run.model)  # an evaluation can fail, and the same command then only evaluates
  found = results(config, images, architecture, model, seconds=sum(entry['seconds'] for entry in run.read_history()))
  files.write_json(run.results, models.RESULTS, found)
  return found


def evaluate(model: keras.Model, batches: tf.data.Dataset, text: str = 'test images') -> trainer_lib.Scores:
  """Top-1, top-5 and loss of a model on batches, which a bar calls by `text`."""
  return training_lib.evaluate(model, progress.over_batches(batches, text))


def results(config: config_lib.TrainConfig | config_lib.QuantizeConfig, images: training_images.Images,
            architecture: io.Architecture, model: keras.Model, seconds: float) -> dict:
  """What results.json says of a finished training."""
  found = _test_results(evaluate(model, images.test()))
  if len(images.split.validation):
    validation = evaluate(model, images.validation(), 'validation images')
    found.update(validation_top1=validation.top1, validation_top5=validation.top5, validation_loss=validation.loss,
                 validation_images=validation.images)
  return {**found, 'epochs': config.recipe.epochs, 'dataset': config.data.dataset, 'class_names': list(images.class_names),
          'resolution': architecture.network.input_shape[0], 'preprocessing': describe_preprocessing(config, images),
          'versions': versions.installed(), 'seed': config.seed, 'seconds': seconds}


def describe_preprocessing(config: config_lib.TrainConfig | config_lib.QuantizeConfig, images: training_images.Images) -> dict:
  """What was done to pixels, as JSON values."""
  is_jittered = images.augmentation == 'imagenet'
  return {'augmentation': images.augmentation, 'color_jitter': config.data.color_jitter if is_jittered else None,
          'input_range': [0.0, 1.0], 'input_normalization': images.normalization and dict(images.normalization)}


def evaluate_test(source: sources.Source, loaded: models.LoadedModel, batch_size: int, augmentation: str | None = None) -> dict:
  """What a model is worth on the test images of a dataset.

  Args:
    source: The dataset.
    loaded: The model.
    batch_size: Images a batch.
    augmentation: For a model that does not say what it was trained with.

  Raises:
    ValueError: The dataset has other classes, or the model was trained with another augmentation.
  """
  architecture = loaded.architecture
  architectures.check_classes(architecture, str(loaded.directory), source.name, source.class_names)
  size, _, channels = architecture.network.input_shape
  transform = preprocessing.for_source(source, size, architectures.augmentation_of(architecture, augmentation), channels=channels)
  batches = training_images.test_images(source, transform, architecture.input_normalization, batch_size)
  return _test_results(evaluate(loaded.model, batches))


def _test_results(scores: trainer_lib.Scores) -> dict:
  return {'test_top1': scores.top1, 'test_top5': scores.top5, 'test_loss': scores.loss, 'test_images': scores.images}
