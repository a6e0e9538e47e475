r"""Exports a trained network as a .tflite file, checked on the test set before it is written, with a card beside it; or for Keras 3.

  tf-proxyless export --model=runs/digits --quantization=int8 --output=digits.tflite
  tf-proxyless export --model=runs/digits_qat --try_both --output=digits.tflite --latency_table=host.json
  tf-proxyless export --model=runs/lpirc_qat --ovic --output=lpirc.tflite
  tf-proxyless export --model=runs/digits --format=keras3 --output=digits.py

--model is a .keras file, or the directory of a training or of a quantization-aware training. int8 takes ranges of activations from
quantization-aware training, or else from some training images. Every file takes pixels / 255; an int8 one takes the bytes themselves.
--format=keras3 writes Keras 3 source that builds the network, and digits.weights.h5 beside it; saved_model writes a folder. Both are
float32, take pixels / 255 too, and are run before they are kept.
--ovic makes a model for the Low-Power Image Recognition Challenge: its output 0 is the background, which never wins.
"""

from __future__ import annotations

import dataclasses
import pathlib

from tf_proxyless.app import config as config_lib
from tf_proxyless.app import flags
from tf_proxyless.app import architectures
from tf_proxyless.app import models
from tf_proxyless.app import options
from tf_proxyless.cost import named_tables
from tf_proxyless.data import names as dataset_names
from tf_proxyless.infra import errors
from tf_proxyless.infra import files
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.measure import model_card

_QUANTIZATIONS = ('none', 'float16', 'int8')  # those of deploy.export, which loads TensorFlow
_FORMATS = ('tflite', 'keras3', 'saved_model')


@dataclasses.dataclass(frozen=True)
class Config(options.Config):
  model: str | None = options.option(None, 'A .keras file, or the directory of a training or a quantization-aware training.', required=True)
  format: str = options.option('tflite', 'What is written: a .tflite file, Keras 3 source with weights, or a SavedModel.', choices=_FORMATS)
  quantization: str | None = options.option(
      None, 'How numbers of a .tflite file are stored: as they are, as float16, or (by default) as 8-bit integers with 8-bit arithmetic.',
      choices=_QUANTIZATIONS)
  output: str | None = options.option(
      None, 'The .tflite file, whose card is called likewise, with _card.json; the .py file of Keras 3; or the folder of a SavedModel.',
      required=True)
  dataset: str | None = options.option(None, 'What the network was trained on; by default what its results.json says.',
                                       resolve=dataset_names.resolve)
  data_dir: str | None = options.option(None, config_lib.DATA_DIR)
  download: bool = options.option(False, 'Whether tensorflow-datasets may download what is not there.')
  verify_images: bool = options.option(True, config_lib.VERIFY_IMAGES)
  skip_unreadable: bool = options.option(False, config_lib.SKIP_UNREADABLE)
  try_both: bool = options.option(
      False, 'For a network with quantization-aware training, whether to try post-training quantization of the float network too; the '
      'file of higher test accuracy is kept.')
  float_model: str | None = options.option(None, 'The float network, for `try_both`; by default what quantization started from.')
  ovic: bool = options.option(False, 'Whether to make a model for the Low-Power Image Recognition Challenge.')
  io: str = options.option('uint8', 'Type of input and output of an int8 file; uint8 takes pixels as they are.', choices=('uint8', 'int8'))
  representative_dataset: str | None = options.option(
      None, 'Whose training images ranges of activations are taken from; by default `dataset`.', resolve=dataset_names.resolve)
  representative_images: int = options.option(200, 'Images that ranges of activations are taken from.', low=1)
  min_agreement: float = options.option(
      0.98, 'Share of test images of which file and network must say the same; 0 for one that was not trained.', low=0.0, high=1.0)
  latency_table: str | None = options.option(None, 'Whose prediction the card shall hold: a file, or a name.')
  workers: int | None = options.option(None, 'Interpreters that run images at the same time; by default one for each core.', low=1)
  seed: int = options.option(0, 'Seed of the choice of representative images.', low=0)


