"""What is said about masks that cannot be read: what they hold, and which options could be meant."""
from collections.abc import Iterable, Mapping
from typing import Any

from src.data.class_values import OTHER, colour_text, unpack_colour
from src.data.mask_pixels import Colour, MaskOptions, MaskPixels, ReadableMask
from src.model_utils.errors import UNetError, first_few

MOST_SHOWN = 8      # values in a message


def no_class(mask: ReadableMask, seen: Mapping[int, int], options: MaskOptions) -> UNetError:
    """Return the error of a mask that holds something without a class.

    Args:
        mask (ReadableMask): the mask.
        seen (dict): value -> pixels of all masks that were looked at.
        options (MaskOptions): what the options say about masks.
    """
    pixels = mask.pixels
    what = "colours" if pixels.is_colour else "values"
    found = f"{pixels.where}: mask {what} {shares(mask.counts, pixels.is_colour)} found"
    if pixels.is_lossy and (options.named or options.num_classes > 2):
        return UNetError(f"{pixels.where}: a JPEG file, whose compression changes class numbers; save the masks as PNG")
    named = options.named
    if named:
        of_value = (lambda value: named.of_colour(unpack_colour(value))) if pixels.is_colour else named.of_number
        missing = [text(value, pixels.is_colour) for value in mask.counts if of_value(value) is None]
        line = ""
        if pixels.is_colour and not named.colours:
            line = f", such as {_advice({**seen, **mask.counts}, pixels, options)[0]}"
        return UNetError(f"{found}; {named.source} has no class for {first_few(missing, MOST_SHOWN)}: name it there"
                         f"{line}, or give it as ignore_index")
    expected = (f"num_classes is {options.num_classes}, so masks hold class numbers 0 to {options.num_classes - 1}"
                if options.num_classes > 2 else
                "masks of two classes hold 0 and 1, 0 and 255, or the numbers of objects")
    values = {**seen, **mask.counts}
    return UNetError(f"{found}; {expected}. Set what is meant: {'; or '.join(_advice(values, pixels, options))}")


def _advice(values: Mapping[int, int], pixels: MaskPixels, options: MaskOptions) -> list[str]:
    """Return the settings that could be meant for masks of these values."""
    count = len(values)
    # The background is black or the first number; of colours, the others follow by their size.
    order = sorted(values, key=lambda value: (value != 0, -values[value] if pixels.is_colour else value))
    line = ", ".join(f'"{text(value, True)}"' if pixels.is_colour else str(value) for value in order[:MOST_SHOWN])
    advice = [f"class_values: [{line}{', ...' if count > MOST_SHOWN else ''}]"
              + (f" with num_classes: {count}" if count != options.num_classes else "")]
    if pixels.is_colour:
        return advice
    known = {0, 1, 255} if options.num_classes == 2 else set(range(options.num_classes))
    beyond = [value for value in order if value not in known] or [255]
    small = [value for value in order if value != 255]
    if 1 in known & values.keys() and 255 in values and 2 < len(small) <= MOST_SHOWN and 255 not in beyond:
        advice.append(f"class_values: {small} with num_classes: {len(small)} and ignore_index: 255")
    elif len(beyond) == 1 and beyond[0] in values:
        advice.append(f"ignore_index: {beyond[0]}")
    if options.num_classes == 2:
        advice.append(f"class_values: [{order[0]}, {OTHER}]")
    elif 0 <= min(values) <= max(values) < 32:
        advice.append(f"num_classes: {max(values) + 1}")
    return advice


def colours_among_grays(mask: MaskPixels) -> UNetError:
    """Return the error of a mask whose palette has colours where those of other masks have grays."""
    return UNetError(f"{mask.where}: a palette of colours, where other masks have grays; say which colour is which "
                     f"class, such as class_values: [{_colour_list(mask.used_colours().values())}]")


def palettes_differ(mask: MaskPixels, number: int, known: Colour, where: str) -> UNetError:
    """Return the error of a mask in whose palette a number has another colour than ``known``, that of ``where``."""
    used = mask.used_colours()
    return UNetError(f"{mask.where} and {where} have different palettes: number {number} is "
                     f"{colour_text(used[number])} in the one and {colour_text(known)} in the other; say which colour "
                     f"is which class, such as class_values: [{_colour_list([*used.values(), known])}]")


def _colour_list(colours: Iterable[Colour]) -> str:
    ordered = sorted(dict.fromkeys(colours), key=lambda colour: colour != (0, 0, 0))
    return ", ".join(f'"{colour_text(colour)}"' for colour in ordered[:MOST_SHOWN])


def shares(counts: Mapping[int, int], is_colour: bool = False) -> str:
    """Name the most frequent values and their shares of the pixels: "0 (70.1%), 255 (29.9%)"."""
    total = max(1, sum(counts.values()))
    common = sorted(counts, key=lambda value: -counts[value])[:MOST_SHOWN]
    shown = ", ".join(f"{text(value, is_colour)} ({counts[value] / total:.1%})" for value in sorted(common))
    return shown + (f" and {len(counts) - MOST_SHOWN} others" if len(counts) > MOST_SHOWN else "")


def text(value: int, is_colour: bool) -> Any:
    """Return a value for a message: a number as it is, a packed colour as "#ff0000"."""
    return colour_text(unpack_colour(value)) if is_colour else str(value)
