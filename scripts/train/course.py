"""How the network is taught: what it sees in each batch, and what its pooled activations must tell.

All losses act behind layers that are thrown away (Bordes et al. 2022, "Guillotine Regularization"): what serves one
loss best is not what serves an unknown task best. Each window is shown twice, behind two sensors drawn at random.

* Labels: a window is compared with the classes of its own set only, so sets need not agree on what a class is.
* Statistics of the window as it was before the sensors: labels alone forget whatever no label needs.
* Contrast of classes: windows of one activity shall point the same way, whoever moved, because codes are compared by
  cosine (Khosla et al. 2020).
* Contrast of windows: what two sensors made of one window shall point the same way, away from all other windows.

The kept weights are an average over the last steps. Then the readout is computed.
"""

from __future__ import annotations

import json
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from scripts.train import network, readout, targets, variations
from scripts.train.draw import Draw
from scripts.train.material import FRONT_END, Lessons, quantised

HIDDEN = 160
"""Width of the layer in front of the labels and contrasts, thrown away with them."""
DIRECTIONS = 64
"""Numbers in which directions are compared."""
PEAK_RATE = 4e-3
AVERAGED_STEPS = 500
"""The weights that are kept are an average over about so many of the last steps; at most over a fifth of all."""
STATISTICS_WEIGHT = 8.0
CLASSES_WEIGHT = 0.3
WINDOWS_WEIGHT = 0.3
TEMPERATURE = 0.2
ROUNDING = 3 / 255
"""Half a step of the pooled activations (0 to 6) in int8: noise of this size is added to them."""
REPORTS = 24
"""How often training reports its figures and saves its state."""
FIGURES = ("cross_entropy", "statistics_mse", "classes_contrast", "windows_contrast", "accuracy")
WHITENED = 20_000
"""Windows whose statistics decide the components."""
_SWING_CHANNELS = slice(8, 12)
"""Those along the swing axis and perpendicular to it. In many windows the axis could as well point the other way."""