@dataclasses.dataclass(frozen=True)
class _Job:
  """What is to be done, as far as it can be known without TensorFlow.

  Attributes:
    found: The network.
    float_found: The float network that post-training quantization starts from, if that is tried.
    dataset: Whose test set is used, None without one.
    representative: The dataset for post-training quantization.
    predicted: Latency by the table, if there is one.
    output: The file.
  """

  found: models.ModelFiles
  float_found: models.ModelFiles | None
  dataset: str | None
  representative: str | None
  predicted: model_card.Prediction | None
  output: pathlib.Path

  @property
  def attempts(self) -> list[tuple[str, models.ModelFiles]]:
    """Ways to make the file, each with the network that it starts from."""
    found = [('qat', self.found)] if self.found.model is None else []
    found += [('ptq', self.float_found)] if self.float_found is not None else []
    return found or [('float', self.found)]


def _check(config: Config) -> _Job:
  config.require()
  output = pathlib.Path(config.output)
  if output.suffix != '.tflite':
    raise ValueError(f'`output` must end in .tflite, got {str(output)!r}')
  if not output.parent.is_dir():
    raise ValueError(f'`output`: there is no folder {str(output.parent)!r}')
  found, is_int8 = models.find(config.model), config.quantization == 'int8'
  is_qat = found.model is None
  if is_qat and not is_int8:
    raise ValueError(f'{found.directory} had quantization-aware training, so `quantization` must be int8, got {config.quantization}')
  if config.ovic:
    _check_ovic(config, found)
  dataset = config.dataset or (found.results or {}).get('dataset')
  if is_qat and dataset is None:
    raise ValueError('`dataset` is required: the file is compared with the network on real images')
  float_found = None
  if config.try_both:
    float_found = _find_float(config, found)
  elif is_int8 and not is_qat:
    float_found = found
  representative = (config.representative_dataset or dataset) if float_found else None
  if float_found and representative is None:
    raise ValueError('int8 takes ranges of activations from training images: `dataset` or `representative_dataset` is required')
  for name in filter(None, dict.fromkeys((dataset, representative))):
    dataset_names.check(name, config.data_dir)
  network, predicted = found.architecture.network, None
  if config.latency_table:
    predicted = model_card.predict(named_tables.find(config.latency_table, network), network, config.quantization)
  return _Job(found, float_found, dataset, representative, predicted, output)


def _check_ovic(config: Config, found: models.ModelFiles) -> None:
  if (config.quantization, config.io) != ('int8', 'uint8'):
    raise ValueError('`ovic` needs `quantization=int8` and `io=uint8`: the contest misreads everything else')
  if found.architecture.network.classes != 1000:
    raise ValueError(f'`ovic` needs the 1000 classes of ImageNet, to which it adds the background; the network has '
                     f'{found.architecture.network.classes}')


def _find_float(config: Config, found: models.ModelFiles) -> models.ModelFiles:
  """The float network of one that had quantization-aware training."""
  if found.model is not None:
    raise ValueError('`try_both` needs the directory of a quantization-aware training as `model`')
  path, flagfile = config.float_model, found.directory / 'flags.txt'
  if path is None and flagfile.exists():
    path = flags.read(flagfile, config_lib.QuantizeConfig).model
  if path is None:
    raise ValueError(f'`try_both` needs `float_model`: {found.directory} does not say what it started from')
  float_found = models.find(path)
  if float_found.architecture.network != found.architecture.network:
    raise ValueError(f'{path} is another network than {found.directory}')
  ours, theirs = found.architecture, float_found.architecture
  if ours.class_names and theirs.class_names:
    architectures.check_classes(theirs, str(path), str(found.directory), ours.class_names)
  if 'imagenet' in (ours.augmentation, theirs.augmentation) and ours.augmentation != theirs.augmentation:
    raise ValueError(f'{path} was trained with the augmentation {theirs.augmentation}, {found.directory} with {ours.augmentation}: their '
                     'images are not cut and resized alike')
  return float_found


