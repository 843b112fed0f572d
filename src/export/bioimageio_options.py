"""What a package of bioimage.io needs of the options and of the network. Without MindSpore."""
import re
from contextlib import suppress
from typing import Any

from src.model_utils.config import Config
from src.model_utils.errors import UNetError
from src.networks.receptive_field import ReceptiveField

# In the option citation. A full stop or comma after them belongs to the sentence.
DOI, ADDRESS = r"10\.\d{4,}/\S*[^\s.,;]", r"https?://\S*[^\s.,;]"


def check_options(config: Config, fixed_size: tuple[int, int] | None, field: ReceptiveField) -> None:
    """Check that the package can be made, before the network is exported.

    Args:
        config: uses license, authors, citation and batch_size.
        fixed_size: (height, width) of the images that the file takes; None if they are free.
        field: the receptive field.

    Raises:
        UNetError: bioimageio.spec is missing, or an option is not as the package needs it.
    """
    try:
        from bioimageio.spec.model import v0_5
    except ImportError:
        raise UNetError("file_format BIOIMAGEIO needs bioimageio.spec; pip install bioimageio.core") from None
    for name, example in (("license", "CC-BY-4.0"), ("authors", '"[Ada Lovelace]"')):
        if not getattr(config, name):
            raise UNetError(f"file_format BIOIMAGEIO: a model that others use must say its {name}; give "
                            f"--{name}={example}")
    if not _is_license(v0_5, config.license):
        raise UNetError(f"license {config.license!r}: expected an identifier of https://spdx.org/licenses, in its "
                        f"upper and lower case; give one, such as --license=CC-BY-4.0")
    for author in config.authors:
        if not author.strip() or "/" in author:
            raise UNetError(f"authors {list(config.authors)}: {author!r} is no name; expected names without a slash; "
                            f'give --authors="[Ada Lovelace]"')
    if config.citation and not re.search(f"{DOI}|{ADDRESS}", config.citation):
        raise UNetError(f"citation {config.citation!r}: expected a text with a DOI or an address in it; give "
                        f'--citation="My data, 10.1234/abc"')
    if "batch_size" in config.on_command_line and config.batch_size != 1:
        raise UNetError(f"file_format BIOIMAGEIO: batch_size is {config.batch_size}, expected 1, as the programs give "
                        f"one image at a time; leave batch_size out")
    least = least_side(field)
    if fixed_size and min(fixed_size) < least:
        raise UNetError(f"file_format BIOIMAGEIO: the input is {fixed_size[0]}x{fixed_size[1]} (height x width), "
                        f"expected {least} or more for both, as {field.context} pixels at each side are halo; leave "
                        f"width, height and dynamic out, or give --width={least} --height={least} or more")


def least_side(field: ReceptiveField) -> int:
    """Return the smallest side with pixels between the halos, which depend on what lies outside the image."""
    return 2 * field.context + field.stride


def _is_license(spec: Any, name: str) -> bool:
    for known in (spec.LicenseId, spec.DeprecatedLicenseId):
        with suppress(ValueError):
            return bool(known(name))
    return False
