"""The training loop: alternating steps of any game's two sides."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from .. import checkpoint as files
from ..games import Game, Losses
from ..games.game import seeded
from .history import History, Recorder
from .run import Run
from .settings import Settings, automatic_precision, resolve_device, threads_for


def train(
    game: Game,
    data: Any,
    *,
    steps: int | None = None,
    until: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    device: str | torch.device | None = None,
    precision: str | None = None,
    lr: float | tuple[float, float] | None = None,
    betas: tuple[float, float] | None = None,
    d_steps: int | None = None,
    ema: float | None = None,
    schedule: str | None = None,
    snapshot_every: int | None = None,
    save_every: int = 1000,
    progress: bool = True,
) -> History:
    """Train a game: ``d_steps`` discriminator steps, one generator step, and again.

    Each side has its own Adam optimizer (Kingma and Ba, 2015), fused where the device
    allows. Fakes are drawn without a graph for the discriminator's step, and anew for
    the generator's. On the CPU a resumed run equals an unbroken one bit for bit. At the
    end the discriminator's batch norms are given the statistics of as many real as
    generated batches, for ``game.realness``.

    Args:
        game: the game; it is moved to the device and stays there, in training mode.
        data: an ``ImageData`` or a point mixture of the game's shape.
        steps: steps to make, on top of those already made.
        until: number of steps to reach in all, in place of ``steps``; where they are
            made already, nothing happens.
        batch_size: real samples a discriminator step (64).
        seed: seed of data order, noise and dropout (0).
        checkpoint: folder for checkpoints; one is written every ``save_every`` steps,
            at the end, and when the run is interrupted.
        resume: go on from the checkpoint. Settings that are not given are then those
            of the run that wrote it. Without one, training starts from the beginning.
        device: ``"cpu"``, ``"cuda"``, ``"mps"``; by default the best there is.
        precision: ``"float32"`` or ``"bfloat16"`` (autocast); by default bfloat16 for
            image games on a GPU that has it.
        lr: learning rate (2e-4), or a pair (discriminator's, generator's).
        betas: Adam's decay rates (0.5, 0.999), as in Radford et al. (2016).
        d_steps: discriminator steps per generator step (1), each on a new batch.
        ema: decay of an average of the generator, which ``sample`` then uses; shorter
            memory in the first steps. None keeps no average.
        schedule: ``"constant"``, or ``"linear"`` or ``"cosine"`` to zero at the end.
        snapshot_every: steps between snapshots, samples from one seed: 512 points or
            64 images.
        save_every: steps between checkpoints.
        progress: whether to show a progress bar.

    Returns:
        The history of the run, from its first step.

    Raises:
        ValueError: if the settings or the data do not fit.
        FileExistsError: if ``checkpoint`` holds a run and ``resume`` is not set.
        NonFiniteLossError: if a loss becomes infinite or not a number.
        KeyboardInterrupt: on Ctrl-C, after the present step is finished and saved.
    """
    device = resolve_device(device)
    lr_pair = lr if isinstance(lr, tuple | list) else (lr, lr)
    given = {
        "batch_size": batch_size,
        "seed": seed,
        "precision": precision,
        "lr_discriminator": lr_pair[0],
        "lr_generator": lr_pair[1],
        "betas": betas,
        "d_steps": d_steps,
        "ema": ema,
        "schedule": schedule,
        "snapshot_every": snapshot_every,
    }
    found = _find(checkpoint, resume)
    recorded = found[1]["settings"] if found else {}
    if "precision" not in recorded:
        recorded = recorded | {"precision": automatic_precision(device, game)}
    settings = Settings.merge(given, recorded)
    if tuple(data.shape) != game.shape:
        raise ValueError(
            f"the game was built for samples of shape {game.shape}, the data have "
            f"{tuple(data.shape)}; build the game from these data"
        )

    game.to(device).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    run = Run(game, data, settings, device)
    with seeded(settings.seed, device), _threads(threads_for(game)):
        if found:
            run.restore(*found)
        total = _total(run.done, steps, until)
        bar = tqdm(
            total=total,
            initial=run.done,
            disable=not progress,
            unit="step",
            mininterval=1,
        )
        with bar, _finish_step_on_interrupt() as interrupted:
            _play(run, total, checkpoint, save_every, bar, interrupted)
    return run.history


def _play(
    run: Run,
    total: int,
    checkpoint: str | Path | None,
    save_every: int,
    bar: tqdm,
    interrupted: threading.Event,
) -> None:
    recorder = Recorder()
    # On an accelerator losses are read back seldom: each reading waits for the device.
    every = 1 if run.device.type == "cpu" else 50
    clock = time.perf_counter()

    def settle() -> None:
        """Bring the history up to the present step, and so check every loss."""
        nonlocal clock
        run.history.extend(recorder.flush(last_step=run.done))
        now = time.perf_counter()
        run.history.seconds += now - clock
        clock = now

    run.take_snapshot_if_due()
    saved = run.done
    while run.done < total and not interrupted.is_set():
        recorder.add(*_step(run, run.settings.rate(run.done, total)))
        run.done += 1
        run.history.samples_seen += run.settings.batch_size * run.settings.d_steps
        if run.done % every == 0 or run.done == total:
            settle()
        bar.update()
        run.take_snapshot_if_due()
        if checkpoint and run.done % save_every == 0 and run.done < total:
            settle()
            run.balance_judge()
            run.save(checkpoint)
            saved = run.done
    settle()
    if saved < run.done:
        run.balance_judge()
    if checkpoint and (saved < run.done or not files.exists(checkpoint)):
        run.save(checkpoint)
    if interrupted.is_set():
        kept = f"saved in {checkpoint}" if checkpoint else "not saved (no checkpoint=)"
        raise KeyboardInterrupt(f"training stopped after step {run.done}, {kept}")


def _step(run: Run, rate: float) -> tuple[Losses, Losses]:
    """Make one step of each side and return their losses."""
    game, settings = run.game, run.settings
    for _ in range(settings.d_steps):
        real = next(run.stream)
        with run.autocast():
            with torch.no_grad():
                fake = game.draw(real)
            d_losses = game.discriminator_loss(real, fake)
        run.update("discriminator", d_losses, settings.lr_discriminator * rate)
    with run.autocast(), _frozen(game.discriminator):
        fake = game.draw(real)
        g_losses = game.generator_loss(real, fake)
    run.update("generator", g_losses, settings.lr_generator * rate)
    game.step += 1
    if settings.ema is not None:
        # The first steps count for little: a longer memory would keep the initial
        # weights in the average.
        game.update_average(min(settings.ema, (1 + run.done) / (10 + run.done)))
    return d_losses, g_losses


def _find(checkpoint: str | Path | None, resume: bool) -> tuple | None:
    """Return the checkpoint to go on from, or None for a new run."""
    if checkpoint is None:
        if resume:
            raise ValueError("resume=True needs checkpoint=..., the run to go on with")
        return None
    if not files.exists(checkpoint):
        return None
    if not resume:
        raise FileExistsError(
            f"{checkpoint} holds a run already; pass resume=True to go on with it, or "
            "name another folder"
        )
    return files.read(checkpoint)


def _total(done: int, steps: int | None, until: int | None) -> int:
    """Return the number of steps at which to stop."""
    if steps is not None and until is None:
        amount = steps
    elif until is not None and steps is None:
        amount = until
    else:
        raise ValueError("give either steps= (so many more) or until= (so many in all)")
    if amount < 0:
        raise ValueError(f"the number of steps must not be negative, got {amount}")
    return done + amount if until is None else max(until, done)


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Leave out gradients of ``module``'s weights; those of its inputs stay."""
    weights = [weight for weight in module.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _finish_step_on_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event, so that no step is left half done."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked  # only the main thread receives signals
        return
    before = signal.getsignal(signal.SIGINT)

    def note(*_: Any) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
