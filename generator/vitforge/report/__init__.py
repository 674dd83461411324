# SPDX-License-Identifier: Apache-2.0
"""What was predicted of a project beside what the vendor tools reported."""
