# SPDX-License-Identifier: Apache-2.0
"""The models of all IPs of an overlay, connected as its simulation manifest says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vitforge_host.errors import OverlayError
from vitforge_host.overlay import AXI_DMA
from vitforge_host.sim.address import RegisterFile, RegisterModel
from vitforge_host.sim.axi_dma import AxiDma
from vitforge_host.sim.control import Surroundings
from vitforge_host.sim.hls_ip import HlsIP
from vitforge_host.sim.interrupts import AxiIntc
from vitforge_host.sim.kernel import KernelFunction, StreamFunction
from vitforge_host.sim.manifest import IpSpec, SimManifest
from vitforge_host.sim.stream import Stream
from vitforge_host.sim.stream_ip import StreamIP


def build_models(
    manifest: SimManifest,
    ip_dict: Mapping[str, Mapping[str, Any]],
    around: Surroundings,
    controllers: Mapping[str, AxiIntc],
) -> dict[str, RegisterModel]:
    """One model for each IP of ``ip_dict``: its csim library, an AXI DMA, its interrupt controller, or plain registers.

    Raises OverlayError if the manifest names IPs or connections that the overlay does not have.
    """
    unknown = sorted(set(manifest.ip) - set(ip_dict))
    if unknown:
        raise OverlayError(f"the simulation manifest names {unknown[0]}, but the .hwh has {sorted(ip_dict)}")
    outward: dict[str, Stream] = {}
    inward: dict[str, Stream] = {}
    for source, sink in manifest.streams:
        for name, taken in ((source, outward), (sink, inward)):
            if name in taken or not _has_streams(manifest.ip.get(name), ip_dict.get(name, {})):
                raise OverlayError(
                    f"the simulation manifest has a stream {source} to {sink} that {name} has no port for"
                )
        outward[source] = inward[sink] = Stream()
    return {
        name: controllers.get(name)
        or _model(name, manifest.ip.get(name), entry, around, outward.get(name), inward.get(name))
        for name, entry in ip_dict.items()
    }


def _has_streams(spec: IpSpec | None, entry: Mapping[str, Any]) -> bool:
    return spec.stream is not None if spec else _is_dma(entry)


def _is_dma(entry: Mapping[str, Any]) -> bool:
    return str(entry.get("type")).startswith(f"{AXI_DMA}:")


def _model(
    name: str,
    spec: IpSpec | None,
    entry: Mapping[str, Any],
    around: Surroundings,
    outward: Stream | None,
    inward: Stream | None,
) -> RegisterModel:
    if spec is None:
        return AxiDma(name, entry["parameters"], around, outward, inward) if _is_dma(entry) else RegisterFile()
    if spec.stream is None:
        return HlsIP(spec, KernelFunction(spec), around)
    if outward is None or inward is None:
        raise OverlayError(f"the simulation manifest connects {name} to no stream on one side")
    return StreamIP(spec, StreamFunction(spec), around, inward, outward)
