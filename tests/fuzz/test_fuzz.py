"""Every parser gives a valid object or one error of its own, in one line and in less than a second, whatever the file holds."""

from __future__ import annotations

import math
import os

import hypothesis
from hypothesis import strategies
import pytest

from tests.fuzz import harness
from tests.fuzz import mutations
from tests.fuzz import registry

QUICK, LONG = 2_000, 100_000  # inputs, of all parsers together


def inputs(parser: harness.Parser) -> strategies.SearchStrategy[tuple[int, bytes]]:
  """Which seed, and the mutations of it."""
  programs = strategies.binary(min_size=mutations.STEP, max_size=mutations.STEP * mutations.MAX_STEPS)
  return strategies.tuples(strategies.integers(0, len(parser.seeds()) - 1), programs)


def fuzz(parser: harness.Parser, examples: int, seed: int, tmp_path_factory) -> None:
  """Runs a parser on so many inputs; of a failure Hypothesis shows the smallest input that it finds."""
  folder = tmp_path_factory.mktemp('fuzz')
  seeds = parser.seeds()

  @hypothesis.seed(seed)
  @hypothesis.settings(max_examples=examples, deadline=None, database=None, print_blob=True,
                       suppress_health_check=list(hypothesis.HealthCheck), phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink))
  @hypothesis.given(inputs(parser))
  def run(chosen):
    which, program = chosen
    harness.check(parser, mutations.mutate(parser.form, seeds[which], program), folder)

  run()


def chosen_seed() -> int:
  """That of the long tests: FUZZ_SEED=n gives other inputs."""
  seed = int(os.environ.get('FUZZ_SEED', '0'))
  print(f'FUZZ_SEED={seed}')
  return seed


def share(examples: int, number: int) -> int:
  """How many of all inputs the parser of a number gets."""
  return math.ceil(examples * registry.PARSERS[number].weight / sum(parser.weight for parser in registry.PARSERS))


parsers = pytest.mark.parametrize('number', range(len(registry.PARSERS)), ids=[parser.name for parser in registry.PARSERS])


@parsers
def test_seeds_are_accepted(number, tmp_path):
  parser = registry.PARSERS[number]
  accepted = [harness.check(parser, seed, tmp_path) for seed in parser.seeds()]
  assert any(accepted) != parser.refuses


@parsers
def test_some_inputs(number, tmp_path_factory):
  fuzz(registry.PARSERS[number], share(QUICK, number), 0, tmp_path_factory)


@pytest.mark.long
@parsers
def test_many_inputs(number, tmp_path_factory):
  fuzz(registry.PARSERS[number], share(LONG, number), chosen_seed(), tmp_path_factory)


@parsers
def test_bytes_that_are_no_file_at_all(number, tmp_path):
  parser = registry.PARSERS[number]
  for content in (b'', b'\0', b'\n', b'\xff' * 100, b'{', b'[' * 100_000, b'{"a":' * 100_000, bytes(range(256)) * 400, b'9' * 100_000,
                  b'a' * 300_000, b' ' * 300_000, b'\n' * 100_000, b'PK\x03\x04' + bytes(100), b'x=1 ' * 50_000, b'--' * 100_000):
    harness.check(parser, content, tmp_path)
