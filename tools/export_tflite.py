r"""Exports a trained network as a .tflite file, checked on the test set before it is written, with a card beside it.

  python tools/export_tflite.py --model=runs/digits --quantization=int8 --output=digits.tflite
  python tools/export_tflite.py --model=runs/digits_qat --try_both --output=digits.tflite --latency_table=host.json
  python tools/export_tflite.py --model=runs/lpirc_qat --ovic --output=lpirc.tflite

--model is a .keras file, or the directory of a training or of a quantization-aware training. int8 takes ranges of activations from
quantization-aware training, or else from some training images. Every file takes pixels / 255; an int8 one takes the bytes themselves.
--ovic makes a model for the Low-Power Image Recognition Challenge: its output 0 is the background, which never wins.
"""

from __future__ import annotations

import dataclasses
import pathlib

from absl import flags

from tf_proxyless.app import command_line
from tf_proxyless.app import model_card
from tf_proxyless.app import models
from tf_proxyless.app import quantize_flags
from tf_proxyless.cost import named_tables
from tf_proxyless.data import names as dataset_names
from tf_proxyless.infra import files
from tf_proxyless.infra import stderr as stderr_lib

_QUANTIZATIONS = ('none', 'float16', 'int8')  # those of deploy.export, which loads TensorFlow

_MODEL = flags.DEFINE_string('model', None, 'A .keras file, or the directory of a training or a quantization-aware training. Required.')
_QUANTIZATION = flags.DEFINE_enum('quantization', 'int8', _QUANTIZATIONS, 'How numbers are stored: as they are, as float16, or as 8-bit '
                                  'integers with 8-bit arithmetic.')
_OUTPUT = flags.DEFINE_string('output', None, 'The .tflite file. Its card is called likewise, with _card.json. Required.')
_DATASET = flags.DEFINE_string('dataset', None, 'What the network was trained on; by default what its results.json says.')
_DATA_DIR = flags.DEFINE_string('data_dir', None, 'Where tensorflow-datasets keeps datasets; by default ~/tensorflow_datasets.')
_DOWNLOAD = flags.DEFINE_bool('download', False, 'Whether tensorflow-datasets may download what is not there.')
_TRY_BOTH = flags.DEFINE_bool('try_both', False, 'For a network with quantization-aware training, whether to try post-training '
                              'quantization of the float network too; the file of higher test accuracy is kept.')
_FLOAT_MODEL = flags.DEFINE_string('float_model', None, 'The float network, for --try_both; by default what quantization started from.')
_OVIC = flags.DEFINE_bool('ovic', False, 'Whether to make a model for the Low-Power Image Recognition Challenge.')
_IO = flags.DEFINE_enum('io', 'uint8', ['uint8', 'int8'], 'Type of input and output of an int8 file; uint8 takes pixels as they are.')
_REPRESENTATIVE_DATASET = flags.DEFINE_string('representative_dataset', None, 'Whose training images ranges of activations are taken from; '
                                              'by default --dataset.')
_REPRESENTATIVE_IMAGES = flags.DEFINE_integer('representative_images', 200, 'Images that ranges of activations are taken from.',
                                              lower_bound=1)
_MIN_AGREEMENT = flags.DEFINE_float('min_agreement', 0.98, 'Share of test images of which file and network must say the same; 0 for one '
                                    'that was not trained.', lower_bound=0.0, upper_bound=1.0)
_LATENCY_TABLE = flags.DEFINE_string('latency_table', None, 'Whose prediction the card shall hold: a file, or a name.')
_WORKERS = flags.DEFINE_integer('workers', None, 'Interpreters that run images at the same time; by default one for each core.',
                                lower_bound=1)
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of the choice of representative images.', lower_bound=0)


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


