"""Every command of README.md and docs/*.md: that its flags are as they should be, and (long) that it does what it says on small data."""

from __future__ import annotations

import collections
import importlib.metadata
import json
import os
import pathlib
import re
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

from tests.docs import commands
from tests.docs import substitutions

ROOT = commands.ROOT
COMMANDS = commands.read_all()


def python_words(words):
  """What stands after the interpreter if a command starts one of our mains, else None."""
  if words[0] != 'python' or words[1] == '-c' or (words[1].endswith('.py') and not words[1].startswith(('tools/', 'docs/examples/'))):
    return None
  return words[1:]


def test_there_are_commands_in_every_place():
  counts = collections.Counter(command.document for command in COMMANDS)
  assert sum(counts.values()) >= 60
  assert {'README.md', 'install.md', 'quickstart.md', 'your_dataset.md', 'measuring.md', 'deploy.md', 'compare_methods.md', 'extend.md',
          'report.md'} <= set(counts)


def test_no_command_hides_in_another_block():
  """A line that starts python stands in a bash block, or behind '$' in something printed."""
  for path in commands.DOCUMENTS:
    inside = {number for command in commands.read(path) for number in range(command.line, command.line + command.text.count('\n') + 1)}
    for number, line in enumerate(path.read_text(encoding='utf-8').split('\n'), 1):
      assert number in inside or not re.match(r' *(python3?|pip|pytest|adb|sudo) [-\w]', line), f'{path.name}:{number}: {line}'


@pytest.mark.parametrize('command', COMMANDS, ids=str)
def test_a_row_covers_it(command):
  for words in command.simple:
    assert substitutions.find(' '.join(words)) is not None, f'{command}: no row of tests/docs/substitutions.py covers {" ".join(words)}'


def test_every_row_is_used():
  used = {id(substitutions.find(' '.join(words))) for command in COMMANDS for words in command.simple}
  assert [pattern for pattern, row in substitutions.TABLE if id(row) not in used] == []


def test_what_is_executed_elsewhere_is_there():
  for row in (row for _, row in substitutions.TABLE if isinstance(row, substitutions.Elsewhere)):
    path, *name = row.test.split('::')
    content = (ROOT / path).read_text(encoding='utf-8')
    assert not name or f'def {name[0]}(' in content


def test_flags_are_known_and_values_accepted(tmp_path):
  """All mains parse what is written, with the checks that they make before anything else; nothing runs."""
  for command in COMMANDS:  # flagfiles that a reader writes
    if command.text.startswith('cat > ') and '.flags' in command.text.split('\n')[0]:
      subprocess.run(['bash', '-c', command.text], cwd=tmp_path, check=True)
  for folder in ('runs/tuning', 'PATH', 'photos'):
    (tmp_path / folder).mkdir(parents=True)
  (tmp_path / 'runs/tuning/best.flags').write_text('--learning_rate=0.1\n')
  asked = [(command, words) for command in COMMANDS for words in map(python_words, command.simple) if words is not None]
  result = subprocess.run([sys.executable, '-m', 'tests.docs.parse_commands'], input=json.dumps([words for _, words in asked]),
                          capture_output=True, text=True, cwd=tmp_path, env={**os.environ, 'PYTHONPATH': str(ROOT)}, timeout=300)
  assert result.returncode == 0, result.stderr[-3000:]
  problems = [f'{command}: {problem}' for (command, _), problem in zip(asked, json.loads(result.stdout), strict=True) if problem]
  assert problems == []


def test_a_wrong_flag_would_be_noticed():
  given = [['-m', 'tf_proxyless.search', '--dataset=digits', '--run_dir=x', '--target_macs=1e6', '--warmup_epoch=1'],
           ['tools/derive.py', '--by=luck'], ['-m', 'android_benchmark', '--phone=x'],
           ['tools/tune.py', '--job=train', '--run_dir=x', '--', '--epoch=3'], ['tools/describe.py', '--architecture=x']]
  result = subprocess.run([sys.executable, '-m', 'tests.docs.parse_commands'], input=json.dumps(given), capture_output=True,
                          text=True, env={**os.environ, 'PYTHONPATH': str(ROOT)}, timeout=300)
  assert [problem is not None for problem in json.loads(result.stdout)] == [True, True, True, True, False]


def check_system(words):
  """A command that changes the machine: its packages are ones that the project asks for."""
  if words[0] == 'pip':
    extra = re.fullmatch(r'\.(?:\[(\w+)\])?', words[-1])
    assert words[1:3] == ['install', '-e'] and extra, words
    assert extra[1] is None or extra[1] in importlib.metadata.metadata('tf_proxyless').get_all('Provides-Extra')
  else:
    assert words[:2] == ['sudo', 'apt-get'] and words[2] in ('update', 'install'), words
    asked = (ROOT / '.ci/run').read_text(encoding='utf-8')
    always = {'git', 'python3', 'python3-pip'}
    assert all(word in asked for word in words[3:] if word != '-y' and word not in always), words


@pytest.mark.parametrize('command', [c for c in COMMANDS if any(isinstance(substitutions.find(' '.join(words)), substitutions.System)
                                                               for words in c.simple)], ids=str)
def test_what_changes_the_machine(command):
  for words in command.simple:
    if isinstance(substitutions.find(' '.join(words)), substitutions.System):
      check_system(words)


# Long: every command is executed, in the order of reading, in one folder.


