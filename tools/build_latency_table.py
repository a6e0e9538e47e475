r"""Measures a latency table of a search space on a phone, on this machine or on a GPU, and proves that it predicts.

  python tools/build_latency_table.py --device=host --output=host.json
  python tools/build_latency_table.py --device=adb --benchmark_binary=android_aarch64_benchmark_model --core_mask=10 --output=pixel2.json
  python tools/build_latency_table.py --device=gpu --precision=float32 --output=gpu.json

Every operation of the space is measured as a model of its own. Then whole networks are measured: some give the table its scale and
offset, the others say how far off its predictions are. Beside the table come OUTPUT_proof.json and OUTPUT_proof.png. An interrupted
run continues from --work_dir, by default OUTPUT_work; docs/measuring.md tells how to measure a phone.
"""

from __future__ import annotations

import os
import pathlib

from absl import flags

from tf_proxyless import command_line
from tf_proxyless import plan as plan_lib
from tf_proxyless import quiet
from tf_proxyless import search_flags
from tf_proxyless import table_builder
from tf_proxyless import table_proof
from tf_proxyless.cost import latency_table
from tf_proxyless.space import network as network_lib

search_flags.define_space(flags.FLAGS)
_CLASSES = flags.DEFINE_integer('classes', 1000, 'Outputs of the classifier.', lower_bound=1)
_DEVICE = flags.DEFINE_string('device', 'host', "'host', 'adb', 'adb:SERIAL' or 'gpu'.")
_BENCHMARK_BINARY = flags.DEFINE_string(
    'benchmark_binary', None, "TFLite's benchmark_model for the device. Needed for adb; on the host, by default ai-edge-litert is used.")
_PRECISION = flags.DEFINE_enum('precision', 'int8', ['int8', 'float32'], 'Of the models.')
_KERNELS = flags.DEFINE_enum('kernels', 'builtin', ['builtin', 'xnnpack'], 'Of the interpreter; XNNPACK has no int8 7x7 depthwise kernel.')
_THREADS = flags.DEFINE_integer('threads', 1, 'Of the interpreter.', lower_bound=1)
_FORCE_THREADS = flags.DEFINE_bool('force_threads', False, 'Whether threads may be as many as the cores of this machine.')
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 8, 'Images a run, on a GPU only.', lower_bound=1)
_CORE_MASK = flags.DEFINE_string('core_mask', None, "Cores to run on, hexadecimal as for taskset: '10' is one big core of a Pixel 2.")
_ROUNDS = flags.DEFINE_integer('rounds', 5, 'Separate measurements of each model.', lower_bound=1)
_MIN_SECS = flags.DEFINE_float('min_secs', 0.3, 'Least time of a measurement, s.', lower_bound=0.0)
_MAX_DRIFT_PERCENT = flags.DEFINE_float('max_drift_percent', 3.0, 'Measurements are repeated if the reference model drifts by more.',
                                        lower_bound=0.0)
_MAX_TEMPERATURE_C = flags.DEFINE_float('max_temperature_c', None, 'A phone that is warmer cools down first, degrees Celsius.')
_LOCK_CLOCKS = flags.DEFINE_bool('lock_clocks', False, 'Whether to fix the clocks of a rooted phone while measuring.')
_CALIBRATION_NETWORKS = flags.DEFINE_integer('calibration_networks', 10, 'Whole networks that scale and offset are fitted on.',
                                             lower_bound=0)
_VALIDATION_NETWORKS = flags.DEFINE_integer('validation_networks', 30, 'Other whole networks that the predictions are checked on.',
                                            lower_bound=0)
_SEED = flags.DEFINE_integer('seed', 0, 'Of the choice of networks and the order of measurements.', lower_bound=0)
_OUTPUT = flags.DEFINE_string('output', None, 'The table, a JSON file.')
_WORK_DIR = flags.DEFINE_string('work_dir', None, 'Folder for models and measurements; by default OUTPUT_work.')