def _check() -> _Job:
  command_line.require(flags.FLAGS, 'model', 'output')
  output = pathlib.Path(_OUTPUT.value)
  if output.suffix != '.tflite':
    raise ValueError(f'--output must end in .tflite, got {str(output)!r}')
  if not output.parent.is_dir():
    raise ValueError(f'--output: there is no folder {str(output.parent)!r}')
  found, is_int8 = models.find(_MODEL.value), _QUANTIZATION.value == 'int8'
  is_qat = found.model is None
  if is_qat and not is_int8:
    raise ValueError(f'{found.directory} had quantization-aware training, so --quantization must be int8, got {_QUANTIZATION.value}')
  if _OVIC.value:
    _check_ovic(found)
  dataset = _DATASET.value or (found.results or {}).get('dataset')
  if is_qat and dataset is None:
    raise ValueError('--dataset is required: the file is compared with the network on real images')
  float_found = None
  if _TRY_BOTH.value:
    float_found = _find_float(found)
  elif is_int8 and not is_qat:
    float_found = found
  representative = (_REPRESENTATIVE_DATASET.value or dataset) if float_found else None
  if float_found and representative is None:
    raise ValueError('int8 takes ranges of activations from training images: --dataset or --representative_dataset is required')
  for name in filter(None, dict.fromkeys((dataset, representative))):
    dataset_names.check(name, _DATA_DIR.value)
  network, predicted = found.architecture.network, None
  if _LATENCY_TABLE.value:
    predicted = model_card.predict(named_tables.find(_LATENCY_TABLE.value, network), network, _QUANTIZATION.value)
  return _Job(found, float_found, dataset, representative, predicted, output)


def _check_ovic(found: models.ModelFiles) -> None:
  if (_QUANTIZATION.value, _IO.value) != ('int8', 'uint8'):
    raise ValueError('--ovic needs --quantization=int8 and --io=uint8: the contest misreads everything else')
  if found.architecture.network.classes != 1000:
    raise ValueError(f'--ovic needs the 1000 classes of ImageNet, to which it adds the background; the network has '
                     f'{found.architecture.network.classes}')


def _find_float(found: models.ModelFiles) -> models.ModelFiles:
  """The float network of one that had quantization-aware training."""
  if found.model is not None:
    raise ValueError('--try_both needs the directory of a quantization-aware training as --model')
  path, flagfile = _FLOAT_MODEL.value, found.directory / 'flags.txt'
  if path is None and flagfile.exists():
    path = quantize_flags.RUN.read(flagfile).model
  if path is None:
    raise ValueError(f'--try_both needs --float_model: {found.directory} does not say what it started from')
  float_found = models.find(path)
  if float_found.architecture.network != found.architecture.network:
    raise ValueError(f'{path} is another network than {found.directory}')
  return float_found


def main(argv: list[str]) -> None:
  del argv
  with command_line.user_errors():
    job = _check()
  stderr_lib.load_tensorflow()
  with command_line.user_errors():
    card, content = _export(job)
    card_path = model_card.path_for(job.output)
    files.write_atomically(job.output, content)
    model_card.save(card, card_path)
  print(f'{model_card.describe(card)}\nmodel                  {job.output}\ncard                   {card_path}')


def _export(job: _Job) -> tuple[model_card.ModelCard, bytes]:
  from tf_proxyless.app import exporter

  network = job.found.architecture.network
  request = exporter.Request(_QUANTIZATION.value, _IO.value, _OVIC.value, _MIN_AGREEMENT.value, _WORKERS.value)
  open_data = lambda name, **how: exporter.open_data(name, network, _DATA_DIR.value, _DOWNLOAD.value, **how) if name else None
  data = open_data(job.dataset)
  source = data if job.representative == job.dataset else open_data(job.representative, any_classes=True)
  exports, refused = [], []
  for how, found in job.attempts:
    model = exporter.load(found)
    images = source.representative(_REPRESENTATIVE_IMAGES.value, _SEED.value) if how == 'ptq' else None
    try:
      exports.append(exporter.make(request, how, model, images, data))
    except ValueError as error:
      refused.append(f'{how}: {error}')
  if not exports:
    raise ValueError('; '.join(refused))
  for reason in refused:
    print(f'warning: left out {reason}')
  made, results = exporter.best(exports), job.found.results or {}
  architecture = dict(job.attempts)[made.how].architecture
  class_names = data.source.class_names if data else results.get('class_names', ())
  content = exporter.finish(made, architecture, class_names, request)
  known = exporter.accuracies(job.dataset, exports, made, results) if data else {}
  return exporter.make_card(made, content, architecture, request, predicted=job.predicted, **known), content


if __name__ == '__main__':
  command_line.run(main)
