import pytest

from android_benchmark import benchmark_model
from android_benchmark import errors
from tests.android_benchmark import outputs

_BUILTIN = benchmark_model.Settings(kernels='builtin')
_XNNPACK = benchmark_model.Settings(kernels='xnnpack')


def test_the_flags_say_everything_that_has_a_default_that_moved():
  settings = benchmark_model.Settings(threads=2, num_runs=30, min_secs=0.5, warmup_secs=0.25)
  assert benchmark_model.arguments(settings) == (
      '--num_threads=2', '--use_xnnpack=false', '--num_runs=30', '--min_secs=0.5', '--warmup_runs=1', '--warmup_min_secs=0.25')
  assert '--use_xnnpack=true' in benchmark_model.arguments(_XNNPACK)


@pytest.mark.parametrize('prelude', [outputs.XNNPACK_COMPLETE, outputs.XNNPACK_PARTIAL, outputs.XNNPACK_2_3])
def test_xnnpack_must_have_been_applied_when_asked_for_and_only_then(prelude):
  assert benchmark_model.read(0, prelude + outputs.LITERT_2025, _XNNPACK).median_ms == 51.850
  with pytest.raises(errors.BenchmarkError, match='although the builtin kernels were asked for'):
    benchmark_model.read(0, prelude + outputs.LITERT_2025, _BUILTIN)


@pytest.mark.parametrize('prelude', ['', outputs.XNNPACK_REFUSED, outputs.XNNPACK_REFUSED + outputs.XNNPACK_COMPLETE])
def test_a_delegate_that_silently_does_not_apply_is_an_error(prelude):
  with pytest.raises(errors.BenchmarkError, match='XNNPACK was not applied'):
    benchmark_model.read(0, prelude + outputs.LITERT_2025, _XNNPACK)


def test_builtin_kernels_need_a_tool_that_has_them():
  assert benchmark_model.read(0, outputs.LITERT_2025, _BUILTIN).median_ms == 51.850
  with pytest.raises(errors.BenchmarkError, match='although the builtin kernels'):
    benchmark_model.read(0, outputs.XNNPACK_BY_DEFAULT + outputs.LITERT_2025, _BUILTIN)
  with pytest.raises(errors.BenchmarkError, match='CompiledModel'):
    benchmark_model.read(0, outputs.COMPILED_MODEL, _BUILTIN)


def test_a_flag_that_was_not_consumed_is_an_error():
  with pytest.raises(errors.BenchmarkError, match='does not know --use_xnnpack=false'):
    benchmark_model.read(0, outputs.UNCONSUMED + outputs.LITERT_2025, _BUILTIN)


@pytest.mark.parametrize('exit_code, text, message', [
    (1, outputs.FAILED, r'exit code 1: .*Node number 57 \(BATCH_MATMUL\) failed to prepare.; ERROR: Failed to allocate tensors!$'),
    (0, outputs.FAILED + outputs.LITERT_2025, '^Benchmarking failed: .*BATCH_MATMUL'),
    (124, '', 'did not end within 60 s'),
    (134, 'F0000 00:00 check failed\n', 'killed by SIGABRT: F0000 00:00 check failed'),
    (137, '', 'killed by SIGKILL, as for want of memory'),
    (139, outputs.LITERT_2025, 'killed by SIGSEGV'),
    (143, '', 'did not end within 60 s'),
    (126, 'sh: ./benchmark_model: not executable: 64-bit ELF file', 'exit code 126: sh: ./benchmark_model: not executable'),
    (255, '', 'exit code 255'),
])
def test_a_failed_launch_says_how(exit_code, text, message):
  with pytest.raises(errors.BenchmarkError, match=message):
    benchmark_model.read(exit_code, text, _BUILTIN)
