"""Predictors of accuracy, fitted to networks that were trained; an own one is any class like `Predictor`."""

from tf_proxyless.search.predictors.base import cross_validate, HeldOut, Predictor, Scores
from tf_proxyless.search.predictors.file import load, save
from tf_proxyless.search.predictors.gaussian_process import GaussianProcess
from tf_proxyless.search.predictors.mlps import MLPs

__all__ = ['GaussianProcess', 'HeldOut', 'MLPs', 'Predictor', 'Scores', 'cross_validate', 'load', 'save']
