import pytest

from android_benchmark import errors
from android_benchmark import output
from tests.android_benchmark import outputs

_2025 = output.Launch(mean_ms=51.9312, median_ms=51.850, p5_ms=51.455, p95_ms=52.710, std_ms=0.421, min_ms=51.402, runs=50)


@pytest.mark.parametrize('text, expected', [
    (outputs.TF_1_13, output.Launch(mean_ms=137.722)),
    (outputs.TF_1_14, output.Launch(mean_ms=79.7609, std_ms=0.812, min_ms=78.955, runs=50)),
    (outputs.TF_2_4, output.Launch(mean_ms=249.684, std_ms=1.442, min_ms=247.067, runs=50)),
    (outputs.TF_2_7, output.Launch(3490.117, 3490.117, 3490.117, 3490.117, 0, 3490.117, 1)),
    (outputs.TF_2_10, output.Launch(mean_ms=14.0119, std_ms=0.402, min_ms=13.513, runs=71)),
    (outputs.LITERT_2025, _2025),
    (outputs.ALL_THE_SAME, output.Launch(0.012, 0.012, 0.012, 0.012, 0, 0.012, 4)),
    (outputs.COMPILED_MODEL, output.Launch(4.61161, 4.607, 4.594, 4.650, 0.021, 4.590, 217)),
    (outputs.PROFILED, _2025),
    (outputs.LITERT_2025.replace('\n', '\r\n'), _2025),
], ids=['1.13', '1.14', '2.4', '2.7', '2.10', '2025', 'all the same', 'CompiledModel', 'profiled', 'carriage returns'])
def test_every_era_is_read(text, expected):
  launch = output.parse(text)
  for name in ('mean_ms', 'median_ms', 'p5_ms', 'p95_ms', 'std_ms', 'min_ms', 'runs'):
    value = getattr(expected, name)
    assert getattr(launch, name) == (value if value is None else pytest.approx(value, rel=1e-12)), name


@pytest.mark.parametrize('length', range(0, len(outputs.LITERT_2025) - 12, 7))
def test_a_truncated_output_has_no_latency(length):
  """Up to the last characters of the last number, of which 51931.2 may lose one digit and stay equal in six digits."""
  with pytest.raises(errors.BenchmarkError):
    output.parse(outputs.LITERT_2025[:length])


def test_a_lost_line_does_not_make_the_warm_up_the_result():
  lines = [line for line in outputs.LITERT_2025.splitlines() if 'count=50' not in line]
  with pytest.raises(errors.BenchmarkError, match='58147.4 us, and the summary says 51931.2 us'):
    output.parse('\n'.join(lines))


@pytest.mark.parametrize('old, new, message', [
    ('count=50 first=51803', 'count=0 first=51803', 'count=0'),
    ('avg=51931.2', 'avg=-nan', 'not a time'),
    ('avg=51931.2', 'avg=5193 1.2', 'contradict|summary says'),
    ('min=51402', 'min=52402', 'contradict'),
    ('p95=52710', 'p95=50', 'contradict'),
    ('std=421', 'st=421', 'not a line of statistics'),
    ('Inference (avg): 51931.2', 'Inference (avg): fast', 'not a number'),
    ('Inference (avg): 51931.2', 'Inference', 'no average'),
])
def test_a_result_that_contradicts_itself_is_refused(old, new, message):
  assert old in outputs.LITERT_2025
  with pytest.raises(errors.BenchmarkError, match=message):
    output.parse(outputs.LITERT_2025.replace(old, new))


def test_two_results_are_not_one():
  with pytest.raises(errors.BenchmarkError, match='2 results'):
    output.parse(outputs.LITERT_2025 * 2)
