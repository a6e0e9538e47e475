"""Training, quantizing and exporting what a search found, or any network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import os
import pathlib
import tempfile
from typing import Any, Union

from tf_proxyless.api import data as data_lib
from tf_proxyless.api import search as search_lib
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import models as models_lib
from tf_proxyless.app import options
from tf_proxyless.cost import counting
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import files
from tf_proxyless.infra import shutdown
from tf_proxyless.measure import model_card
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import schema
from tf_proxyless.train import run_directory

# A search's result, a derived or any other network, a published name, or a file.
Architecture = Union[search_lib.SearchResult, io.Architecture, network_lib.Network, str, os.PathLike]


class TrainedModel:
  """A network that was trained or quantized; everything is read from its directory.

  Attributes:
    run: The directory with the paths of its files.
  """

  def __init__(self, run_dir: files.PathLike):
    self.run = run_directory.RunDirectory(run_dir)

  @property
  def model(self) -> Any:
    """The tf_keras model from images in [0, 1] to logits; a quantized one emulates int8."""
    return models_lib.load(self.run.path).model

  @property
  def architecture(self) -> io.Architecture:
    """The network."""
    return io.load_architecture(self.run.architecture)

  @property
  def results(self) -> Mapping[str, Any]:
    """What results.json says: test_top1, test_top5, test_loss, class_names, seconds, ..."""
    return models_lib.read_results(self.run.results)

  @property
  def accuracy(self) -> float:
    """Top-1 accuracy on the test images, in [0, 1]."""
    return float(self.results['test_top1'])

  @property
  def history(self) -> list[dict[str, Any]]:
    """An entry an epoch."""
    return self.run.read_history()

  def __repr__(self) -> str:
    return f'TrainedModel({str(self.run.path)!r})'


def _to_architecture(architecture: Architecture) -> io.Architecture:
  """As it stands in files.

  Raises:
    TypeError, ValueError: It is no network, or has open decisions.
  """
  if isinstance(architecture, search_lib.SearchResult):
    return architecture.architecture
  if isinstance(architecture, io.Architecture):
    return architecture
  if isinstance(architecture, network_lib.Network):
    count = counting.count_network(architecture)
    return io.Architecture(architecture, schema.Genotype({}), io.Cost(count.macs, count.parameters))
  if isinstance(architecture, (str, os.PathLike)):
    return io.find_architecture(os.fspath(architecture))
  raise TypeError(f'architecture must be a SearchResult, an Architecture, a Network, a published name or a file, '
                  f'got {type(architecture).__name__}')


def _finished(run: run_directory.RunDirectory) -> TrainedModel:
  state = files.read_json(run.status, 'status')['state']
  if state != 'finished':
    raise KeyboardInterrupt(f'stopped and saved; the same call continues in {run.path}')
  return TrainedModel(run.path)


@shutdown.signals_given_back()
def train(
    architecture: Architecture,
    train_data: Any,
    test_data: Any = None,
    *,
    run_dir: files.PathLike,
    init: search_lib.SearchResult | TrainedModel | files.PathLike | None = None,
    class_names: Sequence[str] | None = None,
    **settings: Any,
) -> TrainedModel:
  """Trains a network, and shows its progress; called again with the same arguments it continues where it was stopped.

  Args:
    architecture: The result of a search, an `Architecture`, a `Network` without open decisions, a published name or a file.
    train_data: As for `search`.
    test_data: Likewise; needed where `train_data` is no name.
    run_dir: Directory of the training.
    init: Start weights: the search that the network is from, a trained model, or its file; None starts at random.
    class_names: Names by label, for arrays and datasets.
    **settings: Fields of `app.config.TrainConfig` by name: `epochs`, `batch_size`, `learning_rate`, `augmentation`, `seed`, ...

  Returns:
    The trained model.

  Raises:
    ValueError: An argument does not fit; in one line, which and what to do.
    TypeError: An argument is of a kind that is not accepted.
    KeyboardInterrupt: It was stopped, and is saved.
  """
  from tf_proxyless.app.commands import train as train_command

  found = _to_architecture(architecture)
  if not isinstance(train_data, str) and test_data is None:
    raise ValueError('`test_data` is needed: the model is judged on images that it has not seen')
  start: dict[str, Any] = {}
  if isinstance(init, search_lib.SearchResult):
    start = {'init': config_lib.SUPERNET, 'search_dir': os.fspath(init.run.path)}
  elif init is not None:
    start = {'init': os.fspath(init.run.path if isinstance(init, TrainedModel) else init)}
  dataset, _ = data_lib.open_source(train_data, test=test_data, class_names=class_names)
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / 'architecture.json'
    if isinstance(architecture, search_lib.SearchResult):
      path = architecture.run.architecture  # beside which the training finds how the search augmented images
    else:
      io.save_architecture(found, path)
    config = options.make(config_lib.TrainConfig, {
        **start, 'validation_images': 0.0, **settings, 'dataset': dataset, 'architecture': str(path), 'run_dir': os.fspath(run_dir)})
    train_command.main(config)
  return _finished(run_directory.RunDirectory(run_dir))


def evaluate(model: TrainedModel | files.PathLike, test_data: Any, batch_size: int = 64) -> float:
  """Top-1 accuracy of a trained or quantized model.

  Args:
    model: The model, or its directory.
    test_data: (images, labels) or a tf.data.Dataset, as for `search`; or the name of a dataset, whose test images are taken.
    batch_size: Images a batch.

  Returns:
    A share in [0, 1].

  Raises:
    ValueError: The images have labels, or the dataset has classes, that the model does not have.
  """
  from tf_proxyless.app import build_training
  from tf_proxyless.app import dataset

  loaded = models_lib.load(model.run.path if isinstance(model, TrainedModel) else model)
  if not isinstance(test_data, str):
    names = loaded.architecture.class_names or tuple(map(str, range(loaded.architecture.network.classes)))
    test_data = data_lib.open_source(test_data, test=test_data, class_names=names)[0]
  source = dataset.open_source(test_data, config_lib.TrainingDataConfig(dataset=test_data))
  return build_training.evaluate_test(source, loaded, batch_size)['test_top1']


@shutdown.signals_given_back()
def quantize(
    model: TrainedModel | files.PathLike,
    train_data: Any = None,
    test_data: Any = None,
    *,
    run_dir: files.PathLike,
    **settings: Any,
) -> TrainedModel:
  """Quantization-aware fine-tuning of a trained model, and shows its progress; continues where it was stopped.

  Args:
    model: From `train`, or its directory or .keras file.
    train_data: As for `train`; by default the images that the model was trained on, if this process has them or they have a name.
    test_data: Likewise.
    run_dir: Directory of the quantized model.
    **settings: Fields of `app.config.QuantizeConfig` by name: `epochs`, `batch_size`, `learning_rate`, ...

  Returns:
    The quantized model.

  Raises:
    ValueError, TypeError, KeyboardInterrupt: As for `train`.
  """
  from tf_proxyless.app.commands import quantize as quantize_command

  path = os.fspath(model.run.path if isinstance(model, TrainedModel) else model)
  if train_data is not None:
    names = None if isinstance(train_data, str) else models_lib.find(path).architecture.class_names
    settings['dataset'] = data_lib.open_source(train_data, test=test_data, class_names=names)[0]
  quantize_command.main(options.make(config_lib.QuantizeConfig, {
      'validation_images': 0.0, **settings, 'model': path, 'run_dir': os.fspath(run_dir)}))
  return _finished(run_directory.RunDirectory(run_dir))


def export(
    model: TrainedModel | files.PathLike,
    output: files.PathLike,
    *,
    quantization: str | None = None,
    latency_table: table_lib.LatencyTable | None = None,
    **settings: Any,
) -> model_card.ModelCard | None:
  """Writes a .tflite file and its card, after it was compared with its Keras model on the test images; or for Keras 3, or a SavedModel.

  Args:
    model: From `train` or `quantize`, or its directory or file.
    output: The .tflite file; with `format='keras3'` a .py file, with `format='saved_model'` a folder.
    quantization: 'int8' (the default of a .tflite file; a model that was only trained is quantized after training), 'float16' or 'none'.
    latency_table: Its prediction goes into the card.
    **settings: Options of `tf-proxyless export` by name: `dataset`, `io`, `representative_images`, `min_agreement`, ...

  Returns:
    The card: accuracies, size, operators, predicted latency; None of other formats.

  Raises:
    ValueError: The file would not be fit, or is not what the model is.
  """
  from tf_proxyless.app.commands import export as export_command

  path = os.fspath(model.run.path if isinstance(model, TrainedModel) else model)
  with tempfile.TemporaryDirectory() as folder:
    if latency_table is not None:
      settings['latency_table'] = os.path.join(folder, 'table.json')
      latency_table.save(settings['latency_table'])
    export_command.main(options.make(export_command.Config, {
        **settings, 'model': path, 'output': os.fspath(output), 'quantization': quantization}))
  return model_card.load(model_card.path_for(output)) if settings.get('format', 'tflite') == 'tflite' else None
