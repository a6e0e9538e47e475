r"""Exports a trained network as a .tflite file, checked on the test set before it is written, with a card beside it.

  python tools/export_tflite.py --model=runs/digits/model.keras --quantization=int8 --dataset=digits --output=digits.tflite
  python tools/export_tflite.py --model=runs/digits_qat --quantization=int8 --output=digits.tflite --latency_table=host.json

--model is a .keras file, or the directory of a training or of a quantization-aware training. int8 takes ranges of activations from
quantization-aware training, or else from some training images. Every file takes pixels as x / 255, an int8 one the bytes themselves.
"""

from __future__ import annotations

import pathlib

from absl import flags

from tf_proxyless import command_line
from tf_proxyless import files
from tf_proxyless import model_card
from tf_proxyless import models
from tf_proxyless import quiet

_QUANTIZATIONS = ('none', 'float16', 'int8')  # those of deploy.export, which loads TensorFlow

_MODEL = flags.DEFINE_string('model', None, 'A .keras file, or the directory of a training or a quantization-aware training.')
_QUANTIZATION = flags.DEFINE_enum('quantization', 'int8', _QUANTIZATIONS, 'Of the file.')
_OUTPUT = flags.DEFINE_string('output', None, 'The .tflite file. Its card is called likewise, with _card.json.')
_DATASET = flags.DEFINE_string('dataset', None, 'What the network was trained on; by default what its results.json says.')
_DATA_DIR = flags.DEFINE_string('data_dir', None, 'Where tensorflow-datasets keeps datasets.')
_DOWNLOAD = flags.DEFINE_bool('download', False, 'Whether tensorflow-datasets may download what is not there.')
_IO = flags.DEFINE_enum('io', 'uint8', ['uint8', 'int8'], 'Type of input and output of an int8 model; uint8 takes pixels as they are.')
_REPRESENTATIVE_IMAGES = flags.DEFINE_integer('representative_images', 200, 'Training images that ranges are taken from.', lower_bound=1)
_MIN_AGREEMENT = flags.DEFINE_float('min_agreement', 0.98, 'Share of test images of which file and model must say the same; 0 for a network '
                                    'that was not trained.', lower_bound=0.0, upper_bound=1.0)
_LATENCY_TABLE = flags.DEFINE_string('latency_table', None, 'Whose prediction the card shall hold: a file, or a name.')
_WORKERS = flags.DEFINE_integer('workers', None, 'Interpreters that run test images at the same time; by default one for each core.', lower_bound=1)
_SEED = flags.DEFINE_integer('seed', 0, 'Of the choice of representative images.', lower_bound=0)


def _check() -> tuple[models.ModelFiles, pathlib.Path, str | None]:
  for name in ('model', 'output'):
    if not flags.FLAGS[name].value:
      raise ValueError(f'--{name} is required')
  output = pathlib.Path(_OUTPUT.value)
  if output.suffix != '.tflite':
    raise ValueError(f'--output must end in .tflite, got {str(output)!r}')
  if not output.parent.is_dir():
    raise ValueError(f'--output: there is no folder {str(output.parent)!r}')
  found = models.find(_MODEL.value)
  if found.model is None and _QUANTIZATION.value != 'int8':
    raise ValueError(f'{found.directory} is a quantization-aware network; add --quantization=int8')
  dataset = _DATASET.value or (found.results or {}).get('dataset')
  if dataset is None and found.model is not None and _QUANTIZATION.value == 'int8':
    raise ValueError('int8 takes ranges of activations from training images: --dataset is required')
  return found, output, dataset


def main(argv: list[str]) -> None:
  del argv
  with command_line.user_errors():
    found, output, dataset = _check()
  quiet.load_tensorflow()
  with command_line.user_errors():
    card, content = _export(found, dataset)
    card_path = model_card.path_for(output)
    files.write_atomically(output, content)
    model_card.save(card, card_path)
  print(f'{model_card.describe(card)}\nmodel                  {output}\ncard                   {card_path}')


def _export(found: models.ModelFiles, dataset: str | None) -> tuple[model_card.ModelCard, bytes]:
  from tf_proxyless import exporter
  from tf_proxyless.deploy import export
  from tf_proxyless.deploy import normalization

  architecture, network, quantization = found.architecture, found.architecture.network, _QUANTIZATION.value
  predicted = exporter.predict(_LATENCY_TABLE.value, network, quantization) if _LATENCY_TABLE.value else None
  data = exporter.open_data(dataset, network, _DATA_DIR.value, _DOWNLOAD.value) if dataset else None
  model = normalization.prepend(models.load_found(found).model, architecture.input_normalization)
  how = 'qat' if found.model is None else 'ptq' if quantization == 'int8' else 'float'
  representative = data.representative(_REPRESENTATIVE_IMAGES.value, _SEED.value) if how == 'ptq' else None
  made = exporter.Export(how, export.convert(model, quantization, representative, _IO.value))
  export.check(made.content, quantization, network.input_shape)
  if data is not None:
    made = exporter.compare(made, model, data, workers=_WORKERS.value)
    exporter.check(made, quantization, _MIN_AGREEMENT.value)
  card = exporter.make_card(architecture, made, made.content, quantization, labels=0, ovic=False, dataset=dataset, predicted=predicted)
  return card, made.content


if __name__ == '__main__':
  command_line.run(main)
