"""What is suggested for mistyped names."""

import pytest

from tf_proxyless.infra import suggest

FLAGS = ('target_latency_ms', 'target_latency_fraction', 'target_macs', 'warmup_learning_rate', 'search_learning_rate', 'seed', 'run_dir')


@pytest.mark.parametrize('word, expected', [
    ('sed', ['seed']),
    ('SEED', ['seed']),
    ('run-dir', ['run_dir']),
    ('rundir', ['run_dir']),
    ('targte_macs', ['target_macs']),
    ('learning_rate', ['search_learning_rate', 'warmup_learning_rate']),
    ('latency', ['target_latency_ms', 'target_latency_fraction']),
    ('random_seed', ['seed']),
    ('zzz', []),
    ('', []),
])
def test_closest(word, expected):
  assert sorted(suggest.closest(word, FLAGS)) == sorted(expected)


def test_the_likeliest_comes_first():
  assert suggest.closest('target_latency', FLAGS)[0] == 'target_latency_ms'
  assert suggest.closest('target_mac', FLAGS)[0] == 'target_macs'


@pytest.mark.parametrize('word, expected', [
    ('gradiant', "; did you mean 'gradient'?"),
    ('pixel', "; did you mean 'pixel2' or 'pixel1'?"),
    ('quartz', ''),
])
def test_hint(word, expected):
  assert suggest.hint(word, ['gradient', 'pixel1', 'pixel2']) == expected


def test_either():
  assert [suggest.either('abc'[:count]) for count in (1, 2, 3)] == ['a', 'a or b', 'a, b or c']
