r"""Quantization-aware fine-tuning: makes a trained network one that int8 kernels compute as well.

  tf-proxyless quantize --model=runs/train_digits --run_dir=runs/quantize_digits --flagfile=quantize/cluttered_digits.flags
  tf-proxyless quantize --model=model.keras --dataset=imagenet2012 --data_dir=DIR --run_dir=DIR

Started again with the same --run_dir, it continues where it stopped. tf-proxyless export makes a .tflite file of the result.
"""

from __future__ import annotations

import pathlib

from tf_proxyless.app import accuracy
from tf_proxyless.app import architectures
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import models
from tf_proxyless.app import options
from tf_proxyless.data import names as dataset_names
from tf_proxyless.infra import errors
from tf_proxyless.infra import locking
from tf_proxyless.infra import shutdown
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.train import run_directory

Config = config_lib.QuantizeConfig


def _identity(config: Config, start: models.ModelFiles) -> dict[str, object]:
  """What makes a run this run: its flags, and what is in the files that they name."""
  return {**options.identity(config), 'model': models.digest(start), 'architecture': architectures.digest(start.architecture)}


def _check(config: Config) -> tuple[Config, models.ModelFiles, run_directory.RunDirectory]:
  """Everything that can be refused before TensorFlow is loaded; the configuration comes back with its dataset."""
  config.check()
  start = models.find(config.model)
  if start.model is None:
    raise ValueError(f'`model={config.model}` is quantized already; give the model that it was made of')
  run = run_directory.RunDirectory(config.run_dir)
  if run.path.resolve() == start.directory.resolve():
    raise ValueError(f'`run_dir={config.run_dir}` holds the model; choose another')
  if not config.data.dataset:
    config = options.replace(config, dataset=(start.results or {}).get('dataset'))
    if not config.data.dataset:
      raise ValueError('`dataset` is required: nothing beside the model says what it was trained on')
  dataset_names.check(config.data.dataset, config.data.data_dir)
  architectures.adapt(start.architecture, config.model, dataset_names.classes(config.data.dataset))
  run.check(_identity(config, start))
  run.create()
  return config, start, run


def _start_tensorflow(config: Config) -> None:
  def start():
    import tensorflow as tf

    if config.deterministic:
      tf.config.experimental.enable_op_determinism()
    tf.config.list_logical_devices()

  stderr_lib.load_tensorflow(start)


def _show(found: dict, start: models.ModelFiles, directory: pathlib.Path) -> None:
  rows = {'float': 'float_test_top1', 'int8, calibrated': 'calibrated_test_top1', 'int8, fine-tuned': 'test_top1'}
  for text, name in rows.items():
    print(f'{text:<22} {100 * found[name]:.2f} % top-1 of {found["test_images"]:,} test images')
  if 'validation_top1' in found:
    print(f'{"validation":<22} {100 * found["validation_top1"]:.2f} % top-1 of {found["validation_images"]:,} images')
  plain, now = (accuracy.Accuracy(found[name], found['test_images'], found['dataset']) for name in ('float_test_top1', 'test_top1'))
  for line in (*accuracy.of_results('float', start.results, plain), *accuracy.collapse('the quantized network', plain, now)):
    print(line)
  print(f'{"quantized network":<22} {directory}')


def main(config: Config) -> int:
  with errors.user_errors():
    config, start, run = _check(config)
    lock = locking.take(run.path)
  stop = shutdown.StopRequest(lambda: run.write_status('interrupted'))
  with lock, shutdown.status_kept(run, run.write_status, stop):
    return _quantize(config, start, run, stop)
  return stop.exit_code


def _quantize(config: Config, start: models.ModelFiles, run: run_directory.RunDirectory, stop: shutdown.StopRequest) -> int:
  _start_tensorflow(config)
  from tf_proxyless.app import augmentation
  from tf_proxyless.app import build_quantization
  from tf_proxyless.app import dataset
  from tf_proxyless.app import train_loop

  with errors.user_errors():
    source = dataset.open_source(config.data.dataset, config.data, run)
    architectures.check_classes(start.architecture, str(start.model), source.name, source.class_names)
    components = build_quantization.build(config, source, models.load_found(start), _identity(config, start), run)
    run.write_status('running')
    if not components.training.prepare():
      build_quantization.calibrate(components)
    augmentation.show(config.data.augmentation, source, run, start.architecture.network.input_shape[2], start)
    for line in architectures.describe_unknown(start.architecture):
      print(line)
  if not train_loop.run('quantizing', run, run.write_status, components.trainer, components.training, stop):
    return stop.exit_code
  _show(build_quantization.finish(components), start, run.path)
  run.write_status('finished')
  return 0