def _check_float(config: Config) -> models.ModelFiles:
  """The network for Keras 3 or a SavedModel."""
  config.require()
  given = [name for name, each in options.options(Config).items()
           if name not in ('model', 'output', 'format') and getattr(config, name) != each.default]
  if given:
    raise ValueError(f'`{given[0]}` is for `format=tflite`; {config.format} has float32 numbers as they were trained')
  output = pathlib.Path(config.output)
  if config.format == 'keras3' and not (output.suffix == '.py' and output.stem.isidentifier()):
    raise ValueError(f'`output` must be a .py file that Python can import, got {str(output)!r}')
  if config.format == 'saved_model' and output.exists() and not (output / 'saved_model.pb').is_file():
    raise ValueError(f'`output` must be a new folder or that of a SavedModel, got {str(output)!r}')
  if not output.parent.is_dir():
    raise ValueError(f'`output`: there is no folder {str(output.parent)!r}')
  found = models.find(config.model)
  if found.model is None:
    raise ValueError(f'{found.directory} had quantization-aware training, which only a .tflite file holds; give its float network')
  return found


def _write_float(config: Config, found: models.ModelFiles) -> None:
  from tf_proxyless.app import exporter

  if config.format == 'saved_model':
    exporter.write_saved_model(exporter.load(found), config.output)
    print(f'model                  {config.output}')
  else:
    exporter.write_keras3(found, config.output)
    print(f'model                  {config.output}\nweights                {pathlib.Path(config.output).with_suffix(".weights.h5")}')


def main(config: Config) -> None:
  if config.format != 'tflite':
    with errors.user_errors():
      found = _check_float(config)
    stderr_lib.load_tensorflow()
    with errors.user_errors():
      _write_float(config, found)
    return
  config = dataclasses.replace(config, quantization=config.quantization or 'int8')
  with errors.user_errors():
    job = _check(config)
  stderr_lib.load_tensorflow()
  with errors.user_errors():
    card, content = _export(config, job)
    card_path = model_card.path_for(job.output)
    files.write_atomically(job.output, content)
    model_card.save(card, card_path)
  print(f'{model_card.describe(card)}\nmodel                  {job.output}\ncard                   {card_path}')


def _export(config: Config, job: _Job) -> tuple[model_card.ModelCard, bytes]:
  from tf_proxyless.app import exporter

  architecture = job.found.architecture
  request = exporter.Request(config.quantization, config.io, config.ovic, config.min_agreement, config.workers)
  open_data = lambda name, **how: name and exporter.open_data(name, architecture, config, **how)
  data = open_data(job.dataset)
  source = data if job.representative == job.dataset else open_data(job.representative, any_classes=True)
  exports, refused = [], []
  for how, found in job.attempts:
    model = exporter.load(found)
    images = source.representative(config.representative_images, config.seed) if how == 'ptq' else None
    try:
      exports.append(exporter.make(request, how, model, images, data))
    except ValueError as error:
      refused.append(f'{how}: {error}')
  if not exports:
    raise ValueError('; '.join(refused))
  for reason in refused:
    print(f'warning: left out {reason}')
  for line in architectures.describe_unknown(architecture) if data else ():
    print(line)
  for each in exports if data else ():
    for line in exporter.describe_accuracies(each, dict(job.attempts)[each.how], job.float_found, job.dataset):
      print(line)
  made, class_names = exporter.best(exports), architecture.class_names or (data.source.class_names if data else ())
  architecture = dict(job.attempts)[made.how].architecture
  content = exporter.finish(made, architecture, class_names, request)
  known = exporter.accuracies(job.dataset, exports, made, job.found.results or {}) if data else {}
  return exporter.make_card(made, content, architecture, request, predicted=job.predicted, **known), content
