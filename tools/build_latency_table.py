r"""Measures a latency table of a search space on a phone, on this machine or on a GPU, and proves that it predicts.

  python tools/build_latency_table.py --device=host --output=host.json
  python tools/build_latency_table.py --device=adb --benchmark_binary=android_aarch64_benchmark_model --core_mask=10 --output=pixel2.json
  python tools/build_latency_table.py --device=gpu --precision=float32 --output=gpu.json

Every operation of the space is measured as a model of its own. Then whole networks are measured: some give the table its scale and
offset, the others say how far off its predictions are. Beside the table come OUTPUT_proof.json and OUTPUT_proof.png. An interrupted
run continues from --work_dir, by default OUTPUT_work; docs/measuring.md tells how to measure a phone.
"""

from __future__ import annotations

import pathlib

from absl import flags

from tf_proxyless.app import command_line
from tf_proxyless.app import device_flags
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import search_flags
from tf_proxyless.cost import table as table_lib
from tf_proxyless.infra import locking
from tf_proxyless.infra import stderr as stderr_lib
from tf_proxyless.measure import table_builder
from tf_proxyless.measure import validation as validation_lib
from tf_proxyless.space import network as network_lib

search_flags.define_space(flags.FLAGS)
_CLASSES = flags.DEFINE_integer('classes', 1000, 'Outputs of the classifier.', lower_bound=1)
device_flags.define(flags.FLAGS, gpu=True)
_PRECISION = flags.DEFINE_enum('precision', 'int8', ['int8', 'float32'], 'Precision of the models.')
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 8, 'Images in a run, on a GPU only.', lower_bound=1)
_CALIBRATION_NETWORKS = flags.DEFINE_integer('calibration_networks', 10, 'Whole networks that scale and offset are fitted on.',
                                             lower_bound=0)
_VALIDATION_NETWORKS = flags.DEFINE_integer('validation_networks', 30, 'Other whole networks that the predictions are checked on.',
                                            lower_bound=0)
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of the choice of networks and the order of measurements.', lower_bound=0)
_OUTPUT = flags.DEFINE_string('output', None, 'The table, a JSON file. Required.')
_WORK_DIR = flags.DEFINE_string('work_dir', None, 'Folder for models and measurements; by default OUTPUT_work.')


def _setup() -> table_builder.Setup:
  """How to measure, from the flags.

  Raises:
    ValueError: They do not fit each other.
  """
  if flags.FLAGS.device != 'gpu':
    return device_flags.setup(flags.FLAGS, _PRECISION.value, _SEED.value)
  if _PRECISION.value != 'float32':
    raise ValueError('--device=gpu measures TensorFlow in float32; add --precision=float32')
  return table_builder.Setup('gpu', 'float32', None, 1, _BATCH_SIZE.value, flags.FLAGS.rounds)


def _check() -> tuple[network_lib.Network, table_builder.Setup, pathlib.Path, pathlib.Path]:
  command_line.require(flags.FLAGS, 'output')
  output = pathlib.Path(_OUTPUT.value)
  if not output.parent.is_dir():
    raise ValueError(f'--output: there is no folder {str(output.parent)!r}')
  if bool(_CALIBRATION_NETWORKS.value) != bool(_VALIDATION_NETWORKS.value):
    raise ValueError('give both --calibration_networks and --validation_networks, or 0 for both to leave the proof out')
  space = problem_lib.make_space(flags.FLAGS, _CLASSES.value)
  setup = _setup()
  work = pathlib.Path(_WORK_DIR.value) if _WORK_DIR.value else output.with_name(f'{output.stem}_work')
  work.mkdir(parents=True, exist_ok=True)
  return space, setup, work, output


def _report_measurements(measurements: dict) -> None:
  for name, reason in measurements['failed'].items():
    print(f'warning: {name} failed and is left out: {reason}')
  for warning in measurements['warnings']:
    print(f'warning: {warning}')


def _save_proof(proof: validation_lib.Proof, output: pathlib.Path) -> None:
  from tf_proxyless.report.figures import scatter

  path = validation_lib.path_for(output)
  validation_lib.save(proof, path)
  groups = {purpose: [(row.predicted_ms, row.measured_ms) for row in proof.rows if row.purpose == purpose]
            for purpose in ('calibration', 'validation', 'published')}
  picture = path.with_suffix('.png')
  scatter.save(groups, proof.table.name, picture)
  print(f'{validation_lib.describe(proof)}\npicture                {picture}')


def main(argv: list[str]) -> None:
  del argv
  with command_line.user_errors():
    space, setup, work, output = _check()
    lock = locking.take(work)
  stderr_lib.load_tensorflow()
  with lock, command_line.user_errors():
    table, measurements = table_builder.build(space, setup, work)
    _report_measurements(measurements)
    table_lib.save(table, output)  # it is worth something already, should the proof be interrupted
    print(f'table                  {output}: {len(table.entries)} entries, {table.name}')
    missing = table.missing(network_lib.op_signatures(space))
    if missing:
      raise ValueError(f'no proof, since {len(missing)} operations of the space could not be measured: '
                       f'{"; ".join(map(str, missing))}; to measure anew, remove {work / "operations"}')
    if _VALIDATION_NETWORKS.value:
      proof = validation_lib.prove(space, table, setup, work, _CALIBRATION_NETWORKS.value, _VALIDATION_NETWORKS.value, _SEED.value)
      _report_measurements(proof.measurements)
      table_lib.save(proof.table, output)
      _save_proof(proof, output)
    table_builder.forget(work)


if __name__ == '__main__':
  command_line.run(main)
