"""Designers for `ask_tell`; an own one is any object with the two methods of `Designer`."""

from tf_proxyless.search.designers.base import Designer
from tf_proxyless.search.designers.bayesian import Bayesian
from tf_proxyless.search.designers.evolution import Evolution
from tf_proxyless.search.designers.genetic import Genetic
from tf_proxyless.search.designers.local_search import LocalSearch
from tf_proxyless.search.designers.random import draw, Random

__all__ = ['Bayesian', 'Designer', 'Evolution', 'Genetic', 'LocalSearch', 'Random', 'draw']
