"""Predictors of accuracy: fitted to networks that were trained, they say how accurate others will be; one file each."""
