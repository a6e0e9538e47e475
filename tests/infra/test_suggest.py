"""Suggestions for mistyped names."""

import pytest

from tf_proxyless.infra import suggest

FLAGS = ('target_latency_ms', 'target_latency_fraction', 'target_macs', 'warmup_learning_rate', 'search_learning_rate', 'seed', 'run_dir')


@pytest.mark.parametrize('word, expected', [
    ('SEED', ['seed']), ('run-dir', ['run_dir']), ('targte_macs', ['target_macs']), ('zzz', []), ('', []),
    ('learning_rate', ['warmup_learning_rate', 'search_learning_rate'])])
def test_closest(word, expected):
  assert suggest.closest(word, FLAGS) == expected


def test_hint():
  names = ['gradient', 'pixel1', 'pixel2']
  assert [suggest.hint(word, names) for word in ('gradiant', 'pixel', 'quartz')] == [
      "; did you mean 'gradient'?", "; did you mean 'pixel2' or 'pixel1'?", '']
