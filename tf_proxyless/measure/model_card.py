"""The card beside a .tflite file: what it is, how good, how fast, and how that is known."""

from __future__ import annotations

from collections.abc import Mapping
import dataclasses
import pathlib

from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import files
from tf_proxyless.infra import serialization
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import registry

_KIND = 'model_card'
_QUANTIZATIONS = ('none', 'float16', 'int8')
_HOW = {'float': '', 'ptq': ' by post-training quantization', 'qat': ' by quantization-aware training'}


@dataclasses.dataclass(frozen=True)
class Tensor:
  """Input or output: real value = scale * (stored - zero_point), if there is a scale."""

  shape: tuple[int, ...]
  type: str
  scale: float | None = None
  zero_point: int | None = None


@dataclasses.dataclass(frozen=True)
class Prediction:
  """Latency of a network by a table.

  Attributes:
    latency_ms: Calibrated, as every latency of a whole network.
    table, sha256, provenance: Name, content hash and origin of the table.
    runtime: What it holds for.
  """

  latency_ms: float
  table: str
  sha256: str
  provenance: str
  runtime: table_lib.Runtime


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
  """Latency of the file on a device.

  Attributes:
    latency_ms: See `measurements.cost`.
    p5_ms, p95_ms: Percentiles of the runs (None: an old tool prints none).
    runs, rounds: Runs in all (None: an old tool prints none), in so many separate measurements.
    drift_percent: By how much the device became faster or slower meanwhile.
    runtime: Device, kernels, threads, tool and date.
    predicted: What a table said.
  """

  latency_ms: float
  p5_ms: float | None = None
  p95_ms: float | None = None
  runs: int | None = None
  rounds: int
  drift_percent: float
  runtime: table_lib.Runtime
  predicted: Prediction | None = None


@dataclasses.dataclass(frozen=True)
class ModelCard:
  """All that is known of a .tflite file.

  Attributes:
    architecture: Name of the network; `genotype` are its choices, `network` its blocks.
    macs, parameters: What it takes.
    quantization: 'none', 'float16' or 'int8'.
    how: 'float', 'ptq' (post-training quantization) or 'qat' (quantization-aware training).
    size_bytes, sha256: Size and hash of the file.
    input, output: Images [1, height, width, channels], and one number a class.
    operators: How often each operation occurs.
    labels: Classes that the file names.
    ovic: Whether it is made for the Low-Power Image Recognition Challenge; output 0 is then the background.
    versions: Version by package.
    input_normalization: What the file does to pixels / 255 before the first layer: subtract 'mean', divide by 'std'.
    dataset, test_images: Test set of the accuracies. Nothing was trained or chosen on it, but for `tried`.
    accuracies, top5_accuracies: Share of the test images that each of 'float', 'qat' and 'tflite' gets right, by its highest output
      and by its five highest; 'qat' is the Keras model that rounds as int8 does.
    tried: Accuracy by way of quantization, if several were tried and the best on the test set was kept.
    agreement: Share of the test images of which the file and its Keras model, for QAT the one that rounds, say the same.
    difference: Largest between the outputs of these two, in steps of the quantized output, else relative to the largest output.
    steps: The same for the first test images on XNNPACK's kernels, which round as the model that emulates int8 does.
    predicted: Latency by a table.
    measured: Latency on devices.
    augmentation: What the network was trained with, which says how test images are cut.
    min_runtime: The oldest TensorFlow Lite that runs the file, as the file says too.
  """

  architecture: str
  genotype: Mapping[str, int]
  network: network_lib.Network
  macs: int
  parameters: int
  quantization: str
  how: str
  size_bytes: int
  sha256: str
  input: Tensor
  output: Tensor
  operators: Mapping[str, int]
  labels: int
  ovic: bool
  versions: Mapping[str, str]
  input_normalization: Mapping[str, tuple[float, ...]] | None = None
  dataset: str | None = None
  test_images: int | None = None
  accuracies: Mapping[str, float] | None = None
  top5_accuracies: Mapping[str, float] | None = None
  tried: Mapping[str, float] | None = None
  agreement: float | None = None
  difference: float | None = None
  steps: float | None = None
  predicted: Prediction | None = None
  measured: tuple[Measurement, ...] = ()
  augmentation: str | None = None
  min_runtime: str | None = None

  def __post_init__(self) -> None:
    for name, accepted in (('quantization', _QUANTIZATIONS), ('how', tuple(_HOW))):
      if getattr(self, name) not in accepted:
        raise ValueError(f'{name} must be one of {", ".join(accepted)}, got {getattr(self, name)!r}')
    shares = {f'{field}/{name}': value for field in ('accuracies', 'top5_accuracies', 'tried')
              for name, value in (getattr(self, field) or {}).items()}
    wrong = {name: value for name, value in {**shares, 'agreement': self.agreement or 0}.items() if not 0 <= value <= 1}
    if wrong:
      raise ValueError(f'shares of images must be in [0, 1], got {wrong}')
    if self.accuracies is not None and (self.dataset is None or self.test_images is None):
      raise ValueError('accuracies need their dataset and test_images')
    io.check_normalization(self.input_normalization, self.network.input_shape[2])


