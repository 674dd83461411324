# SPDX-License-Identifier: Apache-2.0
"""Overlays that a wheel of `vitforge package` brought, one folder each; `vitforge_host.installed` finds them."""
