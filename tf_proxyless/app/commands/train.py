r"""Trains a network, or says how good one is.

  tf-proxyless train --architecture=runs/quickstart/architecture.json --flagfile=train/cluttered_digits.flags --run_dir=DIR
  tf-proxyless train --architecture=proxyless_mobile --flagfile=train/imagenet.flags --data_dir=DIR --run_dir=DIR
  tf-proxyless train --evaluate_only --init=model.keras --dataset=imagenet2012 --data_dir=DIR

Started again with the same --run_dir, it continues where it stopped. Several GPUs are used if they are there, and several workers
if TF_CONFIG names them.
"""

from __future__ import annotations

import contextlib
import sys

from tf_proxyless.app import accuracy
from tf_proxyless.app import architectures
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import models
from tf_proxyless.app import options
from tf_proxyless.data import names as dataset_names
from tf_proxyless.infra import cluster as cluster_lib
from tf_proxyless.infra import distribution
from tf_proxyless.infra import errors
from tf_proxyless.infra import locking
from tf_proxyless.infra import shutdown
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.space import io
from tf_proxyless.train import run_directory

Config = config_lib.TrainConfig


def _find_start(config: Config) -> models.ModelFiles | None:
  """The model that the training starts from, if there is one."""
  if not config.network.init or config.network.init == config_lib.SUPERNET:
    return None
  found = models.find(config.network.init)
  if found.model is None:
    raise ValueError(f'`init={config.network.init}` is a quantized network; train on from the one that it was made of')
  return found


def _find_architecture(config: Config, start: models.ModelFiles | None, classes: int | None) -> io.Architecture:
  """The network to train, with the dataset's classes if they are known."""
  network = config.network
  if network.architecture:
    found = architectures.find(network.architecture, classes, network.resolution, network.width_multiplier, network.dropout_rate)
    if start is not None:
      found = architectures.with_normalization(found, start.architecture.input_normalization)
  else:
    found = start.architecture
    if classes is not None and found.network.classes != classes:
      found = architectures.with_classes(found, classes)
    found = architectures.adapt(found, network.init, classes, network.resolution, network.dropout_rate)
  if network.init == config_lib.SUPERNET:
    architectures.check_searched(found, network.search_dir)
  return found


def _identity(config: Config, start: models.ModelFiles | None, architecture: io.Architecture) -> dict[str, object]:
  """What makes a run this run: its flags, and what is in the files that they name."""
  init = config.network.init if start is None else models.digest(start)
  return {**options.identity(config), 'architecture': architectures.digest(architecture), 'init': init}


def _check(config: Config, writes: bool) -> tuple[models.ModelFiles | None, run_directory.RunDirectory]:
  """Everything that can be refused before TensorFlow is loaded; returns the model to start from, if there is one, and the run."""
  start = _find_start(config)
  classes = dataset_names.classes(config.data.dataset)
  architecture = _find_architecture(config, start, classes)
  run = run_directory.RunDirectory(config.run_dir, writes)
  if classes is not None:
    run.check(_identity(config, start, architecture))
  run.create()
  return start, run


def _load_tensorflow(config: Config):
  """Loads TensorFlow and returns the strategy to train by."""

  def start():
    import tensorflow as tf

    if config.deterministic:
      tf.config.experimental.enable_op_determinism()
    return distribution.choose(config.distribution)

  return stderr_lib.load_tensorflow(start)


def _train(config: Config) -> int:
  with errors.user_errors():
    cluster = cluster_lib.find_workers(config.distribution)
    start, run = _check(config, writes=cluster.index == 0)
    lock: contextlib.AbstractContextManager = locking.take(run.path) if run.writes else contextlib.nullcontext()
  cluster_lib.announce(cluster)
  stop = shutdown.StopRequest(lambda: run.write_status('interrupted'))
  with lock, shutdown.status_kept(run, run.write_status, stop), cluster_lib.losing_workers(cluster):
    return _train_in(run, config, start, stop)
  return stop.exit_code


def _train_in(run: run_directory.RunDirectory, config: Config, start: models.ModelFiles | None, stop: shutdown.StopRequest) -> int:
  with errors.user_errors():
    strategy = _load_tensorflow(config)
  stop.listen()
  from tf_proxyless.app import augmentation
  from tf_proxyless.app import build_training
  from tf_proxyless.app import dataset
  from tf_proxyless.app import train_loop

  with errors.user_errors():
    devices = distribution.Devices(strategy)
    source = dataset.open_source(config.data.dataset, config.data, run)
    architecture = _find_architecture(config, start, source.classes)
    identity = _identity(config, start, architecture)
    with devices.chief_first():
      images = build_training.make_inputs(config, source, identity, architecture, start, run)
    dataset.check_workers(devices, run, images.split, identity)
    run.write_status('running')
    trainer, training = build_training.make_training(config, images, architecture, run, strategy)
    if not training.prepare():
      for line in build_training.start_from(config, start, architecture, images, trainer.model):
        print(line, file=sys.stderr)
    if devices.is_chief:
      augmentation.show(config.data.augmentation, source, run, architecture.network.input_shape[2], start)
  if not train_loop.run('training', run, run.write_status, trainer, training, stop):
    return stop.exit_code
  found = build_training.finish(config, images, architecture, trainer, run)
  if found is not None:
    _show(found, architecture)
    print(f'model                  {run.model}')
    run.write_status('finished')
  return 0


def _evaluate(config: Config) -> int:
  with errors.user_errors():
    found = models.find(config.network.init or config.run_dir)
    architectures.adapt(found.architecture, str(found.model or found.directory), dataset_names.classes(config.data.dataset))
    architectures.augmentation_of(found.architecture, config.data.augmentation)
  stderr_lib.load_tensorflow()
  from tf_proxyless.app import build_training
  from tf_proxyless.app import dataset

  with errors.user_errors():
    source = dataset.open_source(config.data.dataset, config.data)
    results = build_training.evaluate_test(source, models.load_found(found), config.data.evaluation_batch, config.data.augmentation)
    _show(results, found.architecture)
    now = accuracy.Accuracy(results['test_top1'], results['test_images'], source.name)
    for line in (*architectures.describe_unknown(found.architecture), *accuracy.of_results('model', found.results, now)):
      print(line)
  return 0


def _show(results: dict, architecture: io.Architecture) -> None:
  cost = architecture.cost or io.Cost()
  if cost.macs is not None:
    print(f'network                {cost.macs / 1e6:.2f} M MACs, {cost.parameters:,} parameters')
  if 'validation_top1' in results:
    print(f'validation             {100 * results["validation_top1"]:.2f} % top-1 of {results["validation_images"]:,} images')
  print(f'test                   {100 * results["test_top1"]:.2f} % top-1, {100 * results["test_top5"]:.2f} % top-5, '
        f'loss {results["test_loss"]:.4f}, of {results["test_images"]:,} images')


def main(config: Config) -> int:
  with errors.user_errors():
    config.check()
  return _evaluate(config) if config.evaluate_only else _train(config)
