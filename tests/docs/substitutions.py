"""How each documented command is executed on small data. One table; what no row covers fails the test.

A command runs as it stands, in a folder that looks like a clone, with flags behind its own that make it short. Those that need what no
test machine has (a phone, PyTorch, hours) are executed by other tests, which are named here.
"""

from __future__ import annotations

import dataclasses
import re

# Small, but with networks of such different size that noise cannot reverse their order where this machine is measured.
SMALL_SPACE = ('--resolution=8', '--stem_filters=8', '--stem_strides=1', '--first_block_filters=8', '--stage_filters=8', '--stage_blocks=6',
               '--stage_strides=1', '--head_filters=16')
_SHORT_SEARCH = ('--warmup_epochs=1', '--search_epochs=1', '--frozen_epochs=0', '--weight_steps_per_update=2', '--scored_networks=20')
DIGITS = (*SMALL_SPACE, *_SHORT_SEARCH, '--batch_size=128', '--validation_batch_size=100', '--constraint_gain=1')
IMAGENET = (*_SHORT_SEARCH, '--validation_images=8', '--validation_batch_size=8', '--batch_size=22', '--reinforce_networks=2',
             '--resolution=32', '--stage_blocks=1,1,1,1,1,1', '--stage_filters=8,8,8,8,8,8', '--stem_filters=8', '--first_block_filters=8',
             '--head_filters=16')
_SHORT_MEASUREMENT = ('--rounds=1', '--min_secs=0.01', '--max_drift_percent=1000')
_SMALL_TABLE = (*SMALL_SPACE, *_SHORT_MEASUREMENT, '--calibration_networks=3', '--validation_networks=3')


@dataclasses.dataclass(frozen=True)
class Run:
  """Executes a command.

  Attributes:
    append: Flags put behind its own.
    replace: (old, new) pairs of words in the command.
    refusal: Part of the one line, with exit code 2, that a machine without a GPU may get instead.
  """

  append: tuple[str, ...] = ()
  replace: tuple[tuple[str, str], ...] = ()
  refusal: str | None = None


@dataclasses.dataclass(frozen=True)
class Elsewhere:
  """Another test executes the same main on something small.

  Attributes:
    test: 'path::name'.
  """

  test: str


@dataclasses.dataclass(frozen=True)
class System:
  """Changes the machine or takes a network; checked without doing so, see `test_commands.check_system`."""


# The first pattern that is found in a simple command decides.
TABLE: tuple[tuple[str, Run | Elsewhere | System], ...] = (
    # Installation: .ci/run does it from a fresh environment.
    (r'^sudo apt-get ', System()),
    (r'^pip install ', System()),
    (r'^python3 -m venv \.venv$', Run(append=('--without-pip',))),
    (r'^python3 --version$', Run()),
    (r'^\. \.venv/bin/activate$', Run()),
    (r'^pytest -n 2$', Run(append=('tests/infra/test_serialization.py', '-p', 'no:cacheprovider'))),
    (r'^pytest -m long -n 2 --dist loadfile$',
     Run(append=('tests/infra/test_serialization.py', '-p', 'no:cacheprovider'), replace=(('-m long', "-m 'not long'"),))),
    # The whole way, and what takes a phone, PyTorch or half an hour.
    (r'^python tools/quickstart.py$', Elsewhere('tests/tools/test_quickstart.py::test_the_whole_way')),
    (r'^python tools/specialization_matrix.py ', Elsewhere('tests/tools/test_specialization_matrix.py::test_the_whole_path')),
    (r'^python tools/(build_latency_table|measure).py .*--device=adb ',
     Elsewhere('tests/tools/test_build_table_over_adb.py::test_a_table_of_a_phone')),
    (r'^python -m android_benchmark .*--device=adb ', Elsewhere('tests/android_benchmark/test_main.py')),
    (r'^python tools/import_torch_weights.py ', Elsewhere('tests/torch/test_import_torch_weights.py::test_from_file_to_file')),
    (r'^python tools/benchmark_search_step.py', Elsewhere('tests/tools/test_benchmark_search_step.py')),
    (r'^python tools/benchmark_report.py', Elsewhere('tests/tools/test_benchmark_report.py')),
    # Tables.
    (r'^python tools/build_latency_table.py .*--device=host ', Run(append=_SMALL_TABLE)),
    (r'^python tools/build_latency_table.py .*--device=gpu ', Run(append=_SMALL_TABLE, refusal="TensorFlow has no device '/GPU:0' here")),
    (r'^python tools/(audit|calibrate|convert)_latency_table.py ', Run()),
    # Searches.
    (r'^python (-m tf_proxyless.search|docs/examples/\w+.py) .*--flagfile=quickstart(_gradient)?.flags', Run(append=DIGITS)),
    (r'^python -m tf_proxyless.search .*--flagfile=mobile.flags .*--latency_table=pixel2.json', Run(append=IMAGENET)),
    (r'^python -m tf_proxyless.search .*--flagfile=mobile.flags', Run(append=(*IMAGENET, '--latency_table=pixel1.json'))),
    (r'^python -m tf_proxyless.search .*--flagfile=pixel2_int8.flags',
     Run(append=IMAGENET, replace=(('pixel2_int8.json', 'pixel2.json'),))),
    (r'^python -m tf_proxyless.search .*--dataset=folder:PATH',  # for thousands of images, of which there are 60
     Run(replace=(('folder:PATH', 'folder:photos'),),
         append=(*_SHORT_SEARCH, '--batch_size=16', '--validation_batch_size=4', '--stage_blocks=1,1,1,1,1,1'))),
    (r'^python -m tf_proxyless.search --flagfile=search.flags', Run(append=(*_SHORT_SEARCH, '--stage_blocks=2,1,1'))),
    # Trainings, files, and what is done with them.
    (r'^python -m tf_proxyless.train --evaluate_only ', Run()),
    (r'^python -m tf_proxyless.train --flagfile=train/imagenet(_rmsprop)?.flags',
     Run(append=('--epochs=1', '--batch_size=22', '--resolution=32', '--warmup_epochs=0'))),
    (r'^python -m tf_proxyless.train ', Run(append=('--epochs=1',))),
    (r'^python tools/quantize.py ', Run(append=('--epochs=1', '--calibration_batches=1'))),
    (r'^python tools/export_tflite.py ', Run(append=('--min_agreement=0',))),
    (r'^python tools/measure.py .*--device=host', Run(append=_SHORT_MEASUREMENT)),
    (r'^python tools/tune.py ', Run(append=('--epochs=1',), replace=(('--trials=20', '--trials=2'),))),
    (r'^python tools/(describe|derive|report).py ', Run()),
    (r'^python classify.py ', Run()),
    (r'^python -c ', Run()),
    (r'^cat > \w+.\w+ <<END$', Run()),
    (r'^tensorboard --logdir=', Run(append=('--inspect',))),  # says what it would show, and ends
)


def find(words: str) -> Run | Elsewhere | System | None:
  """The row for a simple command, given with single blanks between its words; None if there is none."""
  return next((row for pattern, row in TABLE if re.search(pattern, words)), None)
