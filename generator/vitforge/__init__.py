# SPDX-License-Identifier: Apache-2.0
"""vitforge turns a trained Vision Transformer into an INT8 FPGA accelerator."""

__version__ = "0.1.0"
