r"""Measures what was shipped: latency of a .tflite file on a device against the prediction, and its accuracy on the test set.

  tf-proxyless measure --model=digits.tflite --latency_table=host.json
  tf-proxyless measure --model=pixel2.tflite --device=adb --benchmark_binary=android_aarch64_benchmark_model --core_mask=10 \
    --latency_table=pixel2_int8.json

The file must have the card that tf-proxyless export wrote; measurements are added to it. Accuracy is computed on this machine, by
LiteRT's builtin kernels. An interrupted measurement continues from MODEL_measure.
"""

from __future__ import annotations

import dataclasses
import hashlib
import pathlib
import shutil

from tf_proxyless.app import accuracy
from tf_proxyless.app import architectures
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import device
from tf_proxyless.cost import named_tables
from tf_proxyless.data import names as dataset_names
from tf_proxyless.infra import errors
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.measure import measurements as measurements_lib
from tf_proxyless.measure import model_card
from tf_proxyless.measure import table_builder
from tf_proxyless.space import io

Config = config_lib.MeasureConfig

# Fields of a runtime by which a prediction can be for something else than what was measured.
_COMPARED = ('device', 'soc', 'precision', 'kernels', 'threads', 'batch_size', 'core_mask', 'benchmark_tool', 'benchmark_version')


def _check(config: Config) -> tuple[model_card.ModelCard, bytes, table_builder.Setup, model_card.Prediction | None, str | None]:
  config.require()
  content = pathlib.Path(config.model).read_bytes()
  card_path = model_card.path_for(config.model)
  if not card_path.is_file():
    raise ValueError(f'there is no {card_path}, the card that tf-proxyless export writes beside a model')
  card = model_card.load(card_path)
  if hashlib.sha256(content).hexdigest() != card.sha256:
    raise ValueError(f'{card_path} is of another file than {config.model}; export it again')
  predicted = card.predicted
  if config.latency_table:
    predicted = model_card.predict(named_tables.find(config.latency_table, card.network), card.network, card.quantization)
  setup = device.setup(config.device, 'int8' if card.quantization == 'int8' else 'float32')
  dataset = (config.dataset or card.dataset) if config.accuracy else None
  if dataset:
    dataset_names.check(dataset, config.data_dir)
  return card, content, setup, predicted, dataset


def _measure(config: Config, card: model_card.ModelCard, setup: table_builder.Setup, predicted: model_card.Prediction | None,
             ) -> model_card.Measurement:
  path = pathlib.Path(config.model)
  work = path.with_name(f'{path.stem}_measure')
  work.mkdir(exist_ok=True)
  measurements = table_builder.measure_models({'model': path}, setup, work)
  for warning in measurements['warnings']:
    print(f'warning: {warning}')
  if phones := measurements_lib.describe_phones(measurements):
    print(f'measured by            {phones}')
  if measurements['failed']:
    raise ValueError(f'{path} failed on the device: {measurements["failed"]["model"]}')
  shutil.rmtree(work)
  figures, runtime = measurements['models']['model'], table_builder.runtime(measurements, setup)
  if predicted is not None:
    differing = [f'{name} {getattr(predicted.runtime, name)!r}, here {getattr(runtime, name)!r}'
                 for name in _COMPARED if getattr(predicted.runtime, name) != getattr(runtime, name)]
    if differing:
      print(f'warning: the prediction is for another runtime: {"; ".join(differing)}')
  latency_ms, p5_ms = measurements_lib.cost(figures), figures['p5_ms']  # over launches; what counts may be that of one
  return model_card.Measurement(
      latency_ms=latency_ms, p5_ms=None if p5_ms is None else min(p5_ms, latency_ms), p95_ms=figures['p95_ms'], runs=figures['runs'],
      rounds=setup.rounds, drift_percent=measurements['reference']['drift_percent'], runtime=runtime, predicted=predicted)


def _evaluate(config: Config, card: model_card.ModelCard, content: bytes, dataset: str) -> model_card.ModelCard:
  """The card with the accuracy of the file on the whole test set."""
  from tf_proxyless.app import exporter
  from tf_proxyless.deploy import metadata

  labels = tuple(metadata.read_labels(content)[card.ovic:])  # without the background
  architecture = io.Architecture(card.network, card.genotype, class_names=labels or None, augmentation=card.augmentation)
  data = exporter.open_data(dataset, architecture, config)
  found = exporter.evaluate(content, data, card.ovic, config.workers)
  for line in architectures.describe_unknown(architecture):
    print(line)
  before = card.dataset and dataset_names.resolve(card.dataset)
  dataset = dataset_names.resolve(dataset)
  if 'tflite' in (card.accuracies or {}):
    earlier = accuracy.Accuracy(card.accuracies['tflite'], card.test_images, before)
    print(*accuracy.compare('file', earlier, accuracy.Accuracy(found.top1, found.images, dataset)), sep='\n')
  same = card.dataset is None or (before, card.test_images) == (dataset, found.images)
  return dataclasses.replace(
      card, dataset=dataset, test_images=found.images,
      accuracies={**(card.accuracies or {} if same else {}), 'tflite': found.top1},
      top5_accuracies={**(card.top5_accuracies or {} if same else {}), 'tflite': found.top5})


def main(config: Config) -> None:
  with errors.user_errors():
    card, content, setup, predicted, dataset = _check(config)
    measurement = _measure(config, card, setup, predicted)
    card_path = model_card.path_for(config.model)
    card = dataclasses.replace(card, measured=(*card.measured, measurement))
    model_card.save(card, card_path)
  print(model_card.describe_measurement(measurement))
  if not dataset:
    return
  stderr_lib.load_tensorflow()
  with errors.user_errors():
    card = _evaluate(config, card, content, dataset)
    model_card.save(card, card_path)
  print(f'top-1 accuracy         {card.accuracies["tflite"]:.2%} of {card.test_images:,} test images of {dataset}, builtin kernels')
