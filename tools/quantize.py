r"""Quantization-aware fine-tuning: makes a trained network one that int8 kernels compute as well.

  python tools/quantize.py --model=runs/train_digits --run_dir=runs/quantize_digits --flagfile=quantize/digits.flags
  python tools/quantize.py --model=model.keras --dataset=imagenet2012 --data_dir=DIR --run_dir=DIR

Started again with the same --run_dir, it continues where it stopped. tools/export_tflite.py makes a .tflite file of the result.
"""

from __future__ import annotations

import pathlib

from absl import flags

from tf_proxyless.app import architectures
from tf_proxyless.app import command_line
from tf_proxyless.app import models
from tf_proxyless.app import quantize_flags
from tf_proxyless.data import names as dataset_names
from tf_proxyless.infra import locking
from tf_proxyless.infra import shutdown
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.train import run_directory

quantize_flags.RUN.define(flags.FLAGS)


def _identity(values: flags.FlagValues, start: models.ModelFiles) -> dict[str, object]:
  """What makes a run this run: its flags, and what is in the files that they name."""
  return {**quantize_flags.RUN.identity(values), 'model': models.digest(start), 'architecture': architectures.digest(start.architecture)}


def _check(values: flags.FlagValues) -> tuple[models.ModelFiles, run_directory.RunDirectory]:
  """Everything that can be refused before TensorFlow is loaded."""
  quantize_flags.check(values)
  start = models.find(values.model)
  if start.model is None:
    raise ValueError(f'--model={values.model} is quantized already; give the model that it was made of')
  run = run_directory.RunDirectory(values.run_dir)
  if run.path.resolve() == start.directory.resolve():
    raise ValueError(f'--run_dir={values.run_dir} holds the model; choose another')
  if not values.dataset:
    values.dataset = (start.results or {}).get('dataset')
    if not values.dataset:
      raise ValueError('--dataset is required: nothing beside the model says what it was trained on')
  dataset_names.check(values.dataset, values.data_dir)
  architectures.adapt(start.architecture, values.model, dataset_names.classes(values.dataset))
  run.check(_identity(values, start))
  run.create()
  return start, run


def _start_tensorflow(values: flags.FlagValues) -> None:
  def start():
    import tensorflow as tf

    if values.deterministic:
      tf.config.experimental.enable_op_determinism()
    tf.config.list_logical_devices()

  stderr_lib.load_tensorflow(start)


def _show(found: dict, directory: pathlib.Path) -> None:
  rows = {'float': 'float_test_top1', 'int8, calibrated': 'calibrated_test_top1', 'int8, fine-tuned': 'test_top1'}
  for text, name in rows.items():
    print(f'{text:<22} {100 * found[name]:.2f} % top-1 of {found["test_images"]:,} test images')
  if 'validation_top1' in found:
    print(f'{"validation":<22} {100 * found["validation_top1"]:.2f} % top-1 of {found["validation_images"]:,} images')
  print(f'{"quantized network":<22} {directory}')


def main(argv: list[str]) -> int:
  del argv
  values = flags.FLAGS
  with command_line.user_errors():
    start, run = _check(values)
    lock = locking.take(run.path)
  stop = shutdown.StopRequest(lambda: run.write_status('interrupted'))
  with lock, shutdown.status_kept(run.write_status, stop):
    return _quantize(values, start, run, stop)
  return stop.exit_code


def _quantize(values: flags.FlagValues, start: models.ModelFiles, run: run_directory.RunDirectory, stop: shutdown.StopRequest) -> int:
  _start_tensorflow(values)
  from tf_proxyless.app import build_search
  from tf_proxyless.app import build_quantization
  from tf_proxyless.app import train_loop

  with command_line.user_errors():
    source = build_search.open_source(values)
    architectures.adapt(start.architecture, values.model, source.classes)
    assembled = build_quantization.assemble(values, source, models.load_found(start), _identity(values, start), run)
    if not assembled.training.prepare():
      build_quantization.calibrate(assembled)
  if not train_loop.run('quantizing', run, run.write_status, assembled.trainer, assembled.training, stop):
    return stop.exit_code
  _show(build_quantization.finish(assembled), run.path)
  run.write_status('finished')
  return 0


if __name__ == '__main__':
  command_line.run(main)
