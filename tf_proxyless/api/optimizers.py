"""Architecture optimizers, as settings that `search` builds; an own one is a subclass of `OptimizerConfig` and `ArchitectureOptimizer`."""

from tf_proxyless.search.optimizers.base import ArchitectureOptimizer, OptimizerConfig, Scored
from tf_proxyless.search.optimizers.gumbel import GumbelConfig as Gumbel
from tf_proxyless.search.optimizers.reinforce import ReinforceConfig as Reinforce
from tf_proxyless.search.optimizers.two_path import TwoPathConfig as TwoPath
from tf_proxyless.search.policy import Policy

__all__ = ['ArchitectureOptimizer', 'Gumbel', 'Policy', 'OptimizerConfig', 'Reinforce', 'Scored', 'TwoPath']