def make_photos(folder):
  """60 JPEG images of three classes, from what scikit-learn brings along."""
  from sklearn import datasets

  rng = np.random.default_rng(0)
  for name, image in zip(('temple', 'flower'), datasets.load_sample_images().images):
    (folder / name).mkdir(parents=True)
    for i in range(20):
      side = int(rng.integers(150, 400))
      top, left = (int(rng.integers(0, size - side)) for size in image.shape[:2])
      Image.fromarray(image[top:top + side, left:left + side]).resize((120, 120)).save(folder / name / f'{i:02}.jpg')
  (folder / 'digit').mkdir()
  for i, image in enumerate(datasets.load_digits().images[:20]):
    Image.fromarray((15 * image).astype(np.uint8)).resize((120, 120)).convert('RGB').save(folder / 'digit' / f'{i:02}.jpg')


def make_table(path, device, precision, arguments, classes):
  """A table for the space of these flags, from 20 to 150 ms."""
  from tf_proxyless.cost import counting
  from tf_proxyless.cost import model as model_lib
  from tf_proxyless.cost import table as table_lib
  from tf_proxyless.app import problem as problem_lib
  from tf_proxyless.app import search_flags
  from tf_proxyless.space import network

  space = problem_lib.make_space(search_flags.RUN.from_flagfile(arguments), classes)
  entries = tuple(table_lib.Entry(signature, table_lib.LatencyStats('measured', median_ms=1e-4 * counting.count(signature).macs))
                  for signature in network.op_signatures(space))
  runtime = table_lib.Runtime(device, precision, 'builtin')
  table = table_lib.LatencyTable(path.stem, runtime, entries)
  model = model_lib.from_latency_table(space, table)
  scale = 130 / (model.largest - model.smallest)
  calibration = table_lib.Calibration(scale, 20 - scale * model.smallest)
  table_lib.save(table_lib.LatencyTable(path.stem, runtime, entries, calibration=calibration), path)


@pytest.fixture(scope='module')
def clone(tmp_path_factory, imagenet_data_dir):
  """A folder that looks like a clone, with what a reader is told to have."""
  folder = tmp_path_factory.mktemp('clone')
  for name in ('README.md', 'setup.py', 'pyproject.toml', 'tf_proxyless', 'android_benchmark', 'tools', 'docs', 'configs', 'tests'):
    (folder / name).symlink_to(ROOT / name)
  (folder / 'DIR').symlink_to(imagenet_data_dir)
  make_photos(folder / 'photos')
  imagenet = substitutions.IMAGENET
  make_table(folder / 'pixel2.json', 'Pixel 2', 'int8', imagenet, 1000)
  make_table(folder / 'pixel1.json', 'Pixel 1', 'float32', imagenet, 1000)
  make_table(folder / 'phone.json', 'Phone', 'int8',
             ('--resolution=64', '--stem_filters=16', '--first_block_filters=16', '--stage_filters=16,32,64', '--stage_blocks=2,1,1',
              '--stage_strides=2,2,2', '--head_filters=128'), 3)
  (folder / 'measurements.json').write_text(json.dumps({
      'schema': 'android_benchmark/measurements', 'version': 1, 'device': {'model': 'Pixel 2'},
      'settings': {'kernels': 'builtin', 'threads': 1},
      'models': {name: {'median_ms': ms} for name, ms in (('proxyless_mobile', 55.0), ('proxyless_gpu', 70.0),
                                                          ('proxyless_mobile_14', 95.0))}}))
  execute(folder, 'python -m tf_proxyless.search --flagfile=quickstart.flags --run_dir=runs/quickstart/search '
          + ' '.join(substitutions.DIGITS))  # the quickstart's own run is that of another test
  execute(folder, 'python -m tf_proxyless.train --flagfile=train/digits.flags --architecture=runs/quickstart/search/architecture.json '
          '--run_dir=runs/quickstart/found/float --epochs=1')
  execute(folder, 'python tools/export_tflite.py --model=runs/quickstart/found/float --output=runs/quickstart/found/model.tflite '
          '--min_agreement=0')
  return folder


def execute(folder, script, refusal=None):
  """Runs a command with the programs of the environment that runs the tests, and a home directory of its own."""
  programs = pathlib.Path(sys.executable).parent
  environment = {**os.environ, 'HOME': str(folder), 'PYTHONPATH': str(ROOT), 'PATH': f'{programs}:{os.environ["PATH"]}'}
  result = subprocess.run(['bash', '-c', script], cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
  if refusal is not None and result.returncode == 2:
    assert result.stderr.startswith('error: ') and refusal in result.stderr and result.stderr.count('\n') == 1, result.stderr
    return
  assert result.returncode == 0, f'{script}\n{result.stdout[-1500:]}\n{result.stderr[-2500:]}'


def short(text, row):
  """A command as the table changes it."""
  for pattern, replacement in row.replace:
    assert pattern in text, (pattern, text)
    text = text.replace(pattern, replacement)
  return ' '.join([text, *row.append])


_executed: set[str] = set()


@pytest.mark.long
@pytest.mark.parametrize('command', COMMANDS, ids=str)
def test_it_runs(command, clone):
  """A command that was executed already, as the same words, is not executed again."""
  if command.text.startswith('cat > '):
    execute(clone, command.text)
    return
  text = command.text
  if loop := re.match(r'for (\w+) in (\S+).*; do\n(.*)\ndone$', text, re.DOTALL):
    text = loop[3].replace(f'${loop[1]}', loop[2])
  for script in (part.strip() for line in commands.joined(text) for part in line.split(' && ')):
    row = substitutions.find(' '.join(script.split()))
    if not isinstance(row, substitutions.Run):
      continue
    script = short(script.split('  #')[0], row)
    if script in _executed:
      continue
    execute(clone, script, row.refusal)
    _executed.add(script)
