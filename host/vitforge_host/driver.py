# SPDX-License-Identifier: Apache-2.0
"""``VitAccelerator``: images in, logits out, on a board or on the simulated one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitforge_host.accelerator import Accelerator
from vitforge_host.benchmark import Benchmark
from vitforge_host.blob import BlobError, read_blob
from vitforge_host.errors import InputError
from vitforge_host.identity import VIT
from vitforge_host.images import as_batch
from vitforge_host.overlay import pointer_words
from vitforge_host.pair import check_design
from vitforge_host.predictions import Prediction, Predictions, check_k
from vitforge_host.schedule import UNITS
from vitforge_host.slots import BatchSlot


class VitAccelerator(Accelerator):
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
        Most images of one launch; two launches have buffers at a time. Fewer if device memory does not hold them: the
        attribute `batch` tells. More images are split.
    timeout_s : float
        Longest time that one launch may take [s].
    clock_mhz : float, optional
        Run at most at this PL clock [MHz]; the clock of the design is the limit and the default.
    wait : str
        How to wait for a launch: "interrupt", "poll", or "auto", which takes the interrupt if the overlay has one.

    Raises
    ------
    OverlayError, InputError, IdentityError
        If the overlay cannot be loaded, the blob is damaged, or they do not belong together.

    Examples
    --------
    >>> with VitAccelerator("overlay/vitforge.bit", "weights/vitforge.blob") as accelerator:
    ...     digits = accelerator.classify(images)  # (n, H, W, C) uint8 -> (n,) int64
    ...     best = accelerator.top_k(Image.open("cat.jpg"), 5)[0]  # five of index, label, probability

    What a wheel of `vitforge package` brought is opened by name, or without one if it is the only one:

    >>> with VitAccelerator.installed("my-project") as accelerator:
    ...     digits = accelerator.classify(images)
    """

    KERNEL = VIT

    def __init__(
        self,
        bitfile: str | Path,
        blob_path: str | Path,
        device: Any = None,
        batch: int = 64,
        timeout_s: float = 60.0,
        *,
        clock_mhz: float | None = None,
        wait: str = "auto",
    ) -> None:
        self._manifest, content = _read(Path(blob_path))
        check_design(Path(bitfile), str(self._manifest["design_hash"]), self.KERNEL)
        super().__init__(bitfile, device, batch, timeout_s, wait)
        try:
            self._prepare(content, clock_mhz)
        except BaseException:
            self.close()
            raise

    def _prepare(self, content: NDArray[np.uint8], clock_mhz: float | None) -> None:
        pointers = [f"list_{unit}" for unit in UNITS] + [f"blob_{unit}" for unit in UNITS] + ["images", "logits"]
        halves = [f"{name}_{half}" for name in pointers for half in (1, 2)]
        self._find_ip(["n_steps", "n_images", *halves], clock_mhz)
        self._place(self._manifest, content, self._as_memory_allows)
        self._launch(self._slots[0])  # of no images: fills the identity registers only
        self._wait(self._slots[0])
        self._check_identity(str(self._manifest["design_hash"]))

    def _place(
        self,
        manifest: Mapping[str, Any],
        content: NDArray[np.uint8],
        with_batch: Callable[[Callable[[int], list[BatchSlot]]], list[BatchSlot]],
    ) -> None:
        """Put a blob into device memory, with slots for batches as ``with_batch`` says, and make it the one in use."""
        before = list(self._buffers)
        try:
            blob = self._allocate(content.shape, np.uint8)
            blob[:] = content
            blob.flush()
            slots = with_batch(
                lambda batch: [BatchSlot(self._allocate, manifest, batch, self._transferring) for _ in range(2)]
            )
        except BaseException:
            self._free([new for new in self._buffers if all(new is not old for old in before)])
            raise
        self._ip.write_arguments(pointer_words({f"blob_{unit}": blob.device_address for unit in UNITS}))
        self._manifest, self._slots = manifest, slots
        self._free(before)

    # --- use -------------------------------------------------------------------------------------------------------
    def load(self, blob_path: str | Path) -> None:
        """Change the weights for those of another blob of the same overlay: a pruned version of the model, say.

        Raises
        ------
        InputError
            If the blob cannot be read, is damaged, or is of another overlay; the weights stay as they were.
        HostError
            If device memory does not hold both at once; the weights stay as they were.
        ClosedError
            After ``close()`` or a failure.
        """
        manifest, content = _read(Path(blob_path))
        if manifest["design_hash"] != self._manifest["design_hash"]:
            raise InputError(
                f"{blob_path} is for another overlay than the one that is loaded; make it with vitforge blob from the "
                "project of this overlay"
            )
        with self._lock:
            self._check_usable()
            self._place(manifest, content, lambda make: make(self.batch))

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

    def classify(self, images: Any) -> NDArray[np.int64]:
        """Index of the best class of each image, (n,) int64; ``labels`` has the names. Takes what `logits` takes."""
        return self.predict(images).indices

    def top_k(self, images: Any, k: int = 5) -> list[list[Prediction]]:
        """The ``k`` best classes of each image with label and probability, best first; see `predict`."""
        check_k(k, len(self.labels))
        return self.predict(images).top_k(k)

    def predict(self, images: Any) -> Predictions:
        """Logits of images with what makes labels and probabilities of them. Takes and raises what `logits` does.

        Raises InputError for a model without classes too.
        """
        if not self._manifest["num_classes"]:
            raise InputError("the model has no classes; logits(images) gives its features")
        return Predictions(self.logits(images), self.logit_scale, self.labels)

    def __call__(self, images: Any) -> NDArray[np.int32]:
        return self.logits(images)

    def logits(self, images: Any) -> NDArray[np.int32]:
        """Integer logits, (n, classes) int32, in the order of the images; (n, tokens, channels) without classes.

        The host packs the next batch and unpacks the last one while the accelerator runs.

        Parameters
        ----------
        images : array, PIL image, or list of either
            (n, H, W, C) uint8, or a single image (H, W, C); `vitforge_host.images` says how pictures are fitted.

        Raises
        ------
        InputError
            For images of the wrong shape, type or mode; nothing has run.
        AcceleratorTimeout, ResultError
            If a batch does not finish or is incomplete; the accelerator must then be opened again.
        ClosedError
            After ``close()`` or such a failure.
        """
        with self._lock:
            self._check_usable()
            batch = as_batch(images, self.image_shape)
            with self._in_flight():
                return self._run(batch, self.batch)

    def benchmark(self, batches: Sequence[int] = (1, 2, 4, 8, 16, 32, 64), *, launches: int = 10) -> Benchmark:
        """Time of host, transfers and accelerator for launches of each of ``batches`` random images.

        Sizes above `batch` are left out. See `vitforge_host.benchmark.run_benchmark` for what is measured, and raised.
        """
        pixels = np.random.default_rng(0).integers(0, 256, (self.batch, *self.image_shape), dtype=np.uint8)

        def work(size: int, count: int) -> None:
            self._run(np.concatenate([pixels[:size]] * count), size)

        return self._measure(work, batches, launches, "images")

    def _run(self, images: NDArray[np.uint8], size: int) -> NDArray[np.int32]:
        """Results of ``images`` in launches of ``size``."""
        parts = []
        running: BatchSlot | None = None
        for index, start in enumerate(range(0, len(images), size)):
            slot = self._slots[index % 2]
            slot.load(images[start : start + size])
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
        self._require_idle()
        self._ip.write_arguments(slot.arguments)
        self._start()

    def _wait(self, slot: BatchSlot) -> None:
        steps = slot.arguments["n_steps"]
        self._until_done(lambda: (f"{slot.count} images", f"n_steps {steps}, n_images {slot.count}"))


def _read(path: Path) -> tuple[Mapping[str, Any], NDArray[np.uint8]]:
    try:
        blob = read_blob(path.read_bytes())
    except OSError as error:
        raise InputError(f"the weight blob {path} cannot be read: {error.strerror}") from None
    except BlobError as error:
        raise BlobError(f"{path}: {error}") from None
    return blob.manifest, blob.data
