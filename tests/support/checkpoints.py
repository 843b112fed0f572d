"""Names of parameters in the checkpoints of other programs."""

NUMBERS = dict(zip(("down0", "down1", "down2", "down3", "down4", "up3", "up2", "up1", "up0"), range(1, 10)))


def case_study(name, inner="double_conv."):
    """down0.convs.0.weight -> double_conv1.double_conv.0.weight."""
    block, _, rest = name.partition(".")
    return f"double_conv{NUMBERS[block]}.{inner}{rest.removeprefix('convs.')}" if block in NUMBERS else name