class Course:
    """A training that can stop at any report and go on from its file with the same result."""

    def __init__(self, model: tf.keras.Model, lessons: Lessons, *, steps: int, rng: np.random.Generator) -> None:
        self.lessons, self.steps, self._rng = lessons, steps, rng
        self._course = _identity(steps, lessons, rng)
        self._draw = Draw(lessons)
        sample = lessons.windows[np.sort(rng.permutation(len(lessons.windows))[:WHITENED])]
        self._whiten = targets.whitening(targets.statistics(_channels(sample)))
        self._model, trunk = model, network.trunk_of(model)
        self._width = trunk.output.shape[1]
        heads = _heads(self._width, len(lessons.classes))
        self._weights = trunk.trainable_variables + heads.trainable_variables
        self._others = trunk.non_trainable_variables + heads.non_trainable_variables
        self._optimizer = tf.keras.optimizers.AdamW(
            tf.keras.optimizers.schedules.CosineDecay(
                PEAK_RATE / 20, steps, warmup_target=PEAK_RATE, warmup_steps=steps // 20, alpha=0.0
            ),
            weight_decay=1e-4,
            use_ema=True,
            ema_momentum=1 - 1 / max(2, min(AVERAGED_STEPS, steps // 5)),
        )
        self._optimizer.build(self._weights)
        self._done, self._figures, self.seconds = 0, dict[str, float](), 0.0
        classes = tf.constant(lessons.classes)

        def step(
            features: tf.Tensor, aim: tf.Tensor, label: tf.Tensor, group: tf.Tensor, rounding: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            with tf.GradientTape() as tape:
                pooled = trunk(features, training=True)
                pooled += rounding
                logits, of_class, of_window, told = heads(pooled, training=True)
                missed = tf.reduce_mean((told - aim) ** 2)
                logits = tf.where(group[:, None] == classes[None, :], logits, -1e9)
                labelled = tf.cast(label >= 0, tf.float32)
                surprise = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(label, 0), logits)
                surprise = tf.reduce_sum(surprise * labelled) / tf.maximum(tf.reduce_sum(labelled), 1.0)
                known = label >= 0
                rival = known[:, None] & (group[:, None] == group[None, :])
                classes_apart = _contrast(of_class, known[:, None] & (label[:, None] == label[None, :]), rival)
                window = tf.range(tf.shape(label)[0]) % (network.BATCH // 2)
                windows_apart = _contrast(of_window, window[:, None] == window[None, :], tf.ones_like(rival))
                loss = (
                    surprise
                    + STATISTICS_WEIGHT * missed
                    + CLASSES_WEIGHT * classes_apart
                    + WINDOWS_WEIGHT * windows_apart
                )
            gradients = tape.gradient(loss, self._weights)
            self._optimizer.apply_gradients(zip(gradients, self._weights, strict=True))
            right = tf.cast(tf.argmax(logits, axis=1, output_type=tf.int32) == label, tf.float32)
            return (
                surprise,
                missed,
                classes_apart,
                windows_apart,
                tf.reduce_sum(right) / tf.maximum(tf.reduce_sum(labelled), 1.0),
            )

        self._step = tf.function(step)

    def run(self, checkpoint: Path | None = None) -> dict[str, float]:
        """Train to the end and return the last figures; start from `checkpoint` if it exists, and keep it current."""
        lessons, seen = self.lessons, []
        if checkpoint is not None and checkpoint.exists():
            self._resume(checkpoint)
            print(f"  going on after step {self._done}/{self.steps}", flush=True)
        begun, first = time.monotonic() - self.seconds, self._done
        resumed = self.seconds
        report = -(-self.steps // REPORTS)
        while self._done < self.steps:
            rows = self._draw(network.BATCH // 2, self._rng)
            features, aim = self._batch(lessons.windows[rows])
            rounding = (2 * self._rng.random((len(features), self._width), np.float32) - 1) * np.float32(ROUNDING)
            known = (np.tile(part[rows], 2) for part in (lessons.label, lessons.group))
            got = self._step(features, aim, *known, rounding)
            seen.append([float(value) for value in got])
            self._done += 1
            if self._done % report == 0 or self._done == self.steps:
                self._figures = dict(zip(FIGURES, np.mean(seen, axis=0).tolist(), strict=True))
                shown = "  ".join(f"{name} {value:.3f}" for name, value in self._figures.items())
                self.seconds = time.monotonic() - begun
                left = (self.seconds - resumed) / (self._done - first) * (self.steps - self._done)
                print(
                    f"  step {self._done}/{self.steps}  {shown}  {self.seconds:.0f} s, {left:.0f} s to go", flush=True
                )
                seen = []
                if checkpoint is not None:
                    self._save(checkpoint)
        self._optimizer.finalize_variable_values(self._weights)
        for _ in range(network.SETTLING):
            network.settle(self._model, quantised(lessons.windows[self._draw(network.BATCH, self._rng)]))
        readout.compute(self._model, lessons, self._draw, self._rng)
        return {name: round(value, 4) for name, value in self._figures.items()}

    def _batch(self, windows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return features (2 k, 1, 128, 12) of windows (k, 128, 6) and the statistics they must tell (2 k, t)."""
        moved = variations.other_people(windows, self._rng)
        aim = self._whiten(targets.statistics(_channels(moved)))
        seen = np.concatenate([variations.other_sensors(moved, self._rng) for _ in range(2)])
        features = network.features_of(quantised(seen))
        features[self._rng.random(len(features)) < 0.5, :, :, _SWING_CHANNELS] *= -1
        return features, np.tile(aim, (2, 1))

    def _state(self) -> list[tf.Variable]:
        # All randomness of a step comes from the generator, so this and the generator's state are the whole state.
        return [*self._weights, *self._others, *self._optimizer.variables]

    def _save(self, file: Path) -> None:
        text = json.dumps(
            {"generator": self._rng.bit_generator.state, "figures": self._figures, "seconds": self.seconds}
        )
        arrays = {f"v{number}": variable.numpy() for number, variable in enumerate(self._state())}
        whole = file.with_suffix(".part")
        with whole.open("wb") as stream:
            np.savez(stream, course=self._course, done=self._done, text=text, **arrays)
        whole.replace(file)

    def _resume(self, file: Path) -> None:
        state = self._state()
        names = [f"v{number}" for number in range(len(state))]
        try:
            with np.load(file) as stored:
                same = stored["course"].tolist() == self._course
                values = [stored[name] for name in names] if same else []
                done, text = int(stored["done"]), json.loads(str(stored["text"]))
        except (ValueError, KeyError, zipfile.BadZipFile) as error:
            raise SystemExit(
                f"{file}: expected the state of a training, got: {error}; delete it to start again"
            ) from error
        if not same:
            raise SystemExit(
                f"{file}: expected the state of this very training (steps, seed, data, scripts/train), got "
                "another's; delete it to start again"
            )
        for variable, value in zip(state, values, strict=True):
            variable.assign(value)
        self._done, self._rng.bit_generator.state = done, text["generator"]
        self._figures, self.seconds = text["figures"], text["seconds"]


def _identity(steps: int, lessons: Lessons, rng: np.random.Generator) -> list[int]:
    """Return numbers that two runs share only if one can continue the other."""
    whole = (lessons.windows, lessons.label, lessons.classes, lessons.group, lessons.set_index)
    begins_with = json.dumps(rng.bit_generator.state).encode()
    written = [Path(module.__file__ or "") for module in (network, targets, variations)]
    return [
        steps,
        zlib.crc32(begins_with),
        *(zlib.crc32(file.read_bytes()) for file in (Path(__file__), *written)),
        *(zlib.crc32(np.ascontiguousarray(part).data) for part in whole),
    ]


def _channels(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the front end's channels (k, 128, 12) of windows (k, 128, 6) in m/s² and rad/s."""
    features = FRONT_END.apply(windows)[0].transpose(0, 2, 1)
    return FRONT_END.expand(features).transpose(0, 2, 1)


def _heads(width: int, classes: int) -> tf.keras.Model:
    """Return what the losses act on, from pooled activations (k, width); it is thrown away after training.

    The activations to: logits of the classes, directions of a class and of a window, statistics.
    """
    layers = tf.keras.layers
    pooled = tf.keras.Input((width,))
    even = layers.BatchNormalization()(pooled)
    hidden = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Dense(HIDDEN, use_bias=False)(even)))
    told = [layers.Dense(count)(hidden) for count in (classes, DIRECTIONS, DIRECTIONS)]
    # Statistics are read by one linear layer, as the codes will be.
    return tf.keras.Model(pooled, [*told, layers.Dense(targets.COMPONENTS)(even)])


def _contrast(values: tf.Tensor, same: tf.Tensor, rival: tf.Tensor) -> tf.Tensor:
    """Return the loss of finding by cosine, for each row of `values`, those that are the `same` among the `rival`."""
    other = ~tf.eye(tf.shape(values)[0], dtype=tf.bool)
    direction = tf.math.l2_normalize(values, axis=1)
    alike = tf.where(rival & other, tf.matmul(direction, direction, transpose_b=True) / TEMPERATURE, -1e9)
    chance = alike - tf.reduce_logsumexp(alike, axis=1, keepdims=True)
    count = tf.reduce_sum(tf.cast(same & other, tf.float32), axis=1)
    missed = -tf.reduce_sum(tf.where(same & other, chance, 0.0), axis=1) / tf.maximum(count, 1.0)
    paired = tf.cast(count > 0, tf.float32)
    return tf.reduce_sum(missed * paired) / tf.maximum(tf.reduce_sum(paired), 1.0)
