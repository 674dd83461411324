# SPDX-License-Identifier: Apache-2.0
"""Pruning of float models: by magnitude or given masks in numpy, by a significance probe and fine-tuning in PyTorch."""
