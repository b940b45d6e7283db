"""A second decoder, written from docs/FORMAT.md alone: plain Python, one bit at a time."""

from collections.abc import Callable, Sequence

MASK = 2**64 - 1


def decode_bits(payload: bytes, frequency: Callable[[int], int], count: int) -> list[int]:
    """The ``count`` bits that ``payload`` stands for; ``frequency(i)`` is that of a 1 as the i-th bit."""
    payload = payload + bytes(-len(payload) % 4)
    words = [int.from_bytes(payload[at : at + 4], "big") for at in range(0, len(payload), 4)]

    def word(at: int) -> int:
        return words[at] if at < len(words) else 0

    low, size, point, at = 0, MASK, word(0) << 32 | word(1), 2
    bits = []
    for i in range(count):
        ones = frequency(i)
        likelier = int(ones >= 2**15)
        unlikely = min(ones, 2**16 - ones)
        unit = size >> 24
        split = unit * (unlikely << 8)
        if (point - low) & MASK >= split:
            bits.append(likelier)
            low, size = (low + split) & MASK, unit * ((2**16 - unlikely) << 8)
        else:
            bits.append(1 - likelier)
            size = split
        if size < 2**32:
            low, size, point, at = (low << 32) & MASK, size << 32, (point << 32) & MASK | word(at), at + 1
    return bits


def stage(y: int, x: int) -> int:
    if (y + x) % 2:
        return 3
    return 2 if y % 2 else 1 if (y + x) % 4 else 0


def around(reach: int) -> list[tuple[int, int]]:
    return [(dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]


def layer(inputs: list[int], weights: list[list[int]], bias: list[int]) -> list[int]:
    return [b + sum(i * row[u] for i, row in zip(inputs, weights, strict=True)) for u, b in enumerate(bias)]


def activate(values: list[int], shift: int) -> list[int]:
    return [min(max(value >> shift, 0), 1023) for value in values]


def recurrent_frequencies(
    tensors: dict[str, list], bits: int, groups: int, radius: int, iterations: int
) -> Callable[[Sequence, dict, int, int, int, int, int], int]:
    """As `frequencies`, for coder 3."""
    starts = [-(-g * bits // min(groups, bits)) for g in range(min(groups, bits) + 1)]

    def weights(t: int) -> dict[str, list]:
        return {name: tensor[min(t, iterations - 1)] for name, tensor in tensors.items() if name != "table"}

    def memory(history: Sequence, height: int, width: int) -> dict[tuple[int, int], list[int]]:
        places = [(y, x) for y in range(height) for x in range(width)]
        before: dict[tuple[int, int], list[int]] = {}
        for t, codes in enumerate(history):
            own = weights(t)
            after = {}
            for y, x in places:
                inputs = []
                for dy, dx in around(1):
                    inside = 0 <= y + dy < height and 0 <= x + dx < width
                    inputs += [int(codes[c][y + dy][x + dx]) if inside else 0 for c in range(bits)]
                for dy, dx in around(1):
                    inputs += before.get((y + dy, x + dx), [0] * len(own["memory_bias"]))
                sums = layer(inputs, own["codes"] + own["state"], own["memory_bias"])
                after[y, x] = activate(sums, own["shifts"][0])
            before = after
        return before

    def frequency(history: Sequence, known: dict, height: int, width: int, c: int, y: int, x: int) -> int:
        def inside(row: int, column: int) -> bool:
            return 0 <= row < height and 0 <= column < width

        own = weights(len(history))
        inputs = []
        for dy, dx in around(radius):
            if (dy, dx) != (0, 0):
                seen = inside(y + dy, x + dx) and stage(y + dy, x + dx) < stage(y, x)
                inputs += [known[channel, y + dy, x + dx] if seen else 0 for channel in range(bits)]
        for dy, dx in around(1):
            seen = bool(history) and inside(y + dy, x + dx)
            inputs += [int(history[-1][channel][y + dy][x + dx]) if seen else 0 for channel in range(bits)]
        inputs += memory(history, height, width).get((y, x), [0] * len(own["memory_bias"]))
        group = max(g for g, start in enumerate(starts[:-1]) if start <= c)
        inputs += [known[channel, y, x] for channel in range(starts[group])]
        rows = own["window"] + own["past"] + own["recall"] + own["centre"][group][: starts[group]]
        bias = [s + g for s, g in zip(own["stage"][stage(y, x)], own["group"][group], strict=True)]
        first = activate(layer(inputs, rows, bias), own["shifts"][1])
        second = activate(layer(first, own["hidden"], own["hidden_bias"]), own["shifts"][2])
        logit = own["output_bias"][c] + sum(a * w for a, w in zip(second, own["output"][c], strict=True))
        return tensors["table"][min(max((logit >> own["shifts"][3]) + 512, 0), 1023)]

    return frequency


def frequencies(
    tensors: dict[str, list], bits: int, groups: int, radius: int, past_radius: int, iterations: int
) -> Callable[[Sequence, dict, int, int, int, int, int], int]:
    """P(bit = 1) · 2^16 of one bit, in Python's integers. The function returned takes the codes of all iterations
    before, the codes of this one known so far (by channel, row, column), the picture's size, the channel, row and
    column."""

    starts = [-(-g * bits // min(groups, bits)) for g in range(min(groups, bits) + 1)]

    def frequency(history: Sequence, known: dict, height: int, width: int, c: int, y: int, x: int) -> int:
        def inside(row: int, column: int) -> bool:
            return 0 <= row < height and 0 <= column < width

        def before(back: int, channel: int, row: int, column: int) -> int:
            if len(history) < back or not inside(row, column):
                return 0
            return int(history[-back][channel][row][column])

        inputs = []
        for dy, dx in around(radius):
            if (dy, dx) != (0, 0):
                seen = inside(y + dy, x + dx) and stage(y + dy, x + dx) < stage(y, x)
                inputs += [known[channel, y + dy, x + dx] if seen else 0 for channel in range(bits)]
        for back in (1, 2):
            for dy, dx in around(past_radius):
                inputs += [before(back, channel, y + dy, x + dx) for channel in range(bits)]
        for channel in range(bits):
            older = sum(int(codes[channel][y][x]) for codes in history[:-2])
            inputs.append(min(max(older, -8), 8))
        group = max(g for g, start in enumerate(starts[:-1]) if start <= c)
        inputs += [known[channel, y, x] for channel in range(starts[group])]
        t = min(len(history), iterations - 1)
        rows = tensors["window"] + tensors["past"] + tensors["centre"][group][: starts[group]]
        parts = (tensors["iteration"][t], tensors["stage"][stage(y, x)], tensors["group"][group])
        first = activate(layer(inputs, rows, [sum(each) for each in zip(*parts, strict=True)]), tensors["shifts"][0])
        second = activate(layer(first, tensors["hidden"], tensors["hidden_bias"]), tensors["shifts"][1])
        logit = tensors["output_bias"][t][c] + sum(a * w for a, w in zip(second, tensors["output"][c], strict=True))
        return tensors["table"][min(max((logit >> tensors["shifts"][2]) + 512, 0), 1023)]

    return frequency
