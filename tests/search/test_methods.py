"""Optimizers and objectives by name have the defaults of their own configurations, and serve each other as the table says."""

import pytest

from tf_proxyless.app import build_search
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import options
from tf_proxyless.app.commands import search
from tf_proxyless.search import objectives
from tf_proxyless.search.optimizers import gumbel
from tf_proxyless.search.optimizers import reinforce
from tf_proxyless.search.optimizers import two_path

OPTIMIZERS = {'reinforce': reinforce.ReinforceConfig(), 'gradient': two_path.TwoPathConfig(), 'gumbel': gumbel.GumbelConfig(),
              'straight_through': gumbel.GumbelConfig(straight_through=True)}
OBJECTIVES = {'constrained': objectives.ConstrainedConfig(), 'reward_power': objectives.RewardPowerConfig(),
              'reward_absolute': objectives.RewardAbsoluteConfig(), 'penalty_log': objectives.PenaltyLogConfig(),
              'penalty_linear': objectives.PenaltyLinearConfig()}


def configured(optimizer, objective):
  config = options.make(config_lib.SearchConfig, {'architecture_optimizer': optimizer, 'objective': objective})
  return build_search.Methods.from_config(config)


@pytest.mark.parametrize('optimizer', OPTIMIZERS)
@pytest.mark.parametrize('objective', OBJECTIVES)
def test_defaults_and_pairs(optimizer, objective):
  if optimizer in config_lib.OBJECTIVES[objective]:
    assert configured(optimizer, objective) == build_search.Methods(OPTIMIZERS[optimizer], OBJECTIVES[objective])
  else:
    with pytest.raises(ValueError, match='Config learns from a .*, .*Config is for a '):
      configured(optimizer, objective)


@pytest.mark.parametrize('likely, expected, text', [
    (10.4, 10.0, ''), (12.0, 10.0, ' (+20 %: choices are still spread, the target holds on average)'), (5.0, 5.2, ' (-50 %)')])
def test_a_search_says_why_its_most_likely_network_is_off_the_target(likely, expected, text):
  assert search._off_target(likely, expected, 10.0) == text


def test_every_name_is_known():
  assert set(OBJECTIVES) == set(config_lib.OBJECTIVES)


def test_the_constraint_takes_its_scale_from_the_optimizer_unless_it_is_set():
  made = OBJECTIVES['constrained'].build(10.0, 1.0, two_path.TwoPathConfig.SCALE, 10_000)
  assert (made._scale, made._rate) == (3.0, 0.003)
  made = objectives.ConstrainedConfig(0.5, 0.1, 2.0).build(10.0, 1.0, two_path.TwoPathConfig.SCALE, 10_000)
  assert (made._proportional, made._rate, made._scale) == (0.5, 0.1, 2.0)
