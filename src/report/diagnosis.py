"""What may be the reason for a poor score, from numbers of the run. A sentence without a number is not said."""
from collections.abc import Sequence
from dataclasses import dataclass, field

POOR = 0.7              # a best score below it is poor; all metrics end at 1
MOST_SENTENCES = 3
FALLEN = 0.02           # by which the last score is below the best one
RISING = 0.01           # by which the score rose in the last quarter of the run
FEW_TRAIN, FEW_VALID = 20, 5
TINY = 3.0              # pixels; the diameter of objects that a network hardly sees
LEAST_EVALUATIONS = 3


@dataclass(frozen=True)
class RunFacts:
    """What is known at the end of a run.

    Attributes:
        metric: name of the metric that chooses the best evaluation.
        scores: its values, with the steps after which they were found, in the order of the steps.
        losses: training losses, with their steps.
        ended_early: whether early_stop_patience ended the run.
        classes: names of the classes.
        confusion: pixels of the last evaluation, row = class of the label, column = predicted class; empty for none.
        differing: a line for each channel whose numbers differ between training and validation images.
        train, valid: number of images.
        diameter: median diameter of the objects in pixels of the network's input; None if it is not known.
    """
    metric: str
    scores: list[tuple[float, float]]
    losses: list[tuple[float, float]]
    ended_early: bool = False
    classes: Sequence[str] = ()
    confusion: list[list[int]] = field(default_factory=list)
    differing: Sequence[str] = ()
    train: int = 0
    valid: int = 0
    diameter: float | None = None


def needs_diagnosis(best: float, ended_early: bool) -> bool:
    """Return whether a run ended early, or its best score is poor."""
    return ended_early or best < POOR


def diagnose(facts: RunFacts) -> list[str]:
    """Return up to three sentences about a run; see ``needs_diagnosis`` for whether it needs them."""
    found = [*_never_predicted(facts), *_falling(facts), *facts.differing, *_tiny(facts), *_few(facts),
             *_few_for_classes(facts), *_still_rising(facts)]
    return [f"{sentence[0].upper()}{sentence[1:]}." for sentence in found[:MOST_SENTENCES]]


def _never_predicted(facts: RunFacts) -> list[str]:
    missing = [(name, sum(row)) for number, (name, row) in enumerate(zip(facts.classes, facts.confusion))
               if sum(row) and not sum(other[number] for other in facts.confusion)]
    total = max(1, sum(map(sum, facts.confusion)))
    if not missing:
        return []
    named = ", ".join(f"{name} ({pixels / total:.2%} of the labels)" for name, pixels in missing[:3])
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return [f"the last evaluation predicts no pixel of {named}{more}; train longer, or raise foreground_patches or "
            f"class_weights"]


def _falling(facts: RunFacts) -> list[str]:
    if len(facts.scores) < LEAST_EVALUATIONS or not facts.losses:
        return []
    step, best = max(facts.scores, key=lambda score: score[1])
    last_step, last = facts.scores[-1]
    then = min(facts.losses, key=lambda loss: abs(loss[0] - step))[1]
    now = facts.losses[-1][1]
    if best - last < FALLEN or now >= then:
        return []
    return [f"{facts.metric} on the validation images was best after step {step:.0f} ({best:.3f}) and is {last:.3f} "
            f"after step {last_step:.0f}, while the training loss fell from {then:.3g} to {now:.3g}: the network "
            f"learns the training images by heart; more images or more augmentation help"]


def _tiny(facts: RunFacts) -> list[str]:
    if facts.diameter is None or facts.diameter >= TINY:
        return []
    return [f"half of the objects are less than {facts.diameter:.1f} pixels wide as the network sees them; train on "
            f"larger images, such as with image_size native"]


def _few(facts: RunFacts) -> list[str]:
    if facts.train >= FEW_TRAIN and facts.valid >= FEW_VALID:
        return []
    return [f"{facts.train} images train and {facts.valid} validate, so the score depends on which ones they are; "
            f"train_folds.py uses each of them for both"]


def _few_for_classes(facts: RunFacts) -> list[str]:
    objects = max(1, len(facts.classes) - 1)
    if facts.train < FEW_TRAIN or facts.train >= FEW_TRAIN * objects:
        return []
    return [f"{facts.train} images train {objects} classes besides the background, {facts.train / objects:.1f} for "
            f"each; more images or fewer classes help"]


def _still_rising(facts: RunFacts) -> list[str]:
    last_step, last = facts.scores[-1]
    before = [value for step, value in facts.scores if step <= 0.75 * last_step]
    if not before or last < max(value for _, value in facts.scores) or last - max(before) < RISING:
        return []
    return [f"{facts.metric} still rose by {last - max(before):.3f} in the last quarter of the run; train longer"]
