def bicubic(
    pixels: bytes,
    size: tuple[int, int],
    bands: int,
    to: tuple[int, int],
    box: tuple[float, float, float, float],
    /,
) -> bytes: ...
