"""Checkpoints of a run, kept by orbax: a run that was killed goes on from the last one and ends in the same bits.

What is kept is the loop's whole memory and what `renew` made of the method's constants; all else is computed again from
the problem. A checkpoint of other data, another start or another method is refused before any step. Orbax gives a
checkpoint its name when it is whole; one that is not, or cannot be read, is named in a warning, and the one before it
is used.

Guarded by `tests/training/loop/test_checkpoints.py`.
"""

from __future__ import annotations

import hashlib
import pathlib
import time
import warnings
from typing import Any

import jax
import numpy as np

from jaxsoftmax.support.errors import WrongValue

EVERY_SECONDS = 30.0  # between two of them, at least
KEPT = 2
_UNFINISHED = "*.orbax-checkpoint-tmp*"


def digest(*trees: Any) -> str:
    """SHA-256 of the numbers of all leaves, with their shapes and dtypes, and of what holds them: kinds and flags."""
    found = hashlib.sha256(str(jax.tree.structure(trees)).encode())
    for leaf in jax.tree.leaves(trees):
        array = np.ascontiguousarray(_plain(leaf))
        found.update(f"{array.dtype} {array.shape} ".encode())
        found.update(array.view(np.uint8).data if array.size else b"")
    return found.hexdigest()


class Checkpoints:
    """The checkpoints of one run in one folder.

    Attributes:
        folder: absolute; made where it is not there.
        identity: what makes two runs the same one, text by what it is; compared before a checkpoint is used.
    """

    def __init__(self, folder: Any, identity: dict[str, str]) -> None:
        try:
            import orbax.checkpoint as orbax
        except ImportError as error:
            raise ImportError("checkpoints: needs orbax. Run: pip install 'jaxsoftmax[checkpoints]'") from error
        try:
            self.folder = pathlib.Path(folder).expanduser().absolute()
            self.folder.mkdir(parents=True, exist_ok=True)
        except (OSError, TypeError, ValueError) as error:
            remedy = "name a folder that can be written"
            raise WrongValue("checkpoints", f"got {folder!r}: {error}", remedy) from None
        self.identity = identity
        self._args, self._last = orbax.args, time.perf_counter()
        self._cut = sorted(path.name for path in self.folder.glob(_UNFINISHED))  # orbax removes them
        options = orbax.CheckpointManagerOptions(max_to_keep=KEPT, enable_async_checkpointing=False)
        self._manager = orbax.CheckpointManager(self.folder, options=options)

    def save(self, step: int, state: Any, notes: Any) -> None:
        """Keep `state`, a pytree of arrays, and `notes`, JSON, where the last checkpoint is old enough."""
        now = time.perf_counter()
        if now - self._last < EVERY_SECONDS or step in self._manager.all_steps():
            return
        arrays = {f"{i:04d}": np.asarray(_plain(leaf)) for i, leaf in enumerate(jax.tree.leaves(state))}
        about = {"identity": self.identity, "notes": notes}
        args = self._args.Composite(arrays=self._args.StandardSave(arrays), about=self._args.JsonSave(about))
        self._manager.save(step, args=args, force=True)
        self._last = time.perf_counter()

    def load(self, like: Any) -> tuple[Any, Any] | None:
        """(state, notes) of the newest checkpoint that can be read, its arrays placed as those of `like`; None: none.

        Raises:
            WrongValue: it is another run's.
        """
        if self._cut:
            self._warn(f"{', '.join(self._cut)} was cut off while it was written and is not used")
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                about = self._manager.restore(step, args=self._args.Composite(about=self._args.JsonRestore()))["about"]
                self._refuse_others(step, about["identity"])
                restore = self._args.Composite(arrays=self._args.StandardRestore())
                arrays = self._manager.restore(step, args=restore)["arrays"]
                leaves, shape = jax.tree.flatten(like)
                found = [_placed(arrays[f"{i:04d}"], leaf) for i, leaf in enumerate(leaves)]
                return jax.tree.unflatten(shape, found), about["notes"]
            except WrongValue:
                raise
            except Exception as error:  # whatever a damaged file makes orbax raise
                reason = str(error).strip().partition("\n")[0][:200]
                self._warn(f"step {step} cannot be read and is not used ({type(error).__name__}: {reason})")
        return None

    def close(self) -> None:
        """Let go of the folder."""
        self._manager.close()

    def _refuse_others(self, step: int, identity: dict[str, str]) -> None:
        other = [name for name, text in self.identity.items() if identity.get(name) != text]
        if other:
            given = f"step {step} in {self.folder} is of a run with other {', '.join(other)}"
            raise WrongValue("checkpoints", given, "name an empty folder, or give what that run was given")

    def _warn(self, what: str) -> None:
        # The caller of `fit`, four calls up: by way of `load` and `run`.
        warnings.warn(f"checkpoints: in {self.folder} {what}", UserWarning, stacklevel=5)


def _plain(leaf: Any) -> Any:
    """Random keys as their integers."""
    if isinstance(leaf, jax.Array) and jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.random.key_data(leaf)
    return np.asarray(leaf)


def _placed(array: Any, like: Any) -> Any:
    """An array read back in the place of `like`, whose shape and dtype it has."""
    keys = _plain(like)
    if np.shape(array) != keys.shape or np.dtype(array.dtype) != np.dtype(keys.dtype):
        raise ValueError(f"an array of shape {np.shape(array)} and dtype {array.dtype} in the place of {keys.shape}")
    if keys is not like and isinstance(like, jax.Array) and like.dtype != keys.dtype:
        return jax.random.wrap_key_data(array, impl=jax.random.key_impl(like))
    return jax.device_put(array, like.sharding) if isinstance(like, jax.Array) else np.asarray(array)
