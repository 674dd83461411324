# SPDX-License-Identifier: Apache-2.0
"""From a `Design` to HLS sources: contexts (numbers), templates (text), writer (files)."""
