"""Flags of runs: one way to name, write, read and compare them, for every kind of run."""

from absl import flags
import pytest

from tf_proxyless.app import quantize_flags
from tf_proxyless.app import run_flags
from tf_proxyless.app import search_flags
from tf_proxyless.app import train_flags

RUNS = [search_flags.RUN, train_flags.RUN, quantize_flags.RUN]


def define_places(values):
  flags.DEFINE_string('place', None, 'Where.', flag_values=values)


def define_numbers(values):
  flags.DEFINE_integer('steps', 3, 'How many.', flag_values=values)
  flags.DEFINE_float('rate', None, 'How fast.', flag_values=values)
  flags.DEFINE_bool('fast', False, 'Whether.', flag_values=values)


RUN = run_flags.RunFlags({'Places': define_places, 'Numbers': define_numbers}, may_change=('place',))


def test_names_by_heading():
  assert RUN.by_heading() == {'Places': ['place'], 'Numbers': ['steps', 'rate', 'fast']}


def test_a_run_is_the_same_wherever_it_lies():
  first, second = (RUN.from_flagfile([f'--place={place}', '--rate=0.5']) for place in 'ab')
  assert RUN.identity(first) == RUN.identity(second) == {'steps': 3, 'rate': 0.5, 'fast': False}
  assert RUN.identity(RUN.from_flagfile(['--rate=0.25'])) != RUN.identity(first)


def test_flags_of_others_are_not_written():
  values = flags.FlagValues()
  RUN.define(values)
  flags.DEFINE_string('other', 'x', 'Of a main.', flag_values=values)
  values(['main', '--place=here', '--fast'])
  assert RUN.to_flagfile(values) == '--fast\n--place=here\n--steps=3\n'


@pytest.mark.parametrize('lines, message', [(['--rates=1'], 'rates'), (['--steps=x'], '--steps=x')])
def test_lines_that_are_no_flags_of_the_run_are_refused(lines, message):
  with pytest.raises(ValueError, match=f'flags.txt: .*{message}'):
    RUN.from_flagfile(lines)


@pytest.mark.parametrize('run', RUNS)
def test_what_is_written_is_read_back(run):
  values = run.from_flagfile(['--seed=7', '--dataset=folder:a b', '--batch_size=12', ''])
  assert run.identity(run.from_flagfile(run.to_flagfile(values).splitlines())) == run.identity(values)
  assert values.seed == 7 and values.dataset == 'folder:a b'


@pytest.mark.parametrize('run', RUNS)
def test_every_flag_has_one_heading(run):
  values = run.from_flagfile([])
  listed = [name for names in run.by_heading().values() for name in names]
  assert sorted(listed) == run.names(values)
  assert set(run.may_change) < set(listed)
