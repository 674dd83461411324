# SPDX-License-Identifier: Apache-2.0
"""``VitAccelerator``: images in, logits out, on a board or on the simulated one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge_host.blob import BlobError, read_blob
from vitforge_host.clocks import set_at_most
from vitforge_host.errors import AcceleratorTimeout, ClosedError, HostError, InputError
from vitforge_host.identity import REGISTERS, check_identity
from vitforge_host.overlay import AcceleratorIp, load_overlay
from vitforge_host.schedule import UNITS
from vitforge_host.slots import BatchSlot

START, DONE, IDLE = 1 << 0, 1 << 1, 1 << 2
_PAUSE_S = 0.0005  # between polls
_LOG = logging.getLogger(__name__)
_ABANDONED: list[Any] = []  # buffers that an accelerator which never finished may still write to


class VitAccelerator:
    """A Vision Transformer accelerator with its weights loaded.

    Parameters
    ----------
    bitfile : str or Path
        Overlay; its `.hwh` lies beside it.
    blob_path : str or Path
        Weight blob of the same generated project.
    device : pynq.Device, optional
        Default: pynq's active device.
    batch : int
        Most images of one launch; two launches have buffers at a time.
    timeout_s : float
        Longest time that one launch may take [s].
    clock_mhz : float, optional
        Run at most at this PL clock [MHz]; the clock of the design is the limit and the default.

    Raises
    ------
    OverlayError, InputError, IdentityError
        If the overlay cannot be loaded, the blob is damaged, or they do not belong together.

    Examples
    --------
    >>> with VitAccelerator("overlay/vitforge.bit", "weights/vitforge.blob") as accelerator:
    ...     digits = accelerator.classify(images)  # (n, H, W, C) uint8 -> (n,) int64
    """

    def __init__(
        self,
        bitfile: str | Path,
        blob_path: str | Path,
        device: Any = None,
        batch: int = 64,
        timeout_s: float = 60.0,
        *,
        clock_mhz: float | None = None,
    ) -> None:
        if isinstance(batch, bool) or not isinstance(batch, (int, np.integer)) or batch < 1:
            raise InputError(f"batch is {batch!r}; it must be a whole number of at least 1")
        if not timeout_s > 0:
            raise InputError(f"timeout_s is {timeout_s!r}; it must be positive")
        self.batch = int(batch)
        self.timeout_s = float(timeout_s)
        self._lock = threading.Lock()
        self._unusable = ""  # why, once it is
        self._buffers: list[Any] = []
        self._manifest, content = _read(Path(blob_path))
        self._overlay = load_overlay(bitfile, device)
        try:
            self._prepare(content, clock_mhz)
        except BaseException:
            self.close()
            raise

    def _prepare(self, content: NDArray[np.uint8], clock_mhz: float | None) -> None:
        self._ip = AcceleratorIp(self._overlay)
        pointers = [f"list_{unit}" for unit in UNITS] + [f"blob_{unit}" for unit in UNITS] + ["images", "logits"]
        halves = [f"{name}_{half}" for name in pointers for half in (1, 2)]
        self._ip.require(["CTRL", "n_steps", "n_images", *halves, *REGISTERS, *(f"{name}_ctrl" for name in REGISTERS)])
        self.clock_mhz = self._set_clock(clock_mhz)
        blob = self._allocate(content.shape, np.uint8)
        blob[:] = content
        blob.flush()
        for unit in UNITS:
            self._ip.write_pointer(f"blob_{unit}", blob.device_address)
        self._slots = [BatchSlot(self._allocate, self._manifest, self.batch) for _ in range(2)]
        self._launch(self._slots[0])  # of no images: fills the identity registers only
        self._wait(self._slots[0])
        check_identity({name: self._ip.read_output(name) for name in REGISTERS}, str(self._manifest["design_hash"]))

    # --- use -------------------------------------------------------------------------------------------------------
    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the images it takes."""
        patch = self._manifest["patch"]
        return int(patch["height"]), int(patch["width"]), int(patch["channels"])

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(self._manifest["labels"])

    @property
    def logit_scale(self) -> float:
        """Value of one step of a logit."""
        return float(self._manifest["logit_scale"])

    def classify(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Index of the best class of each image, (n, H, W, C) uint8 -> (n,) int64; ``labels`` has the names."""
        return self.logits(images).argmax(axis=1).astype(np.int64)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.int32]:
        return self.logits(images)

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Integer logits, (n, H, W, C) uint8 -> (n, classes) int32, in the order of the images.

        The host packs the next batch and unpacks the last one while the accelerator runs.

        Raises
        ------
        InputError
            For images of the wrong shape or type; nothing has run.
        AcceleratorTimeout, ResultError
            If a batch does not finish or is incomplete; the accelerator must then be opened again.
        ClosedError
            After ``close()`` or such a failure.
        """
        with self._lock:
            self._check_usable()
            self._check_images(images)
            try:
                return self._run(images)
            except HostError as error:
                self._unusable = f"failed before ({error})"
                raise
            except BaseException:  # an interrupt from the keyboard, say: leave no batch in flight
                self._drain()
                raise

    def _run(self, images: NDArray[np.uint8]) -> NDArray[np.int32]:
        parts = []
        running: BatchSlot | None = None
        for index, start in enumerate(range(0, len(images), self.batch)):
            slot = self._slots[index % 2]
            slot.load(images[start : start + self.batch])
            if running is not None:
                self._wait(running)
            self._launch(slot)
            if running is not None:
                parts.append(running.collect())
            running = slot
        assert running is not None  # images are not empty
        self._wait(running)
        parts.append(running.collect())
        return np.concatenate(parts)

    # --- one launch ------------------------------------------------------------------------------------------------
    def _launch(self, slot: BatchSlot) -> None:
        if not self._ip.read("CTRL") & IDLE:  # reading also clears a done flag left over
            raise HostError(f"{self._ip.name} is busy although nothing was started; open the accelerator again")
        for name, address in slot.pointers().items():
            self._ip.write_pointer(name, address)
        self._ip.write("n_steps", slot.steps)
        self._ip.write("n_images", slot.count)
        self._ip.write("CTRL", START)

    def _wait(self, slot: BatchSlot) -> None:
        started = time.monotonic()
        while True:
            control = self._ip.read("CTRL")
            if control & DONE:
                return
            if time.monotonic() - started > self.timeout_s:
                raise AcceleratorTimeout(self._diagnosis(slot, control, time.monotonic() - started))
            time.sleep(_PAUSE_S)

    def _diagnosis(self, slot: BatchSlot, control: int, elapsed: float) -> str:
        state = "idle" if control & IDLE else "running"
        advice = (
            "the start was not taken or AP_DONE was read by someone else; use only one driver on an IP"
            if control & IDLE
            else "raise timeout_s if the batch is that long, else check that overlay and blob are of one project and "
            "that the PL clock runs, and open the accelerator again to reload the overlay"
        )
        return (
            f"{self._ip.name} did not finish {slot.count} images in {elapsed:.2f} s: CTRL 0x{control:02x} ({state}), "
            f"n_steps {slot.steps}, n_images {slot.count}, clock {self.clock_mhz:g} MHz; {advice}"
        )

    def _drain(self) -> None:
        deadline = time.monotonic() + self.timeout_s
        while not self._idle():
            if time.monotonic() > deadline:
                self._unusable = "was interrupted and did not come to an end"
                return
            time.sleep(_PAUSE_S)

    def _idle(self) -> bool:
        try:
            return bool(self._ip.read("CTRL") & IDLE)
        except HostError:  # the simulated board reports a fault this way; its run has ended
            return True

    # --- checks ----------------------------------------------------------------------------------------------------
    def _check_usable(self) -> None:
        if self._unusable:
            raise ClosedError(f"the accelerator {self._unusable}; open it again with VitAccelerator(...)")
        if not self._overlay.is_loaded():
            raise ClosedError("another overlay was loaded since; open the accelerator again with VitAccelerator(...)")

    def _check_images(self, images: object) -> None:
        expected = "(n, {}, {}, {}) uint8".format(*self.image_shape)
        if not isinstance(images, np.ndarray):
            raise InputError(f"images are of type {type(images).__name__}; expected a numpy array {expected}")
        got = f"{images.shape} {images.dtype}"
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != self.image_shape:
            raise InputError(f"images are {got}; expected {expected}")
        if len(images) == 0:
            raise InputError(f"images are {got}, which is none; expected {expected} with n at least 1")

    # --- setup and end ---------------------------------------------------------------------------------------------
    def _allocate(self, shape: Any, dtype: Any) -> Any:
        from pynq import allocate

        try:
            buffer = allocate(shape, dtype, target=self._overlay.device)
        except (RuntimeError, MemoryError) as error:
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            raise HostError(f"no device memory for {size} bytes ({error}); free buffers or lower batch") from error
        self._buffers.append(buffer)
        return buffer

    def _set_clock(self, wanted_mhz: float | None) -> float:
        limit = self._ip.clock_mhz
        if wanted_mhz is not None and limit is not None and wanted_mhz > limit:
            raise InputError(f"clock_mhz is {wanted_mhz:g}; the design was built for at most {limit:g} MHz")
        target = wanted_mhz if wanted_mhz is not None else limit
        if target is not None:
            return set_at_most(target)
        from pynq import Clocks

        return float(Clocks.fclk0_mhz)

    def close(self) -> None:
        """Give all device memory back; harmless when repeated."""
        if self._unusable == "is closed":
            return
        self._unusable = "is closed"
        buffers, self._buffers = self._buffers, []
        if buffers and not self._idle():
            _ABANDONED.extend(buffers)
            _LOG.warning("the accelerator still runs, so its buffers stay allocated until this process ends")
            return
        for buffer in buffers:
            buffer.freebuffer()

    def __enter__(self) -> VitAccelerator:
        self._check_usable()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read(path: Path) -> tuple[Mapping[str, Any], NDArray[np.uint8]]:
    try:
        blob = read_blob(path.read_bytes())
    except OSError as error:
        raise InputError(f"the weight blob {path} cannot be read: {error.strerror}") from None
    except BlobError as error:
        raise BlobError(f"{path}: {error}") from None
    return blob.manifest, blob.data
