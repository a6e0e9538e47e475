import math
import random
import statistics

import pytest

from android_benchmark import benchmark_model
from android_benchmark import output
from android_benchmark import protocol
from android_benchmark import summary


def _launch(samples):
  ordered = sorted(samples)
  return output.Launch(statistics.fmean(samples), statistics.median(samples), ordered[0], ordered[-1], statistics.pstdev(samples),
                       ordered[0], len(samples))


def test_mean_and_deviation_are_those_of_all_runs_together():
  rng = random.Random(0)
  runs = [[rng.gauss(level, 0.1) for _ in range(count)] for level, count in ((1.0, 20), (1.2, 50), (0.9, 7))]
  figures = summary.statistics_of([(number, _launch(samples)) for number, samples in enumerate(runs)])
  together = sum(runs, [])
  assert figures['mean_ms'] == pytest.approx(statistics.fmean(together), rel=1e-12)
  assert figures['std_ms'] == pytest.approx(statistics.pstdev(together), rel=1e-12)
  assert figures['runs'] == 77
  assert figures['min_ms'] == min(together)


def test_medians_and_percentiles_are_medians_over_launches():
  launches = [output.Launch(9, median, p5, p95, 0.1, p5, 10) for median, p5, p95 in ((1, 0.5, 4), (3, 0.7, 5), (2, 0.6, 9))]
  figures = summary.statistics_of(list(enumerate(launches)))
  assert (figures['median_ms'], figures['p5_ms'], figures['p95_ms']) == (2, 0.6, 5)
  assert [launch['round'] for launch in figures['launches']] == [0, 1, 2]


def test_what_an_old_tool_does_not_print_is_not_invented():
  figures = summary.statistics_of([(0, output.Launch(mean_ms=2)), (1, output.Launch(mean_ms=4)), (2, output.Launch(mean_ms=3))])
  assert figures['median_ms'] == figures['mean_ms'] == 3
  assert [figures[name] for name in ('p5_ms', 'p95_ms', 'std_ms', 'min_ms', 'runs')] == [None] * 5


def _records(readings, failed=()):
  launch = output.Launch(2.0, 2.0, 2.0, 2.0, 0.0, 2.0, 10)
  return [protocol.Record(number, 0, 'a', pair, {model: launch for model in ('a', 'b') if model not in failed},
                          dict.fromkeys(failed, 'crash'), {}, 'then', 2.5, {'battery_percent': 80}) for number, pair in enumerate(readings)]


def _summarize(records, rounds, **more):
  plan = protocol.Plan(('a', 'b'), ('a', 'b'), rounds=rounds, max_repeats=0, **more)
  return summary.summarize(plan, records, benchmark_model.Settings(), {'a': '1', 'b': '2'}, 'began', 'ended')


def test_drift_of_the_reference_is_stated_and_warned_of():
  measured = _summarize(_records([(1.0, 1.0), (1.0, 1.1), (1.0, 1.0)]), 3)
  assert measured['reference']['drift_percent'] == pytest.approx(10)
  assert measured['reference']['readings_ms'] == [1.0, 1.0, 1.0, 1.1, 1.0, 1.0]
  assert measured['reference']['median_ms'] == 1.0
  assert 'in 1 of 3 blocks the reference drifted by more than 3 %' in measured['warnings'][0]
  assert _summarize(_records([(1.0, 1.0), (1.0, 1.02)]), 2)['warnings'] == []


def test_repeats_are_counted_and_both_drifts_stated():
  records = _records([(1.0, 1.5), (1.0, 1.0)])
  repeat = protocol.Record(**{**vars(records[0]), 'readings_ms': (1.0, 1.02)})
  measured = _summarize([*records, repeat], 2)
  assert measured['reference']['drift_percent'] == pytest.approx(2)
  assert measured['reference']['drift_before_repeats_percent'] == pytest.approx(50)
  assert measured['reference']['repeated_blocks'] == 1
  assert measured['seconds'] == 7.5
  assert len(measured['health']) == 3
  assert [launch['round'] for launch in measured['models']['b']['launches']] == [0, 1]


def test_other_work_on_a_shared_machine_does_not_move_what_counts():
  records = _records([(1.0, 1.0)] * 3)
  slowed = [output.Launch(3.0, 3.1, 2.9, 4.0, 0.5, 2.8, 10), output.Launch(2.2, 2.6, 2.01, 4.0, 0.5, 1.9, 10),
            output.Launch(5.0)]  # no percentiles printed
  for record, launch in zip(records, slowed):
    record.launches['b'] = launch
  measured = _summarize(records, 3, fastest_counts=True)
  assert measured['models']['a']['undisturbed_ms'] == 2.0
  assert (measured['models']['b']['undisturbed_ms'], measured['models']['b']['median_ms']) == (2.01, 3.1)
  assert 'undisturbed_ms' not in _summarize(records, 3)['models']['b']  # a phone's clock is what is held there


def test_on_a_shared_machine_one_launch_of_each_model_without_drift_is_enough():
  records = _records([(1.4, 1.0), (1.0, 1.01), (1.3, 1.3)])
  measured = _summarize(records, 3, fastest_counts=True)
  assert (measured['warnings'], measured['reference']['median_ms']) == ([], pytest.approx(1.155))
  assert measured['reference']['drift_percent'] == pytest.approx(1)
  del records[1].launches['b']
  measured = _summarize(records, 3, fastest_counts=True)
  said, = measured['warnings']
  assert said == '1 of 2 models were launched only while the reference took over 3 % longer than its fastest, up to 30.0 %'
  assert measured['reference']['drift_percent'] == pytest.approx(30)


def test_failed_models_have_a_reason_and_no_figures():
  measured = _summarize(_records([(1.0, 1.0)], failed=('b',)), 1)
  assert list(measured['models']) == ['a']
  assert measured['failed'] == {'b': 'crash'}
  assert math.isfinite(measured['models']['a']['median_ms'])