def predict(table: table_lib.LatencyTable, network: network_lib.Network, quantization: str) -> Prediction:
  """The latency that a table promises for a network.

  Args:
    table: Covers every operation of the network.
    network: Without open decisions.
    quantization: Quantization of the file; weights in float16 are computed with in float32.

  Raises:
    ValueError: The table is of another precision, or lacks operations.
  """
  table.check_unit('ms')
  table.check_runtime(precision='int8' if quantization == 'int8' else 'float32')
  latency_ms = model_lib.from_latency_table(network, table).fixed
  return Prediction(latency_ms, table.name, table.sha256, table.provenance, table.runtime)


def path_for(model: files.PathLike) -> pathlib.Path:
  """Where the card of a .tflite file lies: MODEL_card.json beside it."""
  path = pathlib.Path(model)
  return path.with_name(f'{path.stem}_card.json')


def save(card: ModelCard, path: files.PathLike) -> None:
  """Writes a card atomically."""
  files.write_json(path, _KIND, serialization.encode(card, registry.classes()))


def load(path: files.PathLike) -> ModelCard:
  """Reads a card.

  Raises:
    ValueError: The file is not a card; one line that names the file and the place in it.
    OSError: The file cannot be read.
  """
  body = files.read_json(path, _KIND)
  try:
    return serialization.decode(ModelCard, body, registry.classes())
  except ValueError as error:
    raise ValueError(f'{path}: {error}') from error


def describe(card: ModelCard) -> str:
  """What a user wants to know first, in a few lines."""
  quantization = 'float32' if card.quantization == 'none' else card.quantization
  lines = [f'network                {card.architecture}, {card.macs / 1e6:.2f} M MACs, {card.parameters:,} parameters',
           f'file                   {card.size_bytes:,} bytes, {quantization}{_HOW[card.how]}, takes {_tensor(card.input)}, '
           f'gives {_tensor(card.output)}']
  if card.min_runtime is not None:
    lines.append(f'needs                  TensorFlow Lite {card.min_runtime} or newer')
  if card.accuracies is not None:
    accuracies = ', '.join(f'{name} {value:.2%}' for name, value in card.accuracies.items())
    agreement = '' if card.agreement is None else f'; file and network agree on {card.agreement:.2%}'
    lines.append(f'top-1 accuracy         {accuracies} on {card.test_images:,} test images of {card.dataset}{agreement}')
  if card.tried is not None:
    lines.append(f'kept                   {card.how}, the best of ' + ', '.join(f'{how} {value:.2%}' for how, value in card.tried.items()))
  if card.predicted is not None:
    found = card.predicted
    lines.append(f'predicted latency      {found.latency_ms:.3f} ms ({found.table}; {found.provenance})')
  return '\n'.join([*lines, *map(describe_measurement, card.measured)])


def describe_measurement(found: Measurement) -> str:
  """A measured latency, and how far the prediction was off."""
  runtime = found.runtime
  spread = '' if None in (found.p5_ms, found.p95_ms) else f'{found.p5_ms:.3f} to {found.p95_ms:.3f}; '
  lines = [f'measured latency       {found.latency_ms:.3f} ms ({spread}{runtime.device}, '
           f'{runtime.kernels} kernels, threads {runtime.threads}; {found.rounds} rounds, drift {found.drift_percent:.1f} %)']
  if found.predicted is not None and found.predicted.latency_ms > 0:  # an offset below zero may promise anything
    promised = found.predicted.latency_ms
    off = found.latency_ms / promised - 1
    lines.append(f'against predicted      {promised:.3f} ms: measured is {abs(off):.1%} {"above" if off > 0 else "below"}')
  return '\n'.join(lines)


def _tensor(tensor: Tensor) -> str:
  return f'{tensor.type} [{", ".join(map(str, tensor.shape))}]'
