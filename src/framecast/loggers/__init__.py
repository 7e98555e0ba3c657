"""Loggers of trainings: TensorBoard, Weights & Biases, MLflow, trackio, and any that an installed package brings.

A package brings one by an entry point of the group `framecast.loggers`: a class that takes a `LoggedRun` and has the
methods of `Logger`. Loggers are beside the files of a run, which are written whatever becomes of them.
"""

from framecast.loggers.fan_out import Loggers
from framecast.loggers.logger import LoggedRun, Logger
from framecast.loggers.registry import GROUP, check_loggers, list_loggers

__all__ = ["GROUP", "LoggedRun", "Logger", "Loggers", "check_loggers", "list_loggers"]