def _setup() -> table_builder.Setup:
  """How to measure, from the flags.

  Raises:
    ValueError: They do not fit each other.
  """
  device = _DEVICE.value
  on_phone = device == 'adb' or device.startswith('adb:')
  if not on_phone and device not in ('host', 'gpu'):
    raise ValueError(f"--device must be 'host', 'adb', 'adb:SERIAL' or 'gpu', got {device!r}")
  if on_phone and not _BENCHMARK_BINARY.value:
    raise ValueError("--device=adb needs --benchmark_binary, TFLite's benchmark_model for the phone; docs/measuring.md tells where it is")
  if _BENCHMARK_BINARY.value and not pathlib.Path(_BENCHMARK_BINARY.value).is_file():
    raise ValueError(f'--benchmark_binary: there is no file {_BENCHMARK_BINARY.value!r}')
  cores = os.cpu_count()
  if device == 'host' and 1 < _THREADS.value >= cores and not _FORCE_THREADS.value:
    raise ValueError(f'--threads={_THREADS.value} on {cores} cores leaves none for anything else, and latencies jump by several times; '
                     'take fewer, or add --force_threads')
  options = [f'--seed={_SEED.value}', f'--min_secs={_MIN_SECS.value}', f'--max_drift_percent={_MAX_DRIFT_PERCENT.value}']
  if _CORE_MASK.value is not None:
    if not all(character in '0123456789abcdef' for character in _CORE_MASK.value.lower()) or int(_CORE_MASK.value or '0', 16) == 0:
      raise ValueError(f"--core_mask must be hexadecimal without 0x, for instance '10' or 'f0', got {_CORE_MASK.value!r}")
    options.append(f'--core_mask={_CORE_MASK.value}')
  if _MAX_TEMPERATURE_C.value is not None:
    options.append(f'--max_temperature_c={_MAX_TEMPERATURE_C.value}')
  if _LOCK_CLOCKS.value:
    options.append('--lock_clocks')
  if device == 'gpu':
    if _PRECISION.value != 'float32':
      raise ValueError('--device=gpu measures TensorFlow in float32; add --precision=float32')
    return table_builder.Setup(device, 'float32', None, 1, _BATCH_SIZE.value, _ROUNDS.value)
  return table_builder.Setup(device, _PRECISION.value, _KERNELS.value, _THREADS.value, 1, _ROUNDS.value, tuple(options),
                             _BENCHMARK_BINARY.value)


def _check() -> tuple[network_lib.Network, table_builder.Setup, pathlib.Path, pathlib.Path]:
  if not _OUTPUT.value:
    raise ValueError('--output is required')
  output = pathlib.Path(_OUTPUT.value)
  if not output.parent.is_dir():
    raise ValueError(f'--output: there is no folder {str(output.parent)!r}')
  if bool(_CALIBRATION_NETWORKS.value) != bool(_VALIDATION_NETWORKS.value):
    raise ValueError('give both --calibration_networks and --validation_networks, or 0 for both to leave the proof out')
  space = plan_lib.make_space(flags.FLAGS, _CLASSES.value)
  setup = _setup()
  work = pathlib.Path(_WORK_DIR.value) if _WORK_DIR.value else output.with_name(f'{output.stem}_work')
  work.mkdir(parents=True, exist_ok=True)
  return space, setup, work, output


def _report_measurements(measurements: dict) -> None:
  for name, reason in measurements['failed'].items():
    print(f'warning: {name} failed and is left out: {reason}')
  for warning in measurements['warnings']:
    print(f'warning: {warning}')


def _save_proof(proof: table_proof.Proof, output: pathlib.Path) -> None:
  from tf_proxyless.report import scatter

  table_proof.save(proof, output.with_name(f'{output.stem}_proof.json'))
  groups = {purpose: [(row.predicted_ms, row.measured_ms) for row in proof.rows if row.purpose == purpose]
            for purpose in ('calibration', 'validation', 'published')}
  picture = output.with_name(f'{output.stem}_proof.png')
  scatter.save(groups, proof.table.name, picture)
  print(f'{table_proof.describe(proof)}\npicture                {picture}')


def main(argv: list[str]) -> None:
  del argv
  with command_line.user_errors():
    space, setup, work, output = _check()
  quiet.load_tensorflow()
  with command_line.user_errors():
    table, measurements = table_builder.build(space, setup, work)
    _report_measurements(measurements)
    latency_table.save(table, output)  # it is worth something already, should the proof be interrupted
    print(f'table                  {output}: {len(table.entries)} entries, {table.name}')
    missing = table.missing(network_lib.op_signatures(space))
    if missing:
      raise ValueError(f'no proof, since {len(missing)} operations of the space could not be measured: {"; ".join(map(str, missing))}')
    if _VALIDATION_NETWORKS.value:
      proof = table_proof.prove(space, table, setup, work, _CALIBRATION_NETWORKS.value, _VALIDATION_NETWORKS.value, _SEED.value)
      _report_measurements(proof.measurements)
      latency_table.save(proof.table, output)
      _save_proof(proof, output)
    table_builder.forget(work)


if __name__ == '__main__':
  command_line.run(main)
